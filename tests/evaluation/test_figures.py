"""Every figure tells the error that was built into a head."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.evaluation.evaluate import look_at
from pipeline.evaluation.expressions import FACES, TURNED, Expression, expressions
from pipeline.evaluation.flicker import change, frames
from pipeline.evaluation.holes import find_holes
from pipeline.evaluation.outline import compare_outlines
from pipeline.evaluation.views import MeshView, SplatView, face_camera, pixel_width
from pipeline.heads.anny import AnnyHead
from tests.evaluation.heads import SIZE, SLIDE, covered, sphere, with_a_still_twin


def pose(rig, **values):
    """A pose by the names of expressions."""
    expression, rotations = rig.neutral()
    for name, value in values.items():
        expression[0, rig.expression_index(name)] = value
    return Expression("pose", expression, rotations)


def disc(radius, x=64.0, y=64.0):
    """Coverage (128, 128) of a disc whose edge is one pixel soft."""
    rows, columns = np.indices((SIZE, SIZE)) + 0.5
    return np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1).astype(np.float32)


def views(mesh, splats):
    nothing = np.zeros((SIZE, SIZE, 3), np.float32)
    inside = mesh >= 0.5
    seen = MeshView(inside, mesh, inside, inside.astype(np.float32), nothing, nothing)
    return seen, SplatView(nothing, splats, splats, splats, np.zeros((SIZE, SIZE, 3, 4), np.float32))


def nearer(rig, height):
    """How much larger the camera shows what lies ``height`` metres before the middle of the head."""
    distance = float(face_camera(rig, SIZE, 0.0).position[2])
    return distance / (distance - height)


def test_holes_are_counted_inside_the_margin_and_the_largest_is_told():
    inside = disc(50) > 0.5
    alpha = np.where(inside, 1, 0).astype(np.float32)
    alpha[60:64, 50:55] = 0.98
    alpha[64, 55] = 0.5  # touches the first at a corner
    alpha[80:83, 70:73] = 0.0
    alpha[14, 60:68] = 0.0  # at the edge
    holes = find_holes(alpha, inside)
    assert (holes.pixels, holes.largest) == (20 + 1 + 9, 21)
    assert holes.share == pytest.approx(30 / (np.pi * 49**2), rel=0.02)
    assert not find_holes(np.where(inside, 0.995, 0), inside).mask.any()


def test_a_head_that_reaches_the_border_of_the_picture_has_no_margin_there():
    inside = np.ones((SIZE, SIZE), bool)
    alpha = np.ones((SIZE, SIZE), np.float32)
    alpha[-1, :7] = 0
    assert find_holes(alpha, inside).pixels == 7


def test_faces_without_splats_are_a_hole_of_their_size():
    rig = sphere(5)
    centre = rig.vertices[rig.faces].mean(1)
    bare = (centre[:, :2].norm(dim=1) < 0.03) & (centre[:, 2].abs() > 0.05)
    whole, _ = look_at(covered(rig), pose(rig), 0.0, SIZE)
    assert whole.hole_pixels == 0
    figures, _ = look_at(covered(rig, faces=~bare), pose(rig), 0.0, SIZE)
    # the backdrop is seen through both openings, of which the far one looks smaller
    expected = np.pi * (0.03 * nearer(rig, -0.095) / pixel_width(rig, SIZE)) ** 2
    assert figures.hole_pixels == figures.largest_hole == pytest.approx(expected, rel=0.25)


def test_what_shows_the_inside_of_the_far_side_is_a_gap_and_no_hole():
    rig = sphere(5)
    centre = rig.vertices[rig.faces].mean(1)
    bare = (centre[:, :2].norm(dim=1) < 0.03) & (centre[:, 2] > 0.05)
    whole, _ = look_at(covered(rig), pose(rig), 0.0, SIZE)
    assert whole.gap_pixels == 0
    figures, _ = look_at(covered(rig, faces=~bare), pose(rig), 0.0, SIZE)
    assert figures.hole_pixels == 0
    expected = np.pi * (0.03 * nearer(rig, 0.095) / pixel_width(rig, SIZE)) ** 2
    assert figures.gap_pixels == figures.largest_gap == pytest.approx(expected, rel=0.25)
    behind, _ = look_at(covered(rig, faces=~bare), pose(rig), 180.0, SIZE)
    assert behind.gap_pixels == 0


@pytest.mark.parametrize("wider", [-2.0, 0.0, 3.0])
def test_a_wider_outline_is_told_with_its_sign(wider):
    outline = compare_outlines(*views(disc(45), disc(45 + wider)))
    assert outline.mean == pytest.approx(abs(wider), abs=0.03)
    assert outline.outward == pytest.approx(wider, abs=0.03)
    assert outline.shift == pytest.approx((0, 0), abs=0.03)
    small, large = sorted((45.0, 45 + wider))
    assert outline.iou == pytest.approx((small / large) ** 2, abs=0.01)


@pytest.mark.parametrize("wider", [0.0, 2.0])
def test_a_shifted_outline_is_told_between_pixels_however_wide(wider):
    outline = compare_outlines(*views(disc(45), disc(45 + wider, 64 + 2.5, 64 - 1.25)))
    assert outline.shift == pytest.approx((2.5, -1.25), abs=0.1)
    assert outline.outward == pytest.approx(wider, abs=0.1)


def test_what_is_not_there_has_no_outline():
    nothing = np.zeros((SIZE, SIZE), np.float32)
    for mesh, splats in ((disc(45), nothing), (nothing, disc(45))):
        outline = compare_outlines(*views(mesh, splats))
        assert outline.mean is outline.p95 is outline.outward is outline.shift is None
    assert compare_outlines(*views(disc(45), nothing)).iou == 0


def test_splats_shifted_by_d_pixels_report_d():
    rig = sphere()
    pixel = pixel_width(rig, SIZE)
    straight, _ = look_at(covered(rig), pose(rig), 0.0, SIZE)
    assert straight.outline.shift == pytest.approx((0, 0), abs=0.1)
    shifted, _ = look_at(covered(rig, shift=(4 * pixel, 1.5 * pixel, 0)), pose(rig), 0.0, SIZE)
    assert shifted.outline.shift == pytest.approx((4, -1.5), abs=0.15)
    thick, _ = look_at(covered(rig, outward=2 * pixel), pose(rig), 0.0, SIZE)
    assert thick.outline.outward - straight.outline.outward == pytest.approx(2, abs=0.15)


def test_what_does_not_follow_the_mesh_by_d_pixels_reports_d():
    rig = with_a_still_twin(sphere())
    pixel = pixel_width(rig, SIZE)
    bound = covered(rig, faces=~rig.regions["hair_cage"])
    on_the_twin = covered(rig, faces=~rig.regions["hair_cage"], bound_to=len(rig.faces) // 2)
    slid = pose(rig, jawLeft=3 * pixel / SLIDE)
    follows, _ = look_at(bound, slid, 0.0, SIZE)
    assert follows.places.head_mean == pytest.approx(0, abs=0.01)
    assert follows.places.landmark_worst == pytest.approx(0, abs=0.01)
    stays, _ = look_at(on_the_twin, slid, 0.0, SIZE)
    assert 3 < stays.places.head_mean < 3 * nearer(rig, 0.1)
    assert stays.places.landmark_mean == pytest.approx(3 * nearer(rig, 0.095), rel=0.02)
    assert stays.outline.shift == pytest.approx((-3, 0), abs=0.15)
    at_rest, _ = look_at(on_the_twin, pose(rig), 0.0, SIZE)
    assert at_rest.places.landmark_worst == pytest.approx(0, abs=0.01)


def test_a_turned_head_has_no_error_of_its_own():
    rig = sphere()
    turned = pose(rig)
    turned.rotations[0, rig.joint_index("torso")] = torch.tensor([0.1, 0.5, 0.0])
    figures, _ = look_at(covered(rig), turned, 0.0, SIZE)
    assert figures.places.landmark_worst == pytest.approx(0, abs=0.01)


def test_a_landmark_behind_the_head_is_not_judged():
    rig = sphere()
    figures, _ = look_at(covered(rig), pose(rig), 180.0, SIZE)
    assert figures.places.landmark_mean is None
    assert figures.places.worst_landmark == ""
    assert figures.places.head_mean is not None


def moved(gaussians, shift, brighter=0.0):
    """The same splats elsewhere and lighter, in degree 0."""
    sh = gaussians.sh + brighter / 0.28209479177387814
    return type(gaussians)(
        gaussians.means + torch.tensor(shift), gaussians.quats, gaussians.scales, gaussians.opacities, sh
    )


def clip_changes(avatar, moments):
    camera = face_camera(avatar.rig, SIZE, 0.0)
    shown = list(frames(moments, camera, "antialiased"))
    assert len(shown) == len(moments)
    return [change(now, after)[0] for now, after in pairwise(shown)]


def test_what_stands_still_does_not_flicker_and_what_grows_lighter_flickers_by_as_much():
    avatar = covered(sphere())
    still = avatar.gaussians(avatar.rig.vertices)
    same, lighter = clip_changes(avatar, [still, still, moved(still, (0.0, 0, 0), 7 / 255)])
    assert (same.levels, same.speed, same.compared) == (0, 0, 1)
    assert lighter.levels == pytest.approx(7, abs=0.05)
    assert lighter.speed == 0


def test_motion_is_taken_out_and_told_as_speed():
    avatar = covered(sphere())
    still = avatar.gaussians(avatar.rig.vertices)
    pixel = pixel_width(avatar.rig, SIZE)
    step = (3 * pixel, -2 * pixel, 0.0)
    moving, lighter = clip_changes(
        avatar, [still, moved(still, step), moved(still, tuple(2 * part for part in step), 7 / 255)]
    )
    assert 13**0.5 < moving.speed < 13**0.5 * nearer(avatar.rig, 0.1)
    camera = face_camera(avatar.rig, SIZE, 0.0)
    before, after = frames([still, moved(still, step)], camera, "antialiased")
    unexplained = 255 * np.abs(after.picture - before.picture)[before.alpha > 0.99].mean()
    assert moving.levels < 0.1 * unexplained
    assert lighter.levels - moving.levels == pytest.approx(7, abs=1)


def test_what_comes_out_from_behind_something_is_not_compared():
    rig = with_a_still_twin(sphere())
    avatar = covered(rig, faces=~rig.regions["hair_cage"])
    back = avatar.gaussians(rig.pose(*rig.neutral())[0])
    front = moved(back, (0.0, 0.0, 0.3))
    both = [
        type(back)(*(torch.cat([getattr(back, name), getattr(moved(front, (at, 0, 0)), name)])
                     for name in ("means", "quats", "scales", "opacities", "sh")))
        for at in (0.11, 0.08)
    ]  # fmt: skip
    (uncovered,) = clip_changes(avatar, both)
    assert 0.8 < uncovered.compared < 0.95


def test_the_poses_open_the_jaw_shut_the_lids_and_turn_the_head_of_the_free_head():
    rig = AnnyHead().rig
    poses = {one.name: one for one in expressions(rig)}
    assert list(poses) == [*FACES, *TURNED]
    jaw = rig.expression_index("jawOpen")
    assert [float(poses[f"jaw {n}% open"].expression[0, jaw]) for n in (25, 50, 75, 100)] == pytest.approx(
        [0.25, 0.5, 0.75, 1.0]
    )
    assert float(poses["blink"].expression[0, rig.expression_index("eyeBlinkRight")]) == 1
    assert not poses["at rest"].expression.any()
    assert not poses["at rest"].rotations.any()
    turn = poses["head turned"].rotations[0]
    assert float(turn[rig.joint_index("head")].norm() + turn[1:4].norm(dim=1).sum()) > 0.4
