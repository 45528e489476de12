"""`create --portrait` on the command line: from a gallery file to a head that moves, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest
import torch

import pipeline.rigging
from pipeline.__main__ import main
from pipeline.avatar_folder import load_avatar_folder
from pipeline.heads.anny import AnnyHead
from pipeline.jobs import runner
from pipeline.priors.portrait3d.source import TriGridSource
from pipeline.reconstruction.head_fit import HeadFit
from pipeline.stages import initialization
from pipeline.stages.initialization import PRESETS
from tests.jobs import rigged
from tests.priors.portrait3d.files import RunsCode, small_portrait
from tests.priors.portrait3d.relief import PROMPT, known_scene, write_scene

LEVELS = (8, 16, 32, 64, 128, 256, 512)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path / "models"))


@pytest.fixture
def coarse(monkeypatch):
    """Few small views, a coarse surface, and a head that is known to fit: what remains is the way of the data."""
    seen = {}

    def fit(kind, observed, cameras, surface, start):
        scene, rig = known_scene(LEVELS), known_scene(LEVELS).avatar.rig
        seen.update(kind=kind, observed=observed, surface=surface)
        rest = torch.zeros(1, len(rig.expressions)), torch.zeros(1, len(rig.joints), 3)
        return HeadFit(rig, AnnyHead().template_points, *rest, scene.to_source, ("fitted",))

    monkeypatch.setitem(TriGridSource.__init__.__kwdefaults__, "resolution", 40)
    monkeypatch.setitem(PRESETS, "quick", replace(rigged.CONFIG, name="quick"))
    monkeypatch.setattr(initialization, "first_splats", rigged.first_splats)
    monkeypatch.setattr(pipeline.rigging, "initialize", partial(initialization.initialize, fit=fit))
    monkeypatch.setattr(runner, "_make_video", lambda journal: None)
    return seen


def said(capsys):
    """The one sentence on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    return error


def test_a_gallery_file_becomes_a_head_that_can_be_posed(coarse, capsys, tmp_path):
    (tmp_path / "gallery").mkdir()
    file = write_scene(tmp_path / "gallery")
    assert main(["create", "--portrait", str(file), "--out", "A", "--run", "r", "--views", "quick", "--seed", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "run r"
    assert "note: fitted" in printed.out
    assert "created A in" in printed.out
    assert f"initialization 1 of {rigged.STEPS}" in printed.err
    assert not (tmp_path / "r" / "source").exists()  # 151 MB that nothing asks for again

    recipe = json.loads((tmp_path / "A" / "recipe.json").read_text())
    assert (recipe["prompt"], recipe["prior"], recipe["seed"]) == (PROMPT, "portrait3d", 4)
    assert recipe["origin"]["files"]["000.pth"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert set(recipe["origin"]["files"]) == {"000.pth", "decoder_512.ckpt"}
    assert (recipe["origin"]["initialization"], recipe["origin"]["steps"]) == ("quick", rigged.STEPS)

    heights = coarse["surface"].vertices[:, 1]
    scene = known_scene(LEVELS)
    true = scene.to_source.to_source(scene.avatar.rig.vertices)[:, 1]
    assert float(heights.max()) == pytest.approx(float(true.max()), abs=0.06)  # a cell of the coarse lattice
    avatar = load_avatar_folder(tmp_path / "A")
    jaw = avatar.rig.expression_names.index("jawOpen")
    expression = torch.zeros(1, len(avatar.rig.expressions))
    expression[0, jaw] = 1.0
    opened = avatar.rig.pose(expression, torch.zeros(1, len(avatar.rig.joints), 3))[0]
    moved = avatar.gaussians(opened).means - avatar.gaussians(avatar.rig.vertices).means
    assert float(moved.detach().norm(dim=1).max()) > 0.01  # metres


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--portrait", "nowhere.pth", "--out", "a"], "nowhere.pth cannot be read"),
        (["--portrait", "empty.pth", "--out", "a"], "decoder"),
        (["--portrait", ".", "--out", "a"], "is a folder without an avatar"),
        (["--portrait", "empty.pth"], "--out is missing"),
        (["a man", "--portrait", "empty.pth", "--prior", "portrait3d", "--out", "a"], "leave --prior out"),
        (["--portrait", "empty.pth", "--set", "hair.style=bob", "--out", "a"], "--set changes what the procedural"),
        (["--portrait", "empty.pth", "--recipe", "headstudio", "--out", "a"], "--recipe belongs to --refine"),
        (["a man", "--decoder", "d.ckpt", "--out", "a"], "--decoder belongs to --portrait"),
        (["a man", "--views", "quick", "--out", "a"], "--views belongs to --portrait or --prior portrait3d"),
        (["a man", "--prior", "portrait3d", "--out", "a"], "generator, which is not here"),
        (["--resume", "r", "--portrait", "empty.pth"], "--resume goes on with a run as it was started"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, told, capsys, tmp_path):
    (tmp_path / "empty.pth").touch()
    assert main(["create", *words]) == 2
    assert told in said(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.pth"]


def test_a_bad_file_is_one_sentence_and_leaves_no_run(capsys, tmp_path):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    torch.save({"params": {}, "state_dict": known_scene().painter.state_dict()}, gallery / "decoder_512.ckpt")
    torch.save({"model": small_portrait() | {"ws": RunsCode(tmp_path / "ran")}}, gallery / "bad.pth")
    assert main(["create", "--portrait", str(gallery / "bad.pth"), "--out", "A"]) == 2
    said(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]
