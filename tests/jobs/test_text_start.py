"""A run from a sentence by way of a tri-grid to a head, stopped in each phase and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline import AnimPortrait3DPipeline
from pipeline.heads.anny import AnnyHead
from pipeline.jobs import RunConfig, RunFolder, runner, starting
from pipeline.jobs.runner import run
from pipeline.portrait_models import PortraitModels
from pipeline.priors.portrait3d import generator_file, source, weights
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.multiview import Observed
from pipeline.stages.super_dense import super_dense
from tests.jobs import rigged
from tests.priors.portrait3d.generator_weights import small_generator
from tests.priors.portrait3d.small import small_config
from tests.tiny_checkpoint import tiny_components

PROMPT = "a man with a beard"


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A random generator and a tiny diffusion model, whose tri-grid is noise: a grey head stands in for its surface."""
    components = {name: part for name, part in tiny_components().items() if name != "controlnet"}
    rig = AnnyHead().rig
    seen: list[tuple[int, ...]] = []

    def as_source(trigrid, painter):
        seen.append(tuple(level.shape[-1] for level in trigrid.levels))
        shown = AvatarSource(super_dense(rig, 1))
        shown.trigrid = trigrid  # type: ignore[attr-defined]
        return shown

    (tmp_path / "model_512.pkl").write_bytes(b"weights")
    monkeypatch.setattr(weights, "find_generator", lambda: tmp_path / "model_512.pkl")
    monkeypatch.setattr(generator_file, "read_generator", lambda path: small_generator())
    monkeypatch.setattr(source, "TriGridSource", as_source)
    monkeypatch.setattr(starting, "loaded", lambda config: AnimPortrait3DPipeline(**components))
    monkeypatch.setattr(starting, "portrait_models", lambda *names: PortraitModels(_in_the_middle))
    monkeypatch.setattr(runner, "_make_video", lambda journal: None)
    rigged.quickly(monkeypatch)
    return seen


def _in_the_middle(pictures):
    """The canonical face, a little smaller than the frame has it."""
    rig, size = AnnyHead().rig, pictures.shape[1]
    from pipeline.priors.portrait3d.alignment import Canonical

    known = Canonical(rig)
    camera = PORTRAIT3D_ORBIT.camera(90.0, 90.0, size)
    inside = (known.points.float() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
    points = (inside[:, :2] / inside[:, 2:] - size / 2) * 0.9 + size / 2
    return Observed(known.names, points.expand(len(pictures), -1, -1), torch.ones(len(pictures), len(points)))


def new_run(folder: Path) -> RunFolder:
    config = RunConfig.of(PROMPT, refine=False, from_text=True, model="owner/m", threads=1, checkpoint_every=1)
    return RunFolder.create(
        folder, replace(config, text_to_trigrid=small_config(), initialization=rigged.CONFIG, device="cpu")
    )


def test_stopped_in_every_phase_it_ends_equal(small, tmp_path):
    whole, broken = new_run(tmp_path / "whole"), new_run(tmp_path / "broken")
    state = run(whole.path)
    assert state.status == "finished", state.sentence
    assert (state.done, state.total) == (6 + rigged.STEPS, 6 + rigged.STEPS)
    assert small == [(8, 16)]

    for phase in ("inversion", "sds", "view_fit", "initialization"):
        state = run(broken.path, stop=lambda phase=phase: _is_in(broken, phase))
        assert state.status == "stopped", (phase, state.sentence)
        assert state.phase == phase
    assert run(broken.path).status == "finished"
    for file in whole.avatar.iterdir():
        assert file.read_bytes() == (broken.avatar / file.name).read_bytes(), file.name
    assert whole.portrait.read_bytes() == broken.portrait.read_bytes()
    assert not (broken.path / "targets" / "portrait").exists()


def _is_in(folder: RunFolder, phase: str) -> bool:
    """Asked before a step is told: whether the phase has one step told already."""
    state = folder.state()
    return state.phase == phase and state.step >= 1
