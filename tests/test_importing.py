"""Avatars that somebody brings: AnimPortrait3D's and our own, as zip and folder, and what must not get in."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch

from pipeline.__main__ import main
from pipeline.avatar_folder import CONFIG, WEIGHTS, load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.export import SUFFIXES, WRITERS, export_pose, hangs_on_their_mesh
from pipeline.files import zip_folder
from pipeline.formats.glb import read_avatar_glb, write_avatar_glb
from pipeline.formats.spz import read_spz
from pipeline.heads import fitted_person
from pipeline.heads.smplx import SmplxHead
from pipeline.importing import import_avatar, missing_for_animportrait3d, prepare_for_animportrait3d
from pipeline.inspection import describe
from pipeline.recipe import Recipe
from pipeline.rendering.portrait import portrait
from tests import animportrait3d_avatar as theirs
from tests.heads.assets import TEETH, segments, tooth_row
from tests.heads.models import smplx_arrays
from tests.heads.test_smplx import smplx_vertices
from tests.synthetic import synthetic_avatar

SPLATS = 3000


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return theirs.write_avatar_zip(tmp_path_factory.mktemp("gallery") / "007.zip", SPLATS, seed=1)


@pytest.fixture(scope="module")
def imported(archive, model_folder, animportrait3d_assets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMPORTRAIT3D_MODELS", f"{model_folder}{os.pathsep}{animportrait3d_assets}")
        return import_avatar(archive)


def members(path):
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_their_avatar_opens_with_its_sentence(imported):
    assert imported.recipe.prompt == theirs.PROMPT
    assert (imported.recipe.prior, imported.recipe.head, imported.recipe.attributes) == (
        "animportrait3d",
        "smplx2020",
        {},
    )
    avatar = imported.avatar
    assert (avatar.config["rasterize_mode"], avatar.config["sh_frame"]) == ("classic", "world")
    assert (len(avatar.face), avatar.sh.shape[1], imported.notes) == (SPLATS, 16, ())
    assert Recipe.from_json(imported.recipe.to_json()) == imported.recipe


def test_splats_lie_where_animportrait3d_puts_them(imported, models, animportrait3d_assets):
    """Their own triangles, in their order of corners, on smplx itself, with the fitted lids."""
    table, params = theirs.point_cloud(SPLATS, 1), theirs.fitted_params(1)
    head = SmplxHead(models, shape=params["fitted_shape"][0].tolist(), assets=animportrait3d_assets)
    rig, assets = imported.avatar.rig, head._assets
    body = assets.crop[: len(assets.crop) - 2 * TEETH]
    at_rest = torch.zeros(1, len(rig.joint_names), 3)
    vertices = smplx_vertices(head, torch.zeros(1, 100), at_rest, np.pi / 3)[0].numpy()
    lids = (assets.eyelids.numpy() * params["fitted_eyelid_params"][0][:, None, None]).sum(0)
    vertices[assets.flame_ids] += lids
    origin = (vertices[body] - rig.vertices[: len(body)].numpy()).mean(0, dtype=np.float64)
    corners = assets.crop[segments(smplx_arrays()["f"], assets.crop, tooth_row(1.0)[1])["valid_face"].numpy()]
    on_body = (corners < len(vertices)).all(1)[table["binding_0"].astype(int)]
    a, b, c = vertices[corners[table["binding_0"].astype(int)[on_body]].T] - origin
    first = (b - a) / np.linalg.norm(b - a, axis=1, keepdims=True)
    normal = np.cross(first, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    third = -np.cross(normal, first)  # as they write it
    size = (np.linalg.norm(b - a, axis=1) + np.abs((third * (c - a)).sum(1))) / 2
    local = np.stack([table[axis][on_body] for axis in "xyz"], -1)
    world = first * local[:, :1] + normal * local[:, 1:2] + third * local[:, 2:]
    world = size[:, None] * world + (a + b + c) / 3
    ours = imported.avatar.gaussians(rig.vertices).means.detach().numpy()[on_body]
    assert len(ours) > SPLATS / 2
    np.testing.assert_allclose(ours, world, atol=2e-6)


def test_a_blink_closes_what_the_fit_left_open(imported, models, animportrait3d_assets):
    rig = imported.avatar.rig
    whole = SmplxHead(models, theirs.fitted_params(1)["fitted_shape"][0].tolist(), animportrait3d_assets).rig
    for side in ("eyelid_left", "eyelid_right"):
        channel = rig.expression_index(side)
        closed = whole.vertices + whole.expressions[channel]
        moved = whole.expressions[channel].norm(dim=1) > 1e-3
        torch.testing.assert_close((rig.vertices + rig.expressions[channel])[moved], closed[moved], atol=1e-5, rtol=0)


def test_it_moves_and_is_drawn(imported):
    rig = imported.avatar.rig
    rotations = rig.neutral()[1]
    rotations[0, rig.joint_index("jaw"), 0] = 0.3
    rotations[0, rig.joint_index("head"), 1] = 0.4
    still, turned = portrait(imported.avatar, 64), portrait(imported.avatar, 64, rotations=rotations)
    assert (still.float() - turned.float()).abs().mean() > 2
    hair = still[8:14, 28:36].float().mean((0, 1))
    jumper = still[60:, 28:36].float().mean((0, 1))
    assert hair.max() < 110
    assert jumper[2] > jumper[0] + 20


def test_it_leaves_as_the_bytes_that_came(imported, archive, models_and_assets, tmp_path):
    assert hangs_on_their_mesh(imported.avatar)
    rest = imported.avatar.rig.neutral()
    export_pose(imported.avatar, "animportrait3d", tmp_path / "a.zip", *rest, prompt=imported.recipe.prompt)
    export_pose(imported.avatar, "animportrait3d", tmp_path / "a.ply", *rest)
    before, after = members(archive), members(tmp_path / "a.zip")
    assert after.keys() == before.keys()
    assert after["point_cloud.ply"] == before["point_cloud.ply"] == (tmp_path / "a.ply").read_bytes()
    assert after["prompt.txt"] == before["prompt.txt"]
    again = import_avatar(tmp_path / "a.zip")
    assert again.avatar.rig.model == imported.avatar.rig.model


def test_it_is_stored_without_the_model_and_is_the_same_again(imported, archive, models_and_assets, tmp_path):
    save_avatar_folder(imported.avatar, imported.recipe, tmp_path / "A")
    assert not (tmp_path / "A" / "avatar.glb").exists()
    assert sum(file.stat().st_size for file in (tmp_path / "A").iterdir()) < SPLATS * 260 + 600_000
    again = load_avatar_folder(tmp_path / "A")
    for name, value in imported.avatar.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert again.rig.model == imported.avatar.rig.model
    assert main(["export", str(tmp_path / "A"), "--format", "animportrait3d", "--out", str(tmp_path / "b.zip")]) == 0
    assert members(tmp_path / "b.zip")["point_cloud.ply"] == members(archive)["point_cloud.ply"]
    assert members(tmp_path / "b.zip")["prompt.txt"].decode() == theirs.PROMPT


def test_the_viewers_file_has_all_of_it(imported, tmp_path):
    write_avatar_glb(imported.avatar, tmp_path / "a.glb")
    back = read_avatar_glb(tmp_path / "a.glb")
    assert (back.config["rasterize_mode"], back.config["sh_frame"]) == ("classic", "world")
    assert back.sh.shape == imported.avatar.sh.shape
    assert back.rig.vertices.shape == imported.avatar.rig.vertices.shape


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"assets": "0" * 64}, "stands on another asset folder"),
        ({"assets": ""}, "one of assets and fit without the other"),
        ({"fit": {}}, "'expression' is missing"),
        ({"fit": [1]}, "is damaged"),
        ({"shape": [float("nan")] * 300}, "not finite"),
    ],
)
def test_a_changed_identity_is_a_sentence(imported, models_and_assets, tmp_path, change, sentence):
    save_avatar_folder(imported.avatar, imported.recipe, tmp_path / "A")
    config = json.loads((tmp_path / "A" / CONFIG).read_text())
    config["model"] |= change
    (tmp_path / "A" / CONFIG).write_text(json.dumps(config))
    with pytest.raises(UserError, match=sentence):
        load_avatar_folder(tmp_path / "A")


def test_what_is_missing_here_is_told(archive, models, models_and_assets, monkeypatch, tmp_path):
    assert missing_for_animportrait3d() == ""
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(models))
    assert missing_for_animportrait3d().startswith("the asset folder of AnimPortrait3D is missing: get its GSAvatar")
    with pytest.raises(UserError, match="the asset folder of AnimPortrait3D is missing"):
        import_avatar(archive)
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    told = missing_for_animportrait3d()
    assert "needs a model file of your own" in told
    assert "asset folder" in told
    assert len(told.splitlines()) == 1
    lines = describe(archive)
    assert lines[0] == "avatar of AnimPortrait3D"
    assert f"{SPLATS:,} splats" in lines[2]
    assert lines[3].startswith("note: it cannot be opened here")


def test_it_can_be_prepared_and_is_not_where_nothing_is(models_and_assets, monkeypatch, tmp_path):
    prepare_for_animportrait3d()
    cached = fitted_person._neutral.cache_info()
    assert cached.currsize == 1
    prepare_for_animportrait3d()
    assert fitted_person._neutral.cache_info().misses == cached.misses
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    prepare_for_animportrait3d()
    assert fitted_person._neutral.cache_info().misses == cached.misses


def test_the_command_line_imports(archive, models_and_assets, tmp_path, capsys):
    assert main(["import", str(archive), "--out", str(tmp_path / "A")]) == 0
    assert "3,000 splats" in capsys.readouterr().out
    assert (tmp_path / "A" / "preview.png").is_file()
    assert main(["inspect", str(tmp_path / "A"), str(archive)]) == 0
    assert theirs.PROMPT in capsys.readouterr().out
    assert main(["import", str(tmp_path / "nothing.zip"), "--out", str(tmp_path / "B")]) == 2


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("own") / "A"
    save_avatar_folder(synthetic_avatar(), Recipe("a bald man", 7, {}, {}, [], []), place)
    return place


def test_our_own_folder_opens_loose_and_as_a_zip(own_folder, tmp_path):
    zip_folder(own_folder, tmp_path / "a.zip")
    for place in (own_folder, tmp_path / "a.zip"):
        imported = import_avatar(place)
        assert (imported.recipe.prompt, imported.recipe.seed) == ("a bald man", 7)
        assert imported.preview == (own_folder / "preview.png").read_bytes()
        assert torch.equal(imported.avatar.means, synthetic_avatar().means)
    assert describe(tmp_path / "a.zip")[0] == "avatar folder in a zip"


@pytest.mark.parametrize(
    "recipe",
    ["{", "[]", '{"prompt": 3}', "[" * 100_000, json.dumps({"prompt": "x", "seed": "7", "overrides": {}})],
)
def test_a_recipe_that_cannot_be_understood_keeps_the_avatar(own_folder, tmp_path, recipe):
    shutil.copytree(own_folder, tmp_path / "A")
    (tmp_path / "A" / "recipe.json").write_text(recipe)
    (tmp_path / "A" / "prompt.txt").write_bytes(b"a\x00bald\nman \xff" + b"x" * 5000)
    imported = import_avatar(tmp_path / "A")
    assert imported.recipe.prompt.startswith("a bald man \ufffdxxx")
    assert len(imported.recipe.prompt) == 1000
    assert "cannot be read" in imported.notes[0]


def test_foreign_attributes_are_left_out(own_folder, tmp_path):
    shutil.copytree(own_folder, tmp_path / "A")
    values = json.loads((own_folder / "recipe.json").read_text()) | {"attributes": {"age": [], "gender": "<b>"}}
    (tmp_path / "A" / "recipe.json").write_text(json.dumps(values))
    assert import_avatar(tmp_path / "A").recipe.attributes == {}


def test_other_avatars_cannot_be_written_as_theirs(tmp_path):
    avatar = synthetic_avatar()
    assert not hangs_on_their_mesh(avatar)
    with pytest.raises(UserError, match="does not hang on AnimPortrait3D's own mesh"):
        export_pose(avatar, "animportrait3d", tmp_path / "a.zip", *avatar.rig.neutral())
    assert list(WRITERS) == list(SUFFIXES) == ["ply", "spz", "glb", "animportrait3d"]
    export_pose(avatar, "spz", tmp_path / "a.spz", *avatar.rig.neutral())
    assert read_spz(tmp_path / "a.spz").antialiased
    assert any("spz" in line.lower() for line in describe(tmp_path / "a.spz"))


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files:
            opened.writestr(name, content)
    return path


BOMB = b"\0" * 50_000_000


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("readme.txt", b"hello")], "holds no avatar"),
        ([("a/point_cloud.ply", b"ply"), ("b/point_cloud.ply", b"ply")], "holds point_cloud.ply twice"),
        ([("point_cloud.ply", BOMB), ("fitted_params.pkl", b"")], "unpacks to 50 MB of almost nothing"),
        ([("fitted_params.pkl", b"x" * 1_000_001)], "larger than 1 MB"),
        ([(f"{index}.txt", b"") for index in range(2001)], "holds 2001 files"),
        ([("point_cloud.ply", b"ply"), ("fitted_params.pkl", b"nothing")], "fitted_params.pkl is no pickle"),
        ([(CONFIG, b"{}"), (WEIGHTS, b"")], "the avatar in a.zip is damaged"),
    ],
)
def test_a_hostile_zip_is_a_sentence(tmp_path, files, sentence):
    with pytest.raises(UserError, match=sentence):
        import_avatar(zipped(tmp_path / "a.zip", files))


def test_names_in_a_zip_decide_nothing(own_folder, tmp_path):
    files = [(f"../../../{file.name}", file.read_bytes()) for file in own_folder.iterdir()]
    imported = import_avatar(zipped(tmp_path / "a.zip", files))
    assert imported.recipe.prompt == "a bald man"
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip"}


def test_a_damaged_or_missing_archive_is_a_sentence(own_folder, tmp_path):
    zip_folder(own_folder, tmp_path / "a.zip")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(content)
    (tmp_path / "c.zip").write_bytes(content[: len(content) // 2])
    (tmp_path / "d.zip").write_bytes(b"")
    for name in ("b.zip", "c.zip", "d.zip", "nothing.zip"):
        with pytest.raises(UserError) as error:
            import_avatar(tmp_path / name)
        assert len(str(error.value).splitlines()) == 1


def test_a_picture_that_is_none_is_left_out(own_folder, tmp_path):
    shutil.copytree(own_folder, tmp_path / "A")
    (tmp_path / "A" / "preview.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    assert import_avatar(tmp_path / "A").preview is None


def test_a_preview_that_claims_more_pixels_than_memory_is_left_out(tmp_path, own_folder):
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    shutil.copytree(own_folder, tmp_path / "A")
    (tmp_path / "A" / "preview.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    )
    assert import_avatar(tmp_path / "A").preview is None
