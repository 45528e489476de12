"""A run whose refinement is a few seeded sums over a small head: what is tested is everything round it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.jobs import RunConfig, RunFolder
from pipeline.jobs.journal import RunJournal
from pipeline.recipe import Recipe
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.journal import Progress
from pipeline.stages.randomness import generator
from tests.synthetic import synthetic_avatar

STEPS = {"eyes": 6, "mouth": 9}
RECIPE = Recipe("a bald man", 3, {}, {}, [], [])
PHASE = Phase("eyes", "ism", 6, ("full",), "all", 7.5, "blurry")


def fake_config(**values) -> RunConfig:
    """Two phases of `STEPS`, a checkpoint every four steps."""
    phases = tuple(replace(PHASE, name=name, steps=steps) for name, steps in STEPS.items())
    refinement = RefinementConfig("animportrait3d", phases, seed=3)
    given = {"seed": 3, "checkpoint_every": 4, "threads": 1, **values}
    return RunConfig(prompt="a bald man", model="owner/base", controlnet="owner/c", refinement=refinement, **given)


def new_run(folder: Path, **values) -> RunFolder:
    """A run whose start is made already."""
    run = RunFolder.create(folder, fake_config(**values))
    save_start(run.start)
    return run


def save_start(folder: Path) -> None:
    """What the prior would make of the sentence."""
    save_avatar_folder(synthetic_avatar(60), RECIPE, folder)


def fake_refined(journal: RunJournal, config: RunConfig, seconds: float = 0.0) -> tuple[SplatAvatar, Recipe]:
    """Momentum on seeded noise: each step depends on the one before, on the avatar and on the phase."""
    avatar = load_avatar_folder(journal.run.start)
    phases = config.refinement.phases
    found = journal.resume([phase.name for phase in phases])
    names = [phase.name for phase in phases]
    first, state = (names.index(found[0]), found[1]) if found else (0, None)
    for phase in phases[first:]:
        if state is None:
            state = {"step": 0, "avatar": {"means": avatar.means.detach()}, "optimizer": {}}
            state["optimizer"] = {"momentum": torch.zeros_like(avatar.means)}
        means, momentum = state["avatar"]["means"], state["optimizer"]["momentum"]
        for step in range(state["step"], phase.steps):
            time.sleep(seconds)
            noise = torch.randn(means.shape, generator=generator(config.seed, phase.name, step))
            momentum = 0.9 * momentum + 0.01 * noise * (1 + means.abs())
            means = means + momentum
            kept = {"step": step + 1, "avatar": {"means": means}, "optimizer": {"momentum": momentum}}
            with torch.no_grad():
                avatar.means.copy_(means)  # what the picture shows
            progress = Progress(phase.name, step + 1, phase.steps, {"loss": float(means.square().mean())})
            journal.step(progress, avatar, lambda kept=kept: kept)
        with torch.no_grad():
            avatar.means.copy_(means)
        state = None
    return avatar, RECIPE


def without_models(monkeypatch, refined=fake_refined) -> None:
    """Runs of this process refine by ``refined``, and their videos are short."""
    from pipeline.jobs import runner

    monkeypatch.setattr(runner, "refined", refined)
    monkeypatch.setattr(runner, "_make_video", lambda journal: None)


def result(run: RunFolder) -> bytes:
    """What must be equal bit for bit."""
    return (run.avatar / "diffusion_pytorch_model.safetensors").read_bytes()
