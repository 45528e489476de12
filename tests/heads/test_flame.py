"""FLAME heads against smplx itself, on synthetic files in the exact schema."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads import load_head
from pipeline.heads.flame import FlameHead
from pipeline.heads.official_files import IBUG_EMBEDDING, MEDIAPIPE_EMBEDDING
from pipeline.heads.smplx_module import load_module
from tests.heads import models

REGIONS = {"skin", "scalp", "face", "ears", "lips", "eyelids", "eye_left", "eye_right", "iris_left", "neck"}
FRAMES = 6


def smplx_vertices(head, expression, rotations):
    module = load_module(head.file.model)
    names = ("global_orient", "neck_pose", "jaw_pose", "leye_pose", "reye_pose")
    pose = {name: rotations[:, joint] for joint, name in enumerate(names)}
    betas = head.shape.expand(len(expression), -1)
    return module(betas=betas, expression=expression, transl=torch.zeros(len(expression), 3), **pose).vertices


@pytest.fixture(scope="module")
def head(flame_file):
    return FlameHead(flame_file("flame2020"), shape=torch.randn(300, generator=torch.manual_seed(1)).tolist())


def test_posed_vertices_equal_smplx(head):
    expression, rotations = torch.randn(FRAMES, 100) * 1.5, torch.randn(FRAMES, 5, 3) * 0.3
    posed = head.rig.pose(torch.cat([expression, torch.zeros(FRAMES, 2)], 1), rotations)
    theirs = smplx_vertices(head, expression, rotations)
    still = smplx_vertices(head, torch.zeros(1, 100), torch.zeros(1, 5, 3))[0]
    origin = (still - head.rig.vertices).mean(0)  # the rig's origin is its neck joint
    assert (posed + origin - theirs).abs().max() < 1e-5
    assert (theirs[0] - still).norm(dim=1).max() > 0.01


def test_the_rig_is_whole(head):
    rig = head.rig
    assert head.release == rig.basis == "flame2020"
    assert rig.vertices.shape == (5023, 3)
    assert rig.faces.shape == (9976, 3)
    assert rig.expressions.shape == (102, 5023, 3)
    assert rig.expression_names[:2] == ("expression_000", "expression_001")
    assert rig.expression_names[-2:] == ("eyelid_left", "eyelid_right")
    assert rig.joint_names == ("root", "neck", "jaw", "left_eye", "right_eye")
    assert rig.parents == (-1, 0, 1, 1, 1)
    assert torch.allclose(rig.joints[rig.joint_index("neck")], torch.zeros(3))
    assert {name for name in REGIONS if rig.regions[name].any()} == REGIONS
    assert head.template_points.shape == (5023, 3)
    assert {"ibug_0", "ibug_67", "pupil_left", "mediapipe_33"} <= set(rig.landmarks.names)


def test_axes_are_ours(head):
    rig = head.rig
    marks = dict(zip(rig.landmarks.names, rig.landmarks.positions(rig.vertices, rig.faces), strict=True))
    assert marks["pupil_left"][0] > 0.02 > -0.02 > marks["pupil_right"][0]
    assert marks["ibug_27"][1] > marks["ibug_8"][1] + 0.05
    assert marks["ibug_30"][2] > marks["ibug_0"][2] + 0.05
    opened, rest = rig.neutral()[1].clone(), rig.neutral()
    opened[0, rig.joint_index("jaw"), 0] = 0.3
    chin = rig.landmarks.names.index("ibug_8")
    lower = rig.landmarks.positions(rig.pose(rest[0], opened), rig.faces)[0, chin]
    assert lower[1] < marks["ibug_8"][1] - 0.01


def test_eyelids_close_their_own_eye(head):
    rig = head.rig
    marks = {name: index for index, name in enumerate(rig.landmarks.names)}
    expression, rotations = rig.neutral()
    expression[0, rig.expression_index("eyelid_left")] = 1
    closed = rig.landmarks.positions(rig.pose(expression, rotations)[0], rig.faces)
    rest = rig.landmarks.positions(rig.vertices, rig.faces)
    gap = lambda points, upper, lower: (points[marks[upper]] - points[marks[lower]]).norm()  # noqa: E731
    assert gap(closed, "ibug_44", "ibug_46") < 0.4 * gap(rest, "ibug_44", "ibug_46")  # the subject's left eye
    assert gap(closed, "ibug_37", "ibug_41") == pytest.approx(float(gap(rest, "ibug_37", "ibug_41")), rel=1e-3)


def test_the_shape_makes_another_person_of_the_same_mesh(head, flame_file):
    mean = FlameHead(flame_file("flame2020"))
    assert torch.equal(mean.rig.faces, head.rig.faces)
    assert (mean.rig.vertices - head.rig.vertices).norm(dim=1).max() > 0.003
    assert torch.equal(mean.template_points, head.template_points)


def test_the_registration_is_made_once(flame_file, monkeypatch):
    FlameHead(flame_file("flame2020")).correspondence  # noqa: B018
    monkeypatch.setattr("pipeline.heads.licensed.correspond", None)
    assert FlameHead(flame_file("flame2020"), shape=[1.0]).template_points.shape == (5023, 3)


def test_files_of_the_makers_win(head, flame_file, tmp_path, monkeypatch):
    told = []

    def correspond(*arguments):
        told.append(arguments[-1])
        return head.correspondence

    monkeypatch.setattr("pipeline.heads.licensed.correspond", correspond)
    path = shutil.copy(flame_file("flame2020"), tmp_path)
    faces, places = models.landmark_embedding(models.PEOPLE["flame2020"])
    embedding = {"lmk_face_idx": faces[17:], "lmk_b_coords": places[17:]}
    models.write_pickle(tmp_path / IBUG_EMBEDDING, embedding, ())
    np.savez(
        tmp_path / MEDIAPIPE_EMBEDDING,
        lmk_face_idx=faces[:2],
        lmk_b_coords=places[:2],
        landmark_indices=np.array([33, 263]),
    )
    lids = np.random.default_rng(0).normal(scale=1e-3, size=(2, 5023, 3))
    for name, lid in zip(("l_eyelid.npy", "r_eyelid.npy"), lids, strict=True):
        np.save(tmp_path / name, lid)
    rig = FlameHead(path).rig
    names = rig.landmarks.names
    assert len(told[0]) == 53
    assert rig.landmarks.faces[names.index("ibug_30")] == faces[30]
    assert rig.landmarks.faces[names.index("mediapipe_263")] == faces[1]
    assert torch.allclose(rig.expressions[-2:], torch.from_numpy(lids).float())


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("l_eyelid.npy", np.zeros((5143, 3)), "l_eyelid.npy does not hold 5023"),
        ("l_eyelid.npy", np.full((5023, 3), np.nan), "should be in metres"),
        ("l_eyelid.npy", np.array([object()]), "l_eyelid.npy cannot be read"),
    ],
)
def test_bad_eyelids_are_named(flame_file, tmp_path, name, array, sentence):
    path = shutil.copy(flame_file("flame2020"), tmp_path)
    np.save(tmp_path / "r_eyelid.npy", np.zeros((5023, 3)))
    np.save(tmp_path / name, array, allow_pickle=True)
    with pytest.raises(UserError, match=sentence):
        FlameHead(path).rig  # noqa: B018


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [([0.0] * 301, "301 coefficients"), ([0.0, 30.0], "coefficient is 30"), ([float("nan")], "coefficient is")],
)
def test_impossible_shapes_are_refused(flame_file, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        FlameHead(flame_file("flame2020"), shape=shape)


def test_ten_directions_of_each_kind_are_enough(tmp_path, monkeypatch):
    arrays = models.flame_arrays("flame2020")
    few = np.concatenate([arrays["shapedirs"][:, :, :10], arrays["shapedirs"][:, :, 300:310]], 2)
    models.write_pickle(tmp_path / "flame2020.pkl", arrays | {"shapedirs": few}, ())
    head = load_head("flame", path=tmp_path / "flame2020.pkl", shape=[1.0] * 10)
    assert head.rig.expressions.shape == (12, 5023, 3)
    assert "has only 10 expressions instead of 100" in head.file.notes[-1]
    with pytest.raises(UserError, match="11 coefficients"):
        FlameHead(tmp_path, shape=[0.0] * 11)
