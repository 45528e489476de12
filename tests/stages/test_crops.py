"""Boxes round the parts of a face, and cameras that draw them alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.guidance.shot import Pose
from pipeline.heads.anny import AnnyHead
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.cameras import portrait_orbit
from pipeline.stages.crops import SIZES, FacePoints, Seen, crop_box, crop_camera, cut, visible
from pipeline.stages.recipes import ANIMPORTRAIT3D
from tests.stages.small import small_avatar

FULL = ANIMPORTRAIT3D.phases[3]
RIG = AnnyHead().rig


def at_rest(rig=RIG) -> Pose:
    return Pose(*rig.neutral(), mouth_open=False)


def pixel(camera, point):
    seen = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return seen[:2] / seen[2]


def drawn(splats, kept, camera):
    return rasterize(
        splats.means[kept], splats.quats[kept], splats.scales[kept], splats.opacities[kept], splats.colors[kept],
        camera.viewmat[None], camera.K[None], camera.width, camera.height, rasterize_mode="antialiased",
    )[0][0]  # fmt: skip


@torch.no_grad()
def test_a_crop_is_drawn_as_the_frame_shows_it():
    """Splats whose middle lies far outside a picture are bent by its edge (gsplat's clamp), so those are left out."""
    avatar = small_avatar()
    camera = portrait_orbit(avatar.rig).camera(70.0, 80.0, 896)
    box = crop_box(camera, FacePoints(avatar.rig)(at_rest(avatar.rig))["mouth"], "mouth")
    left, top, right, bottom = box
    assert (right - left, bottom - top) == (200, 200)
    splats = avatar.gaussians(avatar.rig.vertices)
    middles = torch.stack([pixel(camera, point) for point in splats.means])
    kept = ((middles > torch.tensor([left, top])) & (middles < torch.tensor([right, bottom]))).all(1)
    part = drawn(splats, kept, camera)[top:bottom, left:right]
    assert float(part.std()) > 0.05
    assert torch.allclose(part, drawn(splats, kept, crop_camera(camera, box, 200)), atol=2e-5)


def test_a_crop_at_another_size_shows_the_same_box():
    camera = portrait_orbit(RIG).camera(90.0, 90.0, 896)
    point = torch.tensor([0.01, 0.02, 0.09])
    inside = pixel(crop_camera(camera, (100, 200, 300, 400), 512), point)
    expected = (pixel(camera, point) - torch.tensor([100.0, 200.0])) * 512 / 200
    assert torch.allclose(inside, expected, atol=1e-3)


@pytest.mark.parametrize("yaw", [60.0, 90.0, 125.0])
def test_boxes_lie_round_their_landmarks(yaw):
    camera = portrait_orbit(RIG).camera(yaw, 90.0, 896)
    for region, point in FacePoints(RIG)(at_rest()).items():
        left, top, right, bottom = crop_box(camera, point, region)
        assert (right - left, bottom - top) == (SIZES[region], SIZES[region])
        middle = torch.tensor([(left + right) / 2, (top + bottom) / 2])
        assert float((pixel(camera, point) - middle).abs().max()) <= 1.0


def test_boxes_at_the_edge_are_moved_inside():
    camera = portrait_orbit(RIG).camera(90.0, 90.0, 896)
    corner = torch.tensor([0.25, 0.2, 0.0])
    assert crop_box(camera, corner, "face")[1:3] == (0, 896)
    assert crop_box(camera, -corner, "face")[0] == 0


def test_boxes_grow_with_the_frame():
    points = FacePoints(RIG)(at_rest())
    small, large = (portrait_orbit(RIG).camera(90.0, 90.0, size) for size in (448, 896))
    for region, point in points.items():
        double = torch.tensor(crop_box(small, point, region)) * 2
        assert int((double - torch.tensor(crop_box(large, point, region))).abs().max()) <= 2


def test_middles_follow_the_pose():
    expression, rotations = RIG.neutral()
    expression[0, RIG.expression_index("jawOpen")] = 1.0
    rotations[0, RIG.joint_index("head"), 1] = 0.4
    moved = RIG.pose(expression, rotations)[0]
    marks = dict(zip(RIG.landmarks.names, RIG.landmarks.positions(moved, RIG.faces), strict=True))
    points = FacePoints(RIG)(Pose(expression, rotations, mouth_open=True))
    assert torch.allclose(points["mouth"], (marks["ibug_48"] + marks["ibug_54"]) / 2, atol=1e-6)
    assert torch.allclose(points["eye_left"], marks["pupil_left"], atol=1e-6)
    assert float((points["mouth"] - FacePoints(RIG)(at_rest())["mouth"]).norm()) > 0.01


@pytest.mark.parametrize(
    ("yaw", "regions"),
    [
        (-10.0, []),
        (10.0, ["face", "eye_right", "mouth"]),
        (60.0, ["face", "eye_right", "mouth"]),
        (90.0, ["face", "eye_left", "eye_right", "mouth"]),
        (119.0, ["face", "eye_left", "eye_right", "mouth"]),
        (150.0, ["face", "eye_left", "mouth"]),
        (250.0, []),
    ],
)
def test_what_a_camera_looks_at(yaw, regions):
    assert visible(FULL.regions, yaw) == regions
    camera = portrait_orbit(RIG).camera(yaw, 90.0, 896)
    shots = cut(Seen(camera, yaw, "front"), FacePoints(RIG)(at_rest()), FULL, 64)
    assert [shot.region for shot in shots] == [*regions, "full"]
    assert [shot.conditioned for shot in shots] == [*[True] * len(regions), False]
    assert {(shot.camera.width, shot.camera.height) for shot in shots} == {(64, 64)}


def test_an_eye_that_is_looked_at_faces_the_camera():
    """The subject's left is +x: a camera on the right (yaw 0) must not be given the left eye."""
    points = FacePoints(RIG)(at_rest())
    for yaw in (20.0, 160.0):
        position = portrait_orbit(RIG).camera(yaw, 90.0, 896).position
        seen = {region for region in visible(FULL.regions, yaw) if region.startswith("eye")}
        assert seen == {min(("eye_left", "eye_right"), key=lambda eye: float((points[eye] - position).norm()))}


def test_the_full_frame_leaves_the_face_to_its_crop():
    camera = portrait_orbit(RIG).camera(90.0, 90.0, 896)
    points = FacePoints(RIG)(at_rest())
    *_, full = cut(Seen(camera, 90.0, "front"), points, FULL, 448)
    assert full.covered == tuple(round(edge / 2) for edge in crop_box(camera, points["face"], "face"))
    alone = cut(Seen(camera, 90.0, "front"), points, replace(FULL, regions=("full", "mouth")), 448)
    assert alone[-1].covered is None
    behind = cut(Seen(camera, 270.0, "back"), points, FULL, 448)
    assert [shot.covered for shot in behind] == [None]


def test_a_head_without_landmarks_is_refused():
    with pytest.raises(UserError, match="lacks the landmarks ibug_48, ibug_54, pupil_left, pupil_right"):
        FacePoints(replace(RIG, landmarks=None))
    with pytest.raises(UserError, match="lacks the landmarks pupil_left, pupil_right, ibug_8"):
        portrait_orbit(replace(RIG, landmarks=None))
