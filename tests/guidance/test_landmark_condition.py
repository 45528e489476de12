"""HeadStudio's landmarks: all of them on every rig, in their colours, and not through the head."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.guidance.landmark_condition import (
    LEFT_BROW,
    LEFT_EYE,
    LINES,
    LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    LandmarkCondition,
)

from .rigs import KINDS, SHUT, face_camera, pixel, point, posed, rig_of

pytestmark = pytest.mark.usefixtures("models")


def where(picture: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """(H, W) bool, pixels of a picture (3, H, W) in this colour."""
    return ((picture * 255).round() == torch.tensor(colour)[:, None, None]).all(0)


def colours(picture: Tensor) -> set[tuple[int, ...]]:
    return {tuple(row) for row in (picture * 255).round().int().flatten(1).T.unique(dim=0).tolist()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_front_shows_every_line_in_its_colour(kind: str) -> None:
    rig = rig_of(kind)
    picture = LandmarkCondition(rig)(rig.vertices, [face_camera(rig, side=512)])[0]
    assert picture.shape == (3, 512, 512)
    assert picture.dtype == torch.float32
    assert colours(picture) == {(0, 0, 0), LEFT_BROW, RIGHT_BROW, LEFT_EYE, RIGHT_EYE, LIPS, OVAL}
    columns = {
        c: where(picture, c).nonzero()[:, 1].float().mean() for c in (LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW)
    }
    assert columns[LEFT_EYE] > 270 > 240 > columns[RIGHT_EYE]  # the subject's left is on the right of the picture
    assert columns[LEFT_BROW] > 270 > 240 > columns[RIGHT_BROW]
    camera = face_camera(rig, side=512)
    for line in LINES:
        for number in line.points:
            row, column = pixel(camera, point(rig, rig.vertices, f"mediapipe_{number}"))
            near = picture[:, row - 2 : row + 3, column - 2 : column + 3]
            assert (near > 0).any(), number


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_is_not_drawn(kind: str) -> None:
    rig = rig_of(kind)
    condition = LandmarkCondition(rig)
    side, behind = condition(rig.vertices, [face_camera(rig, 85.0), face_camera(rig, 180.0)])
    assert not where(side, RIGHT_EYE).any()
    assert not where(side, RIGHT_BROW).any()
    assert where(side, LEFT_EYE).any()
    assert (behind == 0).all()


def test_a_lid_hides_the_pupil_and_not_its_own_line() -> None:
    rig = rig_of("anny")
    camera = face_camera(rig, side=512, fov=1.5, at="pupil_left")
    row, column = pixel(camera, point(rig, rig.vertices, "pupil_left"))
    condition = LandmarkCondition(rig)
    rest = condition(rig.vertices, [camera])[0]
    shut = condition(posed(rig, **SHUT["anny"]), [camera])[0]
    window = (slice(row - 4, row + 5), slice(column - 4, column + 5))
    assert where(rest, LEFT_EYE)[window].any()
    assert not where(shut, LEFT_EYE)[window].any()
    assert where(shut, LEFT_EYE).any()


def test_lines_keep_their_share_of_the_picture() -> None:
    rig = rig_of("anny")
    condition = LandmarkCondition(rig)
    small, large = (condition(rig.vertices, [face_camera(rig, side=side)])[0] for side in (512, 1024))
    assert where(large, OVAL).float().mean() == pytest.approx(float(where(small, OVAL).float().mean()), rel=0.15)


def test_lines_run_out_of_a_crop() -> None:
    rig = rig_of("anny")
    picture = LandmarkCondition(rig)(rig.vertices, [face_camera(rig, fov=1.0, at="ibug_62")])[0]
    drawn = where(picture, LIPS)
    assert drawn[:, 0].any()
    assert drawn[:, -1].any()


def test_a_rig_without_a_landmark_is_refused() -> None:
    rig = rig_of("anny")
    assert rig.landmarks is not None
    names = tuple("other" if name == "mediapipe_10" else name for name in rig.landmarks.names)
    with pytest.raises(UserError, match="no landmark 'mediapipe_10'"):
        LandmarkCondition(replace(rig, landmarks=replace(rig.landmarks, names=names)))
    with pytest.raises(UserError, match="no landmark"):
        LandmarkCondition(replace(rig, landmarks=None))
