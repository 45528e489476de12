"""SMPL-X busts against smplx itself, and AnimPortrait3D's mesh, on synthetic files in the exact schemas."""

from __future__ import annotations

import math
import pickle
import shutil

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.bust import KEPT
from pipeline.heads.smplx import SmplxHead, kept_vertices
from pipeline.heads.smplx_module import load_module
from tests.heads.assets import CROP, QUADS, TEETH
from tests.heads.models import flame_rows, smplx_arrays

FRAMES = 4
BODY_JOINTS = ("spine3", "neck", "left_collar", "right_collar", "head")


def smplx_vertices(head, expression, rotations, shoulders=0.0):
    """smplx's own (T, 10475, 3) for rotations of the joints that the bust keeps."""
    frames, names = len(expression), list(KEPT)
    body = torch.zeros(frames, 21, 3)
    for name in BODY_JOINTS:
        body[:, KEPT[name] - 1] = rotations[:, names.index(name)]
    body[:, 15, 2], body[:, 16, 2] = -shoulders, shoulders
    still = {name: torch.zeros(frames, 45) for name in ("left_hand_pose", "right_hand_pose")}
    still |= {name: torch.zeros(frames, 3) for name in ("global_orient", "transl")}
    face = zip(("jaw_pose", "leye_pose", "reye_pose"), ("jaw", "left_eye", "right_eye"), strict=True)
    still |= {key: rotations[:, names.index(name)] for key, name in face}
    module = load_module(head.file.model)
    betas = head.shape.expand(frames, -1)
    return module(betas=betas, expression=expression, body_pose=body.reshape(frames, -1), **still).vertices


def random_pose(rig):
    rotations = torch.randn(FRAMES, len(rig.joint_names), 3) * 0.3
    rotations[:, 0] = 0  # the part of the body below the bust stays
    return torch.randn(FRAMES, 100), rotations


@pytest.fixture(scope="module")
def head(smplx_file):
    return SmplxHead(smplx_file, shape=torch.randn(300, generator=torch.manual_seed(2)).tolist())


@pytest.fixture(scope="module")
def with_assets(smplx_file, asset_folder):
    return SmplxHead(smplx_file, assets=asset_folder.parents[2])


def test_posed_vertices_equal_smplx(head):
    rig = head.rig
    expression, rotations = random_pose(rig)
    kept = kept_vertices(head._body)
    posed = rig.pose(torch.cat([expression, torch.zeros(FRAMES, 2)], 1), rotations)
    theirs = smplx_vertices(head, expression, rotations)[:, kept]
    still = smplx_vertices(head, torch.zeros(1, 100), torch.zeros(1, len(KEPT), 3))[0, kept]
    origin = (still - rig.vertices).mean(0)
    assert (posed + origin - theirs).abs().max() < 1e-5
    assert (theirs[0] - still).norm(dim=1).max() > 0.01


def test_the_bust_is_a_head_on_shoulders(head):
    rig = head.rig
    assert head.release == rig.basis == "smplx2020"
    assert rig.joint_names == tuple(KEPT)
    assert rig.parents[rig.joint_index("jaw")] == rig.joint_index("head")
    assert torch.allclose(rig.joints[rig.joint_index("head")], torch.zeros(3))
    assert torch.allclose(rig.weights.sum(1), torch.ones(len(rig.vertices)), atol=1e-5)
    assert rig.vertices[:, 1].min() > -0.6
    assert rig.vertices[:, 0].abs().max() < 0.35
    assert rig.pose_dirs.shape == (9 * (len(KEPT) - 1), len(rig.vertices), 3)
    assert {name for name in ("face", "lips", "torso", "eye_left", "scalp") if rig.regions[name].any()} >= {
        "face",
        "torso",
    }
    assert head.template_points.shape == rig.vertices.shape


def test_landmarks_of_the_file_win(head):
    rig, arrays = head.rig, smplx_arrays()
    theirs = head._body.faces[arrays["lmk_faces_idx"]]
    own = [rig.landmarks.names.index(f"ibug_{index}") for index in range(17, 68)]
    kept = kept_vertices(head._body)
    assert torch.equal(kept[rig.faces[rig.landmarks.faces[own]]], theirs)


def test_the_expressions_are_those_of_flame_2020(head):
    eyes = torch.isin(kept_vertices(head._body), torch.from_numpy(flame_rows()))
    assert (head.rig.expressions[:100, ~eyes] == 0).all()
    assert head.rig.expressions[0].norm(dim=1).max() > 0.003


def test_assets_make_their_mesh(with_assets):
    rig = with_assets.rig
    assert len(rig.vertices) == CROP == 9143
    regions = {name: int(rig.regions[name].sum()) for name in ("teeth", "teeth_upper", "teeth_lower", "inner_mouth")}
    assert regions["teeth"] == regions["teeth_upper"] + regions["teeth_lower"] == 2 * QUADS
    assert regions["inner_mouth"] == 4 * QUADS + 48 - 2 * QUADS
    triangles = rig.vertices[rig.faces[rig.regions["face"]]]
    normals = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    outwards = triangles.mean(1) - rig.vertices[rig.faces[rig.regions["scalp"]]].mean((0, 1))
    assert ((normals * outwards).sum(1) > 0).float().mean() > 0.8


