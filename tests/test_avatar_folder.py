"""A missing or damaged avatar folder is one sentence; nothing else in the folder is ever lost."""

import json

import pytest

from pipeline.avatar_folder import check_target, load_avatar_folder
from pipeline.errors import UserError
from tests.synthetic import synthetic_avatar

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "avatar"
    synthetic_avatar().save_pretrained(folder)
    return folder


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"there is no avatar folder .*nowhere"):
        load_avatar_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_missing_part(saved, name):
    (saved / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load_avatar_folder(saved)


@pytest.mark.parametrize("keep", [0, 7, 100, 5000])
def test_truncated_weights(saved, keep):
    whole = (saved / WEIGHTS).read_bytes()
    (saved / WEIGHTS).write_bytes(whole[:keep])
    with pytest.raises(UserError, match="is damaged"):
        load_avatar_folder(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"num_splats": "many"}'])
def test_damaged_config(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        load_avatar_folder(saved)


@pytest.mark.parametrize(("key", "value"), [("num_splats", 10**12), ("num_faces", 7), ("num_vertices", -1)])
def test_config_that_disagrees_with_the_weights(saved, key, value):
    config = json.loads((saved / "config.json").read_text())
    config[key] = value
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="is damaged"):
        load_avatar_folder(saved)


def test_index_out_of_range(tmp_path):
    avatar = synthetic_avatar()
    avatar.face[0] = 10**6
    avatar.save_pretrained(tmp_path / "avatar")
    with pytest.raises(UserError, match="an index is not below"):
        load_avatar_folder(tmp_path / "avatar")


def test_not_finite(tmp_path):
    avatar = synthetic_avatar()
    avatar.means.data[3, 1] = float("nan")
    avatar.save_pretrained(tmp_path / "avatar")
    with pytest.raises(UserError, match="means is not finite"):
        load_avatar_folder(tmp_path / "avatar")


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds other files"):
        check_target(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        check_target(tmp_path / "thesis.txt")
