"""A missing or damaged avatar folder is one sentence; nothing else in the folder is ever lost."""

import json

import pytest
from safetensors.torch import load_file, save_file

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


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("num_splats", 10**12, "config.json asks for F32"),
        ("num_faces", 7, "config.json asks for"),
        ("num_vertices", -1, "is damaged"),
        ("num_pose_dirs", 10**9, "rig_pose_dirs is F32"),
        ("sh_coefficients", 10**9, "sh_coefficients is 1000000000, not one of 1, 4, 9, 16"),
        ("rasterize_mode", "wild", "rasterize_mode is 'wild'"),
        ("joint_names", 3, "joint_names is no list of names"),
        ("expression_names", ["x", "y"], "'x' is no ARKit action"),
        ("parents", [1, 0], "parents first"),
        ("drivers", [[99, 0, 1, 0, 0, 1]], "the driver .* is not"),
        ("drivers", [["a"]], "the driver .* is not"),
        ("drivers", [[0, 0, 1, 0, 0, "a"]], "the driver .* is no number"),
    ],
)
def test_config_that_disagrees_with_the_weights_or_itself(saved, key, value, sentence):
    config = json.loads((saved / "config.json").read_text())
    config[key] = value
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=sentence):
        load_avatar_folder(saved)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda weights: weights.pop("rig_joints"), "rig_joints is missing in the weights"),
        (lambda weights: weights.update(face=weights["face"].float()), "face is F32"),
        (lambda weights: weights.update(means=weights["means"][:, :2].contiguous()), "means is F32"),
        (lambda weights: weights["layer"].fill_(200), "layer holds 200"),
    ],
)
def test_weights_that_are_not_an_avatars(saved, change, sentence):
    weights = load_file(saved / WEIGHTS)
    change(weights)
    save_file(weights, saved / WEIGHTS)
    with pytest.raises(UserError, match=f"is damaged .{sentence}"):
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


def test_read_and_written_again_it_is_the_same_and_does_not_tell_where_it_lay(saved, tmp_path):
    load_avatar_folder(saved).save_pretrained(tmp_path / "again")
    for name in ("config.json", WEIGHTS):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()