def test_another_person_of_the_same_model_is_not_read_again(with_assets, smplx_file, asset_folder):
    shape = torch.randn(300, generator=torch.manual_seed(5)).tolist()
    other, alone = with_assets.of_shape(shape), SmplxHead(smplx_file, shape, asset_folder)
    assert other._body is with_assets._body
    assert torch.equal(other.rig.vertices, alone.rig.vertices)
    assert torch.equal(other.rig.pose_dirs, alone.rig.pose_dirs)
    assert not torch.equal(other.rig.vertices, with_assets.rig.vertices)


def test_teeth_ride_on_head_and_jaw(with_assets):
    rig = with_assets.rig
    upper, lower = slice(CROP - 2 * TEETH, CROP - TEETH), slice(CROP - TEETH, CROP)
    assert bool((rig.weights[upper, rig.joint_index("head")] == 1).all())
    assert bool((rig.weights[lower, rig.joint_index("jaw")] == 1).all())
    assert bool((rig.expressions[:, CROP - 2 * TEETH :] == 0).all())
    lips = rig.landmarks.positions(rig.vertices, rig.faces)[rig.landmarks.names.index("ibug_62")]
    row = rig.vertices[upper]
    assert row[:, 0].max() == pytest.approx(-float(row[:, 0].min()), abs=0.01)
    assert (row.mean(0) - lips).norm() < 0.05


def test_with_assets_the_head_moves_as_smplx_with_hanging_arms(with_assets):
    rig, crop = with_assets.rig, torch.from_numpy(with_assets._assets.crop)
    expression, rotations = random_pose(rig)
    posed = rig.pose(torch.cat([expression, torch.zeros(FRAMES, 2)], 1), rotations)
    theirs = smplx_vertices(with_assets, expression, rotations, math.pi / 3)
    still = smplx_vertices(with_assets, torch.zeros(1, 100), torch.zeros(1, len(KEPT), 3), math.pi / 3)[0]
    body = crop[: CROP - 2 * TEETH]
    origin = (still[body] - rig.vertices[: len(body)]).mean(0)
    assert (still[body] - rig.vertices[: len(body)] - origin).abs().max() < 1e-6
    error = (posed[:, : len(body)] + origin - theirs[:, body]).abs().amax((0, 2))
    on_arms = with_assets._body.weights[body][:, [16, 17]].sum(1) > 1e-6
    assert error[~on_arms].max() < 1e-5
    assert error.max() < 0.02


def test_eyelids_are_added_before_skinning(with_assets):
    rig = with_assets.rig
    expression, rotations = rig.neutral()
    turned = rotations.clone()
    turned[0, rig.joint_index("head")] = torch.tensor([0.0, 1.2, 0.0])
    closed = expression.clone()
    closed[0, -2] = 1.0
    moved = rig.pose(closed, rotations) - rig.pose(expression, rotations)
    moved_turned = rig.pose(closed, turned) - rig.pose(expression, turned)
    assert moved.norm(dim=2).max() == pytest.approx(0.0035, rel=0.1)
    assert torch.allclose(moved.norm(dim=2), moved_turned.norm(dim=2), atol=2e-5)
    left = moved[0].norm(dim=1) > 1e-3
    assert bool((rig.vertices[left, 0] > 0).all())


def test_missing_or_foreign_assets_are_named(smplx_file, asset_folder, tmp_path):
    with pytest.raises(UserError, match="is no asset folder of AnimPortrait3D: SMPL-X__FLAME_vertex_ids"):
        SmplxHead(smplx_file, assets=tmp_path)
    for name in ("l_eyelid.npy", "r_eyelid.npy"):
        with pytest.raises(UserError, match=name):
            (copy := tmp_path / f"without-{name}").mkdir()
            shutil.copytree(asset_folder, copy, dirs_exist_ok=True)
            (copy / name).unlink()
            SmplxHead(smplx_file, assets=copy)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("upper_teeth.obj", b"v 0 0 0\nv x 0 0\n", "upper_teeth.obj is no Wavefront file"),
        ("lower_teeth.obj", b"v 0 0 0\nf 1 1 1\n", "lower_teeth.obj has 1 vertices"),
        ("valid_vert_id.npy", b"\x93NUMPY", "valid_vert_id.npy cannot be read"),
        (
            "FLAME_masks_v2.pkl",
            pickle.dumps({"face": np.arange(5)}),
            "FLAME_masks_v2.pkl has no lip_outside_ring_upper",
        ),
    ],
)
def test_damaged_assets_are_named(smplx_file, asset_folder, tmp_path, name, content, sentence):
    shutil.copytree(asset_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        SmplxHead(smplx_file, assets=tmp_path)


def test_faces_of_another_model_are_refused(smplx_file, asset_folder, tmp_path):
    shutil.copytree(asset_folder, tmp_path, dirs_exist_ok=True)
    segments = pickle.loads((tmp_path / "seg_in_cropped_mesh.pkl").read_bytes())
    segments["valid_face"] = segments["valid_face"].roll(1, 0)
    (tmp_path / "seg_in_cropped_mesh.pkl").write_bytes(pickle.dumps(segments))
    with pytest.raises(UserError, match="was made for another model"):
        SmplxHead(smplx_file, assets=tmp_path)
