"""A face mesh in ONNX: found in the picture, in the picture's pixels, under a rig's names, hidden points told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead
from pipeline.reconstruction import landmark_detector
from pipeline.reconstruction.landmark_detector import TOLD, find_detector, load_detector, visible
from tests.reconstruction.onnx_file import write_face_mesh

SIZE = 32
"""Side of the network's square."""


def template(yaw: float = 0.0) -> np.ndarray:
    """(478, 3) half a cylinder of radius 8 in the middle of the square, turned by radians."""
    rng = np.random.default_rng(0)
    angle, height = rng.uniform(-1.5, 1.5, 478), rng.uniform(-10, 10, 478)
    angle[[234, 454]], height[[234, 454]] = [-np.pi / 2, np.pi / 2], 0.0
    turned = angle + yaw
    return np.stack([16 + 8 * np.sin(turned), 16 + height, -8 * np.cos(turned)], axis=1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return load_detector(write_face_mesh(tmp_path_factory.mktemp("mesh") / "face.onnx", template(), SIZE))


def spot(x: int, y: int, side: int = 160) -> torch.Tensor:
    """(1, side, side, 3) a small light."""
    picture = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    picture[0, y - 12 : y + 12, x - 12 : x + 12] = 255
    return picture


def test_points_are_in_the_pixels_of_the_picture(detector):
    """The middle of the mesh follows the light."""
    observed = detector(torch.cat([spot(80, 70), spot(60, 80)]))
    mesh = template()[:, :2]
    drawn = mesh[list(TOLD.values())] - (mesh[:468].min(0) + mesh[:468].max(0)) / 2
    for points, light in zip(observed.points.double().numpy(), ((80, 70), (60, 80)), strict=True):
        found = points - light
        side = (found * drawn).sum() / (drawn**2).sum()
        assert side > 0.5
        assert np.abs(found - side * drawn).max() < 2.0


def test_only_points_are_told_that_mean_the_same_place_on_a_rig(detector):
    observed = detector(spot(80, 70))
    assert set(observed.names) <= set(AnnyHead().rig.landmarks.names)
    assert len(set(observed.names)) == len(observed.names) == observed.points.shape[1] == 93
    elsewhere = {"mediapipe_10", "mediapipe_105", "mediapipe_149", "mediapipe_4"}  # hairline, brow, jaw, ridge
    assert not elsewhere & set(observed.names)
    pupil, iris = (observed.names.index(name) for name in ("pupil_left", "mediapipe_473"))
    assert observed.points[0, pupil].equal(observed.points[0, iris])


def test_without_a_face_nothing_is_seen(detector):
    assert float(detector(torch.zeros(1, 160, 160, 3, dtype=torch.uint8)).confidence.max()) == 0
    assert float(detector(spot(80, 70)).confidence.max()) > 0.9


def test_the_far_cheek_and_profiles_count_less():
    assert visible(template())[[234, 454]].max() < 0.01
    side = visible(template(0.8))
    turned = template(0.8)
    assert side[turned[:, 2] > 1.0].max() < 0.3
    assert side[turned[:, 2] < -4.0].min() == 1.0
    assert visible(template(1.4)).max() == 0


def test_other_files_are_refused(tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(UserError, match="is no face mesh of MediaPipe"):
        load_detector(damaged)
    with pytest.raises(UserError, match="not 1434 and 1"):
        load_detector(write_face_mesh(tmp_path / "other.onnx", template()[:68], SIZE, points=68))
    with pytest.raises(UserError, match=r"missing\.onnx"):
        load_detector(tmp_path / "missing.onnx")


def test_only_the_published_file_is_taken_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(landmark_detector, "try_to_load_from_cache", lambda *_: None)
    assert find_detector() is None
    other = write_face_mesh(tmp_path / "face.onnx", template(), SIZE)
    monkeypatch.setattr(landmark_detector, "try_to_load_from_cache", lambda *_: str(other))
    with pytest.raises(UserError, match="delete it and fetch it again"):
        find_detector()
