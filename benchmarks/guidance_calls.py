"""How often a refinement asks its networks: ours, and the original's one crop at a time. Counted, not measured."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch

from pipeline.guidance.score_distillation import INVERSION_STRIDE, interval
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.objectives import timesteps_of
from pipeline.stages.randomness import generator
from pipeline.stages.sampling import ViewSampler

COUNTED_VIEWS = 200
"""Views of each phase of which the crops are counted."""


@dataclass(frozen=True)
class Shots:
    """Crops of a view, on average."""

    all: float
    conditioned: float
    """Those that the ControlNet sees."""

    @classmethod
    def of(cls, sampler: ViewSampler, phase: Phase) -> Shots:
        """Those that a phase draws."""
        views = [sampler.view(generator(0, phase.name, "count", number)) for number in range(COUNTED_VIEWS)]
        shots = [shot for view in views for shot in view.shots]
        return cls(len(shots) / COUNTED_VIEWS, sum(shot.conditioned for shot in shots) / COUNTED_VIEWS)


@dataclass(frozen=True)
class Calls:
    """What networks are asked; a row is the latents of one crop with one text."""

    unet: float = 0
    unet_rows: float = 0
    controlnet_rows: float = 0
    pictures: float = 0
    """Through the VAE, there or back."""

    def __add__(self, other: Calls) -> Calls:
        return Calls(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def our_calls(phase: Phase, shots: Shots, config: RefinementConfig) -> Calls:
    """All crops of all views of a step in one call; targets in batches from a pool."""
    if phase.method == "sdedit":
        calls = edit_calls(phase)
        rows = calls * config.edit_pool * (2 if phase.guidance_scale > 1 else 1)
        targets = config.edit_pool * shots.all
        return Calls(calls * targets / config.batch, rows * shots.all, rows * shots.conditioned, 2 * targets)
    calls = sum(predictions(phase)) + phase.steps
    rows = (calls + phase.steps) * phase.views
    return Calls(calls, rows * shots.all, rows * shots.conditioned, phase.steps * phase.views * shots.all)


def original_calls(phase: Phase, shots: Shots) -> Calls:
    """Each crop by itself; a target in every step, and an inversion of no length at the end of the schedule."""
    views = phase.steps * phase.views
    if phase.method == "sdedit":
        calls = edit_calls(phase) * views
        return Calls(calls * shots.all, 2 * calls * shots.all, 2 * calls * shots.conditioned, 2 * views * shots.all)
    calls = (sum(predictions(phase, least=2)) + phase.steps) * phase.views
    rows = calls + views
    return Calls(calls * shots.all, rows * shots.all, rows * shots.conditioned, views * shots.all)


def edit_calls(phase: Phase) -> int:
    """Of the UNet for a batch of SDEdit targets."""
    return int(phase.edit_steps * phase.strength)


def predictions(phase: Phase, least: int = 1) -> list[int]:
    """Of each step of interval score matching: calls with the empty text, before the guided one."""
    counts = []
    for index in range(phase.steps):
        timestep = int(timesteps_of(phase, index, 1, torch.Generator())[0])
        start = max(timestep - interval(index, phase.warm_steps), 0)
        counts.append(max(least, min(-(-start // INVERSION_STRIDE), phase.inversions) + 1))
    return counts
