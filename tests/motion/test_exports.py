"""Saved clips are in the exact layout of the programs that read them, and come back as they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.motion import ARKIT_NAMES, load_motion
from pipeline.motion.clips import look_around, talk
from pipeline.motion.exports import WRITERS, save_motion, write_arkit_json, write_flame_params
from tests.heads.models import write_flame
from tests.motion.making import a_motion

GAUSSIAN_AVATARS = {
    "shape": (300,), "expr": (40, 100), "rotation": (40, 3), "neck_pose": (40, 3), "jaw_pose": (40, 3),
    "eyes_pose": (40, 6), "translation": (40, 3), "static_offset": (1, 5143, 3), "dynamic_offset": (40, 5143, 3),
}  # fmt: skip


def test_flame_params_have_every_array_of_gaussian_avatars(tmp_path):
    clip = a_motion(40)
    notes = write_flame_params(clip, tmp_path / "flame_param.npz")
    with np.load(tmp_path / "flame_param.npz") as saved:
        assert {name: saved[name].shape for name in saved.files} == GAUSSIAN_AVATARS
        assert {str(saved[name].dtype) for name in saved.files} == {"float32"}
        assert np.array_equal(saved["expr"], clip.expression)
        assert np.array_equal(saved["rotation"], clip.global_rotation)
        assert np.array_equal(saved["eyes_pose"], torch.cat([clip.left_eye, clip.right_eye], 1))
        for name in ("shape", "static_offset", "dynamic_offset", "translation"):
            assert not saved[name].any(), name
    assert "FLAME 2023" in notes[0]
    assert "25 frames per second" in notes[-1]
    assert (tmp_path / "flame_param.npz").stat().st_size < 100_000


def test_the_same_clip_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_flame_params(a_motion(5), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_smplx_neck_and_head_become_flame_rotation_and_neck(tmp_path):
    clip = a_motion(5, "smplx2020", head=torch.rand(5, 3), translation=torch.rand(5, 3))
    write_flame_params(clip, tmp_path / "flame_param.npz")
    with np.load(tmp_path / "flame_param.npz") as saved:
        assert np.array_equal(saved["rotation"], clip.neck)
        assert np.array_equal(saved["neck_pose"], clip.head)
        assert np.array_equal(saved["translation"], clip.translation)


def test_what_flame_params_cannot_hold_is_said(tmp_path):
    clip = a_motion(5, width=120, eyelids=torch.rand(5, 2))
    told = " ".join(write_flame_params(clip, tmp_path / "flame_param.npz"))
    assert "first 100 of 120" in told
    assert "eyelids" in told


def test_arkit_json_names_every_weight(tmp_path):
    clip = talk()
    notes = write_arkit_json(clip, tmp_path / "arkit.json")
    saved = json.loads((tmp_path / "arkit.json").read_text())
    assert tuple(saved["names"]) == ARKIT_NAMES
    assert saved["metadata"]["fps"] == 30
    assert [frame["time"] for frame in saved["frames"][:3]] == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-6)
    weights = np.array([frame["weights"] for frame in saved["frames"]])
    assert np.abs(weights - clip.expression.numpy()).max() <= 0.6e-5
    assert "head turns" in notes[0]


def test_coefficients_are_said_in_actions_for_arkit(tmp_path):
    jaw = torch.zeros(5, 3)
    jaw[:, 0] = torch.linspace(0, 0.3, 5)
    notes = write_arkit_json(a_motion(jaw=jaw, eyelids=torch.full((5, 2), 0.7)), tmp_path / "arkit.json")
    saved = json.loads((tmp_path / "arkit.json").read_text())
    weights = np.array([frame["weights"] for frame in saved["frames"]])
    assert weights[-1, ARKIT_NAMES.index("jawOpen")] > 0.3
    assert weights[0, ARKIT_NAMES.index("eyeBlinkLeft")] >= 0.7
    assert notes


@pytest.mark.parametrize("kind", WRITERS)
def test_a_saved_clip_comes_back(tmp_path, kind):
    """A long one, too: the offsets of a minute unpack to 90 MB of zeros."""
    clip = look_around() if kind != "flame" else a_motion(1500)
    path, _ = save_motion(clip, kind, tmp_path)
    back = load_motion([path])
    assert len(back) == len(clip)
    assert torch.allclose(back.expression, clip.expression, atol=1e-5)
    assert back.fps == clip.fps
    assert torch.allclose(back.jaw, clip.jaw)


def test_kinds_and_endings(tmp_path):
    with pytest.raises(UserError, match="choose from npz, flame, arkit"):
        save_motion(a_motion(), "bvh", tmp_path)
    with pytest.raises(UserError, match="ending"):
        write_flame_params(a_motion(), tmp_path / "clip.pkl")
    with pytest.raises(UserError, match="ending"):
        write_arkit_json(a_motion(), tmp_path / "clip.txt")


def test_without_a_flame_file_actions_do_not_become_coefficients(tmp_path, monkeypatch):
    monkeypatch.delenv("ANIMPORTRAIT3D_MODELS", raising=False)
    with pytest.raises(UserError, match="FLAME model of your own"):
        write_flame_params(talk(), tmp_path / "flame_param.npz")
    assert not list(tmp_path.iterdir())


def test_actions_become_coefficients_on_a_flame_model(tmp_path, monkeypatch):
    """The clip that speaks opens the jaw of the file as far as its own, and its head turns stay."""
    models = tmp_path / "models"
    models.mkdir()
    write_flame(models)
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(models))
    notes = write_flame_params(talk(), tmp_path / "flame_param.npz")
    back = load_motion([tmp_path / "flame_param.npz"], {"fps": "30", "basis": "flame2023"})
    assert len(back) == len(talk())
    opened = talk().expression[:, ARKIT_NAMES.index("jawOpen")]
    assert np.corrcoef(back.jaw[:, 0], opened)[0, 1] > 0.9
    assert float(back.expression.abs().amax()) > 0.1
    assert float(back.global_rotation.norm(dim=1).max()) > 0.02
    assert "FLAME" in " ".join(notes)
