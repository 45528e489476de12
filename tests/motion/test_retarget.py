"""Clips on the free head, on a head without some of its parts, and on a FLAME-like rig."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.heads import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.motion import ARKIT_NAMES, Motion, retarget
from pipeline.motion.jaw import best_rotation, measure_jaw, pitch_of
from pipeline.motion.motion import still
from tests.motion.making import a_motion
from tests.synthetic import synthetic_rig

PEOPLE = [{}, {"age": 1 / 3}, {"gender": 0.0, "weight": 1.0, "age": 0.9}, {"gender": 1.0, "african": 1.0, "asian": 0.0}]


@pytest.fixture(scope="module")
def rig() -> Rig:
    return AnnyHead().rig


def clip(frames: int, **rotations: torch.Tensor) -> Motion:
    """A FLAME clip with an expression of zeros."""
    return Motion(fps=25, basis="flame2023", expression=torch.zeros(frames, 100), **(still(frames) | rotations))


def about(axis: int, angles: torch.Tensor) -> torch.Tensor:
    turns = torch.zeros(len(angles), 3)
    turns[:, axis] = angles
    return turns


@pytest.mark.parametrize("person", PEOPLE)
def test_chin_turns_by_the_jaw_angle_within_two_degrees(person):
    """Two measurements of our own: the lower teeth's rotation, and the chin landmark's way round their hinge."""
    rig = AnnyHead(person).rig
    curve = measure_jaw(rig)
    assert curve is not None
    asked = torch.linspace(0.01, curve.widest, 9)
    result = retarget(clip(9, jaw=about(0, asked)), rig)
    posed = rig.pose(result.expression, result.rotations)
    teeth = torch.unique(rig.faces[rig.regions["teeth_lower"]])
    rotations = torch.stack([best_rotation(rig.vertices[teeth], frame[teeth]) for frame in posed])
    assert torch.rad2deg((pitch_of(rotations[:, :, 2]) - asked).abs()).max() < 2
    middle = rotations[4]
    shift = posed[4, teeth].mean(0) - middle @ rig.vertices[teeth].mean(0)
    hinge = torch.zeros(3)
    hinge[1:] = torch.linalg.solve(torch.eye(2) - middle[1:, 1:], shift[1:])
    chin = rig.landmarks.names.index("ibug_8")
    ways = rig.landmarks.positions(torch.cat([rig.vertices[None], posed]), rig.faces)[:, chin] - hinge
    assert torch.rad2deg((pitch_of(ways[1:]) - pitch_of(ways[0]) - asked).abs()).max() < 2


def test_jaw_sideways_moves_the_chin_as_far(rig):
    curve = measure_jaw(rig)
    asked = torch.tensor([-0.06, -0.03, 0.0, 0.03, 0.06])
    result = retarget(clip(5, jaw=about(1, asked)), rig)
    left, right = (result.expression[:, rig.expression_index(name)] for name in ("jawLeft", "jawRight"))
    assert (left * right == 0).all()
    assert (left - right)[4] > (left - right)[3] > 0 > (left - right)[0]
    offsets = rig.expressions[rig.expression_index("jawOpen")].norm(dim=1)
    chin = offsets > 0.9 * offsets.max()
    moved = (rig.pose(result.expression, result.rotations) - rig.vertices)[:, chin, 0].mean(1)
    wanted = (axis_angle_to_matrix(about(1, asked)) @ curve.lever)[:, 0]
    torch.testing.assert_close(moved, wanted, atol=8e-4, rtol=0)


def test_jaw_that_opens_too_wide_stops_with_a_note(rig):
    result = retarget(clip(2, jaw=about(0, torch.tensor([0.1, 1.0]))), rig)
    assert float(result.expression[1, rig.expression_index("jawOpen")]) == 1.0
    assert any("57° in the clip" in note for note in result.notes)


def test_jaw_cannot_close_further_than_shut(rig):
    result = retarget(clip(1, jaw=torch.tensor([[-0.1, 0.0, 0.0]])), rig)
    assert not result.expression.any()


def test_eyes_end_at_exactly_the_asked_angle_and_the_lids_follow(rig):
    left = torch.tensor([[0.2, 0.0, 0.0], [-0.2, 0.3, 0.0], [0.0, -0.3, 0.01]])
    right = left.flip(0)
    result = retarget(clip(3, left_eye=left, right_eye=right), rig)
    for name, asked in (("left_eye", left), ("right_eye", right)):
        assert torch.equal(result.rotations[:, rig.joint_index(name)], asked)
    look = {name: result.expression[:, rig.expression_index(name)] for name in ARKIT_NAMES if "eyeLook" in name}
    assert look["eyeLookDownLeft"][0] == pytest.approx(0.2 / math.radians(25))
    assert look["eyeLookUpLeft"][1] == pytest.approx(0.2 / math.radians(25))
    assert look["eyeLookOutLeft"][1] == pytest.approx(0.3 / math.radians(35))
    assert look["eyeLookInLeft"][2] == pytest.approx(0.3 / math.radians(35))
    assert look["eyeLookInRight"][1] == pytest.approx(0.3 / math.radians(35))
    assert look["eyeLookOutRight"][0] == pytest.approx(0.3 / math.radians(35))


def test_pupils_go_where_the_eyes_turn(rig):
    """On the posed mesh: an eye that turns to the left carries its pupil to +x, one that looks down to −y."""
    result = retarget(clip(2, left_eye=torch.tensor([[0.0, 0.3, 0.0], [0.2, 0.0, 0.0]])), rig)
    posed = rig.pose(result.expression, result.rotations)
    pupil = rig.landmarks.names.index("pupil_left")
    rest = rig.landmarks.positions(rig.vertices, rig.faces)[pupil]
    centre = rig.joints[rig.joint_index("left_eye")]
    seen = rig.landmarks.positions(posed, rig.faces)[:, pupil]
    for frame, turn in zip(seen, result.rotations[:, rig.joint_index("left_eye")], strict=True):
        torch.testing.assert_close(frame, centre + axis_angle_to_matrix(turn) @ (rest - centre), atol=1e-4, rtol=0)


def test_neck_and_head_start_from_the_first_frame(rig):
    motion = a_motion(frames=6)
    result = retarget(motion, rig)
    assert not result.rotations[0, :5].any()
    matrices = axis_angle_to_matrix(result.rotations)
    necks = [rig.joint_index(f"neck0{k}") for k in (1, 2, 3)]
    neck = matrices[:, necks[0]] @ matrices[:, necks[1]] @ matrices[:, necks[2]]
    flame = axis_angle_to_matrix(motion.global_rotation)
    torch.testing.assert_close(neck, flame[0].T @ flame, atol=1e-5, rtol=0)
    head = axis_angle_to_matrix(motion.neck)
    torch.testing.assert_close(matrices[:, rig.joint_index("head")], head[0].T @ head, atol=1e-5, rtol=0)


def test_a_turned_camera_changes_nothing(rig):
    """The same motion tracked by a camera upside down."""
    motion = a_motion(frames=4, global_rotation=torch.randn(4, 3) * 0.2)
    flip = axis_angle_to_matrix(torch.tensor([3.0, 0.2, 0.1]))
    flipped = replace(motion, global_rotation=matrix_to_axis_angle(flip @ axis_angle_to_matrix(motion.global_rotation)))
    torch.testing.assert_close(retarget(flipped, rig).rotations, retarget(motion, rig).rotations, atol=1e-4, rtol=0)


def test_absolute_head_pose(rig):
    motion = a_motion(frames=3)
    rotations = retarget(motion, rig, relative=False).rotations
    torch.testing.assert_close(rotations[:, rig.joint_index("head")], motion.neck)
    torch.testing.assert_close(3 * rotations[:, rig.joint_index("neck02")], motion.global_rotation)


def test_clip_with_a_head_joint_turns_head_by_head(rig):
    motion = a_motion(frames=3, head=torch.randn(3, 3) * 0.1)
    rotations = retarget(motion, rig, relative=False).rotations
    torch.testing.assert_close(rotations[:, rig.joint_index("head")], motion.head)
    torch.testing.assert_close(3 * rotations[:, rig.joint_index("neck01")], motion.neck)


def test_flame_expression_is_explained(rig):
    result = retarget(a_motion(), rig)
    told = " ".join(result.notes)
    assert "The clip's 100 expression coefficients belong to FLAME 2023, whose file is not here" in told
    assert "jaw, eyes, neck and head move" in told
    assert "FLAME 2023 Open (CC-BY-4.0, open to everybody)" in told
    assert not any("coefficients" in note for note in retarget(clip(2), rig).notes)


def test_arkit_is_copied_by_name_and_eyes_turn_once(rig):
    weights = torch.rand(4, 52)
    motion = Motion(fps=30, basis="arkit52", expression=weights, **still(4))
    result = retarget(motion, rig)
    assert torch.equal(result.expression, weights)
    torch.testing.assert_close(result.rotations, rig.driven_rotations(weights))
    small = synthetic_rig()
    kept = retarget(motion, small).expression
    for column, name in enumerate(small.expression_names):
        assert torch.equal(kept[:, column], weights[:, ARKIT_NAMES.index(name)])


def test_loud_arkit_weights_are_cut_with_a_note(rig):
    motion = Motion(fps=30, basis="arkit52", expression=torch.full((2, 52), 1.5), **still(2))
    result = retarget(motion, rig)
    assert float(result.expression.max()) == 1.0
    assert any("1.50" in note for note in result.notes)


def test_eyelids_become_blinks(rig):
    lids = torch.tensor([[0.0, 1.0], [0.5, 0.2]])
    result = retarget(replace(clip(2), eyelids=lids), rig)
    channels = [rig.expression_index(f"eyeBlink{side}") for side in ("Left", "Right")]
    torch.testing.assert_close(result.expression[:, channels], lids)
    assert any("no blink" in note for note in retarget(replace(clip(2), eyelids=lids), synthetic_rig()).notes)


def flame_like(basis: str, width: int) -> Rig:
    """Joints and expression of a FLAME head on the test sphere."""
    rig = synthetic_rig()
    joints = torch.zeros(5, 3)
    return replace(
        rig, basis=basis, joints=joints, joint_names=("root", "neck", "jaw", "left_eye", "right_eye"),
        parents=(-1, 0, 1, 1, 1), weights=torch.ones(len(rig.vertices), 5) / 5, drivers=(),
        expressions=torch.zeros(width, len(rig.vertices), 3), expression_names=tuple(f"expr_{k}" for k in range(width)),
    )  # fmt: skip


@pytest.mark.parametrize(("clip_basis", "rig_basis"), [("flame2023", "flame2023"), ("smplx2020", "flame2020")])
def test_same_expression_space_is_copied(clip_basis, rig_basis):
    rig = flame_like(rig_basis, 50)
    motion = a_motion(basis=clip_basis)
    result = retarget(motion, rig, relative=False)
    assert torch.equal(result.expression, motion.expression[:, :50])
    for joint, name in enumerate(("global_rotation", "neck", "jaw", "left_eye", "right_eye")):
        torch.testing.assert_close(result.rotations[:, joint], getattr(motion, name))


def test_other_expression_space_is_copied_with_a_note():
    """Neither model is at hand: what AnimPortrait3D does, but told."""
    motion = a_motion(basis="flame2019")
    result = retarget(motion, flame_like("flame2023", 50))
    assert torch.equal(result.expression, motion.expression[:, :50])
    assert any("Approximate expression space" in note and "FLAME 2019" in note for note in result.notes)


def test_head_without_a_jaw_says_so(rig):
    names = [k for k, name in enumerate(rig.expression_names) if name != "jawOpen"]
    jawless = replace(
        rig, expressions=rig.expressions[names], expression_names=tuple(rig.expression_names[k] for k in names)
    )
    assert measure_jaw(jawless) is None
    assert any("no jaw" in note for note in retarget(a_motion(), jawless).notes)


def test_arkit_names_are_the_heads(rig):
    assert rig.expression_names == ARKIT_NAMES
