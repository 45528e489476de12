"""What may leave this machine."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import UserError
from pipeline.hub.publishable import licence_choices, publishable, slug
from tests.hub.folders import write_free, write_licensed

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    place = tmp_path_factory.mktemp("saved")
    return {"free": write_free(place / "free"), "licensed": write_licensed(place / "licensed")}


@pytest.fixture
def free(saved, tmp_path):
    return shutil.copytree(saved["free"], tmp_path / "free")


@pytest.fixture
def licensed(saved, tmp_path):
    return shutil.copytree(saved["licensed"], tmp_path / "licensed")


def change_json(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def add_tensor(file, name):
    save_file({**load_file(file), name: torch.zeros(3)}, file)


def test_only_files_of_the_list_and_a_name_by_content(free):
    (free / "notes.txt").write_text("private")
    (free / ".env").write_text("HF_TOKEN=secret")
    found = publishable(free)
    assert set(found.files) == {"config.json", WEIGHTS, "avatar.glb", "preview.png", "prompt.txt", "recipe.json"}
    assert publishable(free).name == found.name
    (free / "avatar.glb").write_bytes(b"other")
    assert publishable(free).name != found.name
    assert found.name.rsplit("-", 1)[0] == publishable(free).name.rsplit("-", 1)[0]


def test_of_a_licensed_head_neither_glb_nor_basis(licensed):
    (licensed / "avatar.glb").write_bytes(b"glTF")
    found = publishable(licensed)
    assert "avatar.glb" not in found.files
    assert found.model == "flame2023"
    add_tensor(licensed / WEIGHTS, "rig_expressions")
    with pytest.raises(UserError, match="rig_expressions, which may be a part of the licensed model"):
        publishable(licensed)


def test_a_licensed_rig_in_a_free_folder_stays_here(free):
    change_json(free / "recipe.json", head="flame2023")
    with pytest.raises(
        UserError, match=r"stores the whole head model \(flame2023, arkit52\), which may not be published"
    ):
        publishable(free)
    change_json(free / "recipe.json", head="anny")
    change_json(free / "config.json", basis="flame2023")
    with pytest.raises(UserError, match="stores the whole head model"):
        publishable(free)


def test_a_tensor_that_is_no_part_of_an_avatar_stays_here(free):
    add_tensor(free / WEIGHTS, "shapedirs")
    with pytest.raises(UserError, match="holds shapedirs, which is no part of an avatar"):
        publishable(free)


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "avatar.glb", "preview.png", "prompt.txt", "recipe.json"])
def test_a_missing_file_or_a_link_is_no_avatar(free, name):
    (free / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        publishable(free)
    (free / name).symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=f"{name} is missing"):
        publishable(free)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"{" * 5000),
        ("recipe.json", b"\xff"),
        ("recipe.json", b" " * (2 << 20)),
        ("prompt.txt", b"\xff\xfe"),
        ("preview.png", b"\x89PNG\r\n\x1a\n"),
        ("preview.png", b"GIF89a"),
        (WEIGHTS, b""),
        (WEIGHTS, b"\0" * 100),
    ],
)
def test_damaged_files_are_a_sentence(free, name, content):
    (free / name).write_bytes(content)
    with pytest.raises(UserError, match=r"make the avatar again|at most|does not fit"):
        publishable(free)


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no avatar folder"):
        publishable(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("An old man, with glasses!", "an-old-man-with-glasses"),
        ("Ein Mädchen", "ein-madchen"),
        ("老人", "head"),
        ("../../etc/passwd", "etc-passwd"),
        ("a" * 100, "a" * 40),
        ("", "head"),
    ],
)
def test_slugs(text, wanted):
    assert slug(text) == wanted


def test_licences_of_heads(free, licensed):
    assert licence_choices("")[0] == "cc-by-4.0"
    assert "cc0-1.0" in licence_choices("")
    assert licence_choices("flame2023") == licence_choices("smplx2020") == ("cc-by-nc-4.0", "other")
    assert "cc0-1.0" not in licence_choices("flame2023_open")
    assert licence_choices("", "animportrait3d") == ("cc-by-nc-4.0", "other")
    assert publishable(free).licence(None) == "cc-by-4.0"
    with pytest.raises(
        UserError, match=r"'cc0-1\.0' cannot be given to this avatar, since its head is made with FLAME 2023"
    ):
        publishable(licensed).licence("cc0-1.0")
    with pytest.raises(UserError, match=r"'mit' cannot be given to this avatar; take cc-by-4\.0 or cc0-1\.0"):
        publishable(free).licence("mit")
