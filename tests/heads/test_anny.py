"""The baked head against Anny itself (recorded), and whether the rig that comes of it is a sound head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.heads import AnnyHead, Phenotype, Rig, load_head
from pipeline.heads.anny import eyeball, fit_sphere, local_change_names, shape_identity
from pipeline.heads.anny_corrections import lid_gap
from pipeline.heads.anny_file import HEAD_FILE, read_head_file

HEAD = read_head_file()
SAMPLE = np.load(Path(__file__).parent / "data" / "anny_sample.npz")
PEOPLE: dict[str, dict[str, float]] = {
    "average": {},
    "child": {"age": 0.33},
    "old man": {"age": 1.0, "gender": 0.0, "african": 1.0, "asian": 0.0, "caucasian": 0.0},
    "asian woman": {"age": 0.66, "gender": 1.0, "african": 0.0, "asian": 1.0, "caucasian": 0.0},
    "heavy": {"age": 0.7, "weight": 1.0},
}
UNIT = st.floats(0, 1)
PHENOTYPES = st.builds(
    Phenotype,
    gender=UNIT,
    age=st.floats(-1 / 3, 1),
    muscle=UNIT,
    weight=UNIT,
    height=UNIT,
    proportions=UNIT,
    cupsize=UNIT,
    firmness=UNIT,
    african=UNIT,
    asian=UNIT,
    caucasian=UNIT,
)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return AnnyHead({"age": 0.66}).rig


def posed(rig: Rig, **actions: float) -> torch.Tensor:
    expression, rotations = rig.neutral()
    for name, value in actions.items():
        expression[0, rig.expression_index(name)] = value
    return rig.pose(expression, rotations + rig.driven_rotations(expression))[0]


def used(rig: Rig, region: str) -> torch.Tensor:
    return rig.faces[rig.regions[region]].unique()


@pytest.mark.parametrize("case", range(len(SAMPLE["vertices"])))
def test_no_vertex_is_further_than_0_3_mm_from_anny(case: int) -> None:
    values = dict(zip(SAMPLE["phenotype_names"].tolist(), SAMPLE["phenotypes"][case].tolist(), strict=True))
    changes = dict(zip(SAMPLE["changes"][case].tolist(), SAMPLE["change_values"][case].tolist(), strict=True))
    vertices = shape_identity(HEAD, Phenotype(**values), changes).vertices
    for name, value in zip(SAMPLE["actions"][case], SAMPLE["action_values"][case], strict=True):
        HEAD.actions.add_to(vertices, HEAD.actions.names.index(name), float(value))
    ours = vertices[np.searchsorted(HEAD.vertex_ids, SAMPLE["vertex_ids"])]
    assert np.linalg.norm(ours - SAMPLE["vertices"][case], axis=1).max() < 3e-4


def test_the_file_is_small() -> None:
    assert HEAD_FILE.stat().st_size <= 4_000_000


def test_shapes_names_and_weights(rig: Rig) -> None:
    count = len(rig.vertices)
    assert rig.expressions.shape == (52, count, 3)
    assert list(rig.expression_names) == sorted(rig.expression_names, key=str.lower)
    assert rig.joint_names == ("torso", "neck01", "neck02", "neck03", "head", "left_eye", "right_eye")
    assert all(parent < joint for joint, parent in enumerate(rig.parents))
    assert torch.allclose(rig.weights.sum(1), torch.ones(count), atol=1e-6)
    assert (rig.weights > 0).sum(1).max() <= 4
    assert rig.joints[rig.joint_index("head")].tolist() == [0, 0, 0]
    assert rig.uv is not None
    assert rig.uv.shape == (len(rig.faces), 3, 2)
    assert int(rig.faces.max()) == count - 1


def test_axes_y_up_face_to_z_left_is_x(rig: Rig) -> None:
    joints = {name: rig.joints[rig.joint_index(name)] for name in rig.joint_names}
    assert joints["left_eye"][0] > 0.02 > -0.02 > joints["right_eye"][0]
    assert joints["left_eye"][1] > 0.03
    assert joints["left_eye"][2] > 0.05
    assert joints["torso"][1] < joints["neck01"][1] < joints["neck02"][1] < joints["neck03"][1] < 0


@pytest.mark.parametrize("region", ["eye_left", "eye_right", "tongue"])
def test_closed_parts_face_outward(rig: Rig, region: str) -> None:
    corners = rig.vertices[rig.faces[rig.regions[region]]]
    corners = corners - corners.mean((0, 1))
    volume = torch.linalg.det(corners).sum() / 6
    assert volume > 1e-6


def test_skin_faces_outward(rig: Rig) -> None:
    corners = rig.vertices[rig.faces[rig.regions["scalp"]]]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = corners.mean(1) - torch.tensor([0.0, 0.06, 0.04])
    assert ((normal * outward).sum(1) > 0).float().mean() > 0.99


def test_every_region_is_there_and_where_it_belongs(rig: Rig) -> None:
    sides = [f"{part}_{side}" for part in ("eye", "iris", "lashes") for side in ("left", "right")]
    mouth = ["lips", "teeth", "teeth_upper", "teeth_lower", "tongue", "inner_mouth"]
    wanted = ["skin", "scalp", "face", "ears", "eyelids", "eye_socket", "neck", "torso", *sides, *mouth]
    assert set(wanted) <= set(rig.regions)
    centre = {name: rig.vertices[rig.faces[mask]].mean(1) for name, mask in rig.regions.items()}
    assert all(len(points) >= 20 for points in centre.values())
    assert centre["eye_left"][:, 0].min() > 0 > centre["eye_right"][:, 0].max()
    assert centre["lashes_left"][:, 0].min() > 0 > centre["lashes_right"][:, 0].max()
    assert centre["ears"][:, 0].abs().min() > 0.05
    assert centre["scalp"][:, 1].max() > centre["face"][:, 1].max() > centre["neck"][:, 1].mean()
    assert centre["neck"][:, 1].mean() > centre["torso"][:, 1].mean()
    assert centre["inner_mouth"][:, 2].min() > 0  # not the occiput, where the painted mask has a stray patch
    lips = centre["lips"]
    for inside in ("teeth", "tongue"):
        points = rig.vertices[used(rig, inside)]
        assert points[:, 2].max() < lips[:, 2].max()
        assert points[:, 0].abs().max() < 0.04
        assert (points[:, 1] - lips[:, 1].mean()).abs().max() < 0.04


def test_regions_of_the_body_share_no_face(rig: Rig) -> None:
    parts = ("scalp", "face", "ears", "neck", "torso")
    assert torch.stack([rig.regions[name] for name in parts]).sum(0).max() == 1
    assert torch.equal(torch.stack([rig.regions[name] for name in parts]).any(0), rig.regions["skin"])
    assert not (rig.regions["skin"] & (rig.regions["inner_mouth"] | rig.regions["eye_socket"])).any()


def test_jaw_open_moves_the_lower_teeth_only(rig: Rig) -> None:
    offset = rig.expressions[rig.expression_index("jawOpen")]
    assert offset[used(rig, "teeth_lower"), 1].max() < -0.007
    assert offset[used(rig, "teeth_upper")].abs().max() == 0
    assert offset[used(rig, "tongue"), 1].min() < -0.01


def test_the_tongue_lies_low_and_comes_out(rig: Rig) -> None:
    tongue = used(rig, "tongue")
    lip = rig.vertices[used(rig, "lips"), 2].max()
    assert rig.vertices[tongue, 2].max() < lip - 0.03
    assert posed(rig, jawOpen=1.0)[tongue, 2].max() < posed(rig, jawOpen=1.0)[used(rig, "teeth_lower"), 2].max() - 0.01
    assert posed(rig, tongueOut=1.0, jawOpen=0.5)[tongue, 2].max() > lip - 0.005


@pytest.mark.parametrize("name", PEOPLE)
def test_lower_teeth_stay_inside_a_laughing_chin(name: str) -> None:
    person = AnnyHead(PEOPLE[name]).rig
    vertices = posed(person, jawOpen=1.0, mouthSmileLeft=1.0, mouthSmileRight=1.0)
    skin = person.regions["face"] & ~person.regions["lips"]
    centre = vertices[person.faces[skin]].mean(1)
    for tooth in vertices[used(person, "teeth_lower")]:
        beside = (centre[:, :2] - tooth[:2]).norm(dim=1) < 0.004
        if beside.any():  # else it stands in the open mouth
            assert tooth[2] < centre[beside, 2].max()


@pytest.mark.parametrize("name", PEOPLE)
def test_lids_close(name: str) -> None:
    person = AnnyHead(PEOPLE[name]).rig
    assert_lids_close(person)
    half = posed(person, eyeBlinkLeft=0.5, eyeBlinkRight=0.5)
    assert min(lid_gap(HEAD, half.numpy(), side).max() for side in ("left", "right")) > 1e-3


def assert_lids_close(person: Rig) -> None:
    closed = posed(person, eyeBlinkLeft=1.0, eyeBlinkRight=1.0).numpy()
    for side in ("left", "right"):
        assert lid_gap(HEAD, person.vertices.numpy(), side).max() > 3e-3
        gap = lid_gap(HEAD, closed, side)
        assert gap.max() < 1e-4
        assert gap.min() > -1.2e-3


@pytest.mark.parametrize("change", ["eye-height2-incr", "eye-scale-incr", "eye-corner2-up"])
@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_lids_close_on_changed_eyes(change: str, value: float) -> None:
    assert_lids_close(AnnyHead({"age": 0.66}, {f"l-{change}": value, f"r-{change}": value}).rig)


def test_eyes_turn_as_rigid_balls(rig: Rig) -> None:
    turned = posed(rig, eyeLookOutLeft=1.0, eyeLookUpLeft=0.6)
    for side in ("left", "right"):
        ball = used(rig, f"eye_{side}")
        centre = rig.joints[rig.joint_index(f"{side}_eye")]
        before, after = (points[ball] - centre for points in (rig.vertices, turned))
        assert torch.allclose(torch.cdist(before, before), torch.cdist(after, after), atol=1e-5)
    iris = turned[used(rig, "iris_left")].mean(0) - rig.vertices[used(rig, "iris_left")].mean(0)
    assert iris[0] > 0.003  # to the subject's left
    assert iris[1] > 0.001
    assert torch.equal(turned[used(rig, "eye_right")], posed(rig)[used(rig, "eye_right")])


@pytest.mark.parametrize(
    ("action", "axis", "sign"),
    [
        ("eyeLookDownLeft", 1, -1),
        ("eyeLookUpRight", 1, 1),
        ("eyeLookOutLeft", 0, 1),
        ("eyeLookInLeft", 0, -1),
        ("eyeLookOutRight", 0, -1),
        ("eyeLookInRight", 0, 1),
    ],
)
def test_gaze_goes_where_the_action_says(rig: Rig, action: str, axis: int, sign: int) -> None:
    iris = used(rig, f"iris_{'left' if action.endswith('Left') else 'right'}")
    assert sign * (posed(rig, **{action: 1.0})[iris] - rig.vertices[iris]).mean(0)[axis] > 0.002


def test_eye_joints_are_the_middles_of_the_balls() -> None:
    person = AnnyHead({"age": 0.33}, {"l-eye-trans-up": 1.0})
    for side in ("left", "right"):
        ball = person.rig.vertices[used(person.rig, f"eye_{side}")]
        distance = (ball - person.rig.joints[person.rig.joint_index(f"{side}_eye")]).norm(dim=1)
        assert distance.max() - distance.min() < 1.5e-3  # the cornea bulges
        assert 0.008 < eyeball(HEAD, person.rig.vertices.numpy(), side)[1] < 0.02


def test_fit_sphere_finds_a_cap() -> None:
    rays = np.random.default_rng(0).normal(size=(60, 3))
    rays[:, 2] = -np.abs(rays[:, 2])
    points = np.array([0.3, -2.0, 0.1]) + 0.015 * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    centre, radius = fit_sphere(points.astype(np.float64))
    assert np.allclose(centre, [0.3, -2.0, 0.1], atol=1e-8)
    assert radius == pytest.approx(0.015)


def test_landmarks_are_on_the_face_and_mirrored(rig: Rig) -> None:
    marks = rig.landmarks
    assert marks is not None
    assert {f"ibug_{number}" for number in range(68)} | {"pupil_left", "pupil_right"} <= set(marks.names)
    assert sum(name.startswith("mediapipe_") for name in marks.names) >= 105
    assert torch.allclose(marks.barycentrics.sum(1), torch.ones(len(marks.names)), atol=1e-5)
    assert marks.barycentrics.min() >= 0
    at = dict(zip(marks.names, marks.positions(rig.vertices, rig.faces), strict=True))
    pairs = [(0, 16), (8, 8), (17, 26), (21, 22), (31, 35), (36, 45), (39, 42), (37, 44), (41, 46), (48, 54), (60, 64)]
    for right, left in pairs:
        mirrored = at[f"ibug_{left}"] * torch.tensor([-1.0, 1.0, 1.0])
        assert (at[f"ibug_{right}"] - mirrored).norm() < 2e-3
        assert at[f"ibug_{left}"][0] >= -1e-3
    heights = [float(at[f"ibug_{number}"][1]) for number in (19, 37, 27, 30, 33, 51, 57, 8)]
    assert heights[2:] == sorted(heights[2:], reverse=True)
    assert heights[0] > heights[1]
    nose = at["ibug_30"][2]
    assert all(point[2] <= nose + 1e-3 for point in at.values())
    assert (at["pupil_left"] - rig.joints[rig.joint_index("left_eye")])[2] > 0.01


def test_lip_landmarks_open_with_the_jaw(rig: Rig) -> None:
    assert rig.landmarks is not None
    names = rig.landmarks.names
    at = rig.landmarks.positions(posed(rig, jawOpen=1.0), rig.faces)
    shut = rig.landmarks.positions(rig.vertices, rig.faces)
    upper, lower = names.index("ibug_62"), names.index("ibug_66")
    assert (shut[upper] - shut[lower])[1] < 0.002
    assert (at[upper] - at[lower])[1] > 0.02


def test_a_child_opens_its_jaw_in_proportion() -> None:
    def opening(person: Rig) -> float:
        """Mouth opening at jawOpen 1 by the length of the face."""
        assert person.landmarks is not None
        names = person.landmarks.names
        at = person.landmarks.positions(posed(person, jawOpen=1.0), person.faces)
        rest = person.landmarks.positions(person.vertices, person.faces)
        gap = at[names.index("ibug_62")] - at[names.index("ibug_66")]
        return float(gap[1] / (rest[names.index("ibug_27")] - rest[names.index("ibug_8")]).norm())

    assert opening(AnnyHead({"age": 0.1}).rig) == pytest.approx(opening(AnnyHead({"age": 0.66}).rig), rel=0.1)


@given(PHENOTYPES)
def test_any_phenotype_gives_a_head(phenotype: Phenotype) -> None:
    person = AnnyHead(phenotype).rig
    assert torch.isfinite(person.vertices).all()
    assert torch.isfinite(person.expressions).all()
    face = person.vertices[used(person, "face")]
    assert 0.05 < float(face[:, 1].max() - face[:, 1].min()) < 0.35
    assert 0.05 < float(face[:, 0].max() - face[:, 0].min()) < 0.30
    assert person.expressions.norm(dim=2).max() < 0.08
    edges = person.vertices[person.faces] - person.vertices[person.faces.roll(1, 1)]
    assert edges.norm(dim=2).max() < 0.08
    assert_lids_close(person)


@given(PHENOTYPES, st.sampled_from([(-1 / 3, 0.0), (0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0)]), UNIT)
def test_between_two_ages_people_are_blended(phenotype: Phenotype, ages: tuple[float, float], t: float) -> None:
    young, old, between = (
        replace(phenotype, age=age).coefficients(HEAD.phenotype_mask)
        for age in (*ages, min(max((1 - t) * ages[0] + t * ages[1], ages[0]), ages[1]))
    )
    assert np.allclose(between, (1 - t) * young + t * old, atol=1e-9)


def test_ancestries_are_relative_to_their_sum() -> None:
    alike = [Phenotype(african=x, asian=x, caucasian=x).coefficients(HEAD.phenotype_mask) for x in (0.0, 0.2, 1.0)]
    assert np.allclose(alike[0], alike[1])
    assert np.allclose(alike[1], alike[2])


def test_template_points_are_shared_by_everybody() -> None:
    child, old = AnnyHead({"age": 0.3}), AnnyHead({"age": 1.0})
    assert torch.equal(child.template_points, old.template_points)
    assert len(child.template_points) == len(child.rig.vertices) == len(child.vertex_ids)
    lips = child.template_points[used(child.rig, "lips")]
    assert 0.64 < float(lips[:, 1].mean()) < 0.68


def test_building_a_rig_leaves_the_file_alone() -> None:
    before = HEAD.template.copy()
    first = AnnyHead({"age": 0.9}, {"nose-hump-incr": 1.0}).rig
    second = AnnyHead({"age": 0.9}, {"nose-hump-incr": 1.0}).rig
    assert np.array_equal(HEAD.template, before)
    assert torch.equal(first.vertices, second.vertices)
    assert torch.equal(first.expressions, second.expressions)


def test_a_local_change_works_both_ways() -> None:
    plain = AnnyHead().rig.vertices
    up, down = (AnnyHead(local_changes={"nose-hump-incr": value}).rig.vertices for value in (1.0, -1.0))
    assert (up - plain).norm(dim=1).max() > 1e-3
    assert (down - plain).norm(dim=1).max() > 1e-3
    assert not torch.allclose(up - plain, down - plain)


@pytest.mark.parametrize(
    ("phenotype", "changes", "word"),
    [
        ({"age": 1.2}, {}, "1.2"),
        ({"gender": float("nan")}, {}, "gender"),
        ({"beauty": 0.5}, {}, "beauty"),
        ({}, {"nose-hump-incr": -1.5}, "-1.5"),
        ({}, {"nose-job": 0.5}, "nose-job"),
    ],
)
def test_wrong_values_are_named(phenotype: dict[str, float], changes: dict[str, float], word: str) -> None:
    with pytest.raises(UserError, match=word):
        AnnyHead(phenotype, changes)


def test_load_head() -> None:
    assert load_head("anny", phenotype={"age": 0.5}).phenotype.age == 0.5
    for kind in ("flame", "smplx", "mesh"):
        with pytest.raises(UserError, match=kind):
            load_head(kind)


def test_local_change_names_are_of_the_head() -> None:
    names = local_change_names()
    assert len(set(names)) == len(names) >= 100
    assert {"head-oval", "asym-nose-1-l", "nose-hump-incr", "measure-neck-circ-incr"} <= set(names)
    assert not any("foot" in name or "leg" in name for name in names)
