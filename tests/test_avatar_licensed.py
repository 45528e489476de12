"""Avatars on licensed models: made from a prompt, stored without the model, read again with it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.animportrait3d import AnimPortrait3DPipeline
from pipeline.avatar import Layer
from pipeline.avatar_folder import CONFIG, WEIGHTS, load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.formats.glb import read_avatar_glb, write_avatar_glb
from pipeline.rendering.portrait import portrait

PROMPT = "a woman with long blonde hair"


@pytest.fixture(scope="module")
def made(model_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMPORTRAIT3D_MODELS", str(model_folder))
        output = AnimPortrait3DPipeline()(PROMPT, head="flame")
    return output.avatars[0], output.recipes[0]


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "avatar"
    save_avatar_folder(*made, place)
    return place


def test_a_prompt_dresses_a_licensed_head(made):
    avatar, recipe = made
    assert recipe.head == avatar.rig.basis == "flame2023"
    assert any("what FLAME 2023 lacks of neck and shoulders are lent by the free head" in note for note in recipe.notes)
    present = set(avatar.layer.unique().tolist())
    assert {Layer.SKIN, Layer.EYE, Layer.MOUTH, Layer.BROW, Layer.HAIR, Layer.CLOTH} <= present


def test_its_face_is_whole_at_rest_and_with_open_mouth_and_closed_eyes(made):
    avatar = made[0]
    rig = avatar.rig
    magenta = (1.0, 0.0, 1.0)
    for jaw, lids in ((0.0, 0.0), (0.3, 0.0), (0.0, 1.0)):
        expression, rotations = rig.neutral()
        rotations[0, rig.joint_index("jaw"), 0] = jaw
        expression[0, -2:] = lids
        face = portrait(avatar, 256, expression=expression, rotations=rotations, background=magenta).numpy()
        middle = face[60:150, 100:156].astype(int)
        through = (middle[..., 0] - middle[..., 1] > 120) & (middle[..., 2] - middle[..., 1] > 120)
        assert not through.any(), (jaw, lids)


def test_the_folder_holds_no_number_of_the_model(made, folder):
    avatar = made[0]
    assert not (folder / "avatar.glb").exists()
    tensors = load_file(folder / WEIGHTS)
    assert not any(name.startswith("rig") for name in tensors)
    cage = int(avatar.rig.regions["hair_cage"].sum())
    assert len(tensors["added_faces"]) == cage > 0
    own = avatar.rig.vertices[: len(avatar.rig.vertices) - len(tensors["added_vertices"])]
    for name in ("added_vertices", "means"):
        near = torch.cdist(tensors[name][:4000], own[::7]).min()
        assert near > 1e-7, name
    config = json.loads((folder / CONFIG).read_text())
    assert config["model"]["release"] == "flame2023"
    assert len(config["model"]["shape"]) == 300
    assert "expression_names" not in config


def test_it_is_the_same_avatar_again(made, folder, models):
    avatar, again = made[0], load_avatar_folder(folder)
    assert torch.equal(again.rig.vertices, avatar.rig.vertices)
    assert torch.equal(again.rig.weights, avatar.rig.weights)
    assert torch.equal(again.face, avatar.face)
    assert again.rig.model == avatar.rig.model
    assert torch.equal(portrait(again, 96), portrait(avatar, 96))


def test_an_avatar_that_was_stored_before_still_opens(folder, models, tmp_path):
    """Its identity has neither assets nor a fit."""
    (tmp_path / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    config = json.loads((folder / CONFIG).read_text())
    for name in ("assets", "fit"):
        del config["model"][name]
    (tmp_path / CONFIG).write_text(json.dumps(config))
    assert load_avatar_folder(tmp_path).rig.model == load_avatar_folder(folder).rig.model


def test_without_the_model_file_there_is_a_sentence(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    from pipeline.heads.licensed_person import stored_person

    stored_person.cache_clear()
    with pytest.raises(UserError, match="this avatar stands on FLAME 2023"):
        load_avatar_folder(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"num_faces": 3}, "hang on 3 triangles"),
        ({"num_splats": 7}, r"asks for \(7, 3\)"),
        ({"num_splats": 10**9}, "at most 4000000"),
        ({"rasterize_mode": "soft"}, "not one of antialiased"),
        ({"model": {"kind": "flame"}}, "shape.* is missing"),
    ],
)
def test_a_damaged_config_is_a_sentence(folder, models, tmp_path, change, reason):
    for name in (CONFIG, WEIGHTS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    config = json.loads((folder / CONFIG).read_text()) | change
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"is damaged .*{reason}"):
        load_avatar_folder(tmp_path)


def test_a_splat_on_no_triangle_is_a_sentence(folder, models, tmp_path):
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    tensors = load_file(folder / WEIGHTS)
    tensors["face"][5] = 10**6
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(UserError, match="a triangle that is not there"):
        load_avatar_folder(tmp_path)


def test_the_viewers_file_poses_like_the_rig(made, tmp_path):
    """Pose correctives, moved joints and four weights per vertex reach the browser's file."""
    rig = made[0].rig
    write_avatar_glb(made[0], tmp_path / "a.glb")
    back = read_avatar_glb(tmp_path / "a.glb").rig
    generator = torch.Generator().manual_seed(4)
    expression = torch.randn(4, len(rig.expression_names), generator=generator)
    rotations = torch.randn(4, len(rig.joint_names), 3, generator=generator) * 0.2
    off = (back.pose(expression, rotations) - rig.pose(expression, rotations)).norm(dim=-1)
    assert back.joint_dirs.shape == rig.joint_dirs.shape
    assert np.quantile(off, 0.99) < 2.5e-4
    assert off.max() < 1e-3
