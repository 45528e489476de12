"""A whole generator of milliseconds, and settings so small that every phase is over in a second."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.stages.journal import Interrupted, Journal, Progress

FRONT = 90.0


def small_config() -> Portrait3DConfig:
    """All of the published settings but sizes and numbers of steps."""
    published = Portrait3DConfig()
    return Portrait3DConfig(
        image=replace(published.image, size=64, steps=2, samples=2),
        inversion=replace(published.inversion, steps=2, mean_samples=8, samples=4, compared_size=16),
        distillation=replace(
            published.distillation,
            steps=2, size=8, encoded_size=64, samples=4, learning_rates=(0.01, 0.01), ema_every=1,
        ),
        view_refinement=replace(
            published.view_refinement,
            horizontal=2, vertical=(90.0,), size=64, view_samples=4, samples=4, epochs=1, patch=16, schedule=10,
            learning_rate=0.01,
        ),
    )  # fmt: skip


def front_camera(size: int) -> Camera:
    """The generator's canonical view."""
    return PORTRAIT3D_ORBIT.camera(FRONT, FRONT, size)


@dataclass(frozen=True)
class SoftScene:
    """A coloured cloud, another one, and what paints both."""

    truth: TriGrid
    wrong: TriGrid
    painter: Painter


def soft_scene() -> SoftScene:
    """Two balls of cloud, one larger than the other, in colours that have nothing to do with each other.

    The density rises gently from the border to the middle, so that a wrong place has a gradient; it is
    8 softplus(6 f) - 10 of the first feature, and the three after it make the colours.
    """
    first, second, offset = torch.zeros(32, 12), torch.zeros(33, 32), torch.zeros(33)
    first[0, 0], second[0, 0], offset[0] = 6.0, 8.0, -10.0
    for color in (1, 2, 3):
        first[color, color], second[color, color], offset[color] = 1.0, 1.0, -1.0
    torgb = torch.zeros(3, 32, 1, 1)
    torgb[:, :3, 0, 0] = torch.eye(3)
    painter = Painter()
    state = painter.state_dict() | {
        "decoder.net.0.weight": first * math.sqrt(12), "decoder.net.2.weight": second * math.sqrt(32),
        "decoder.net.2.bias": offset, "torgb.affine.bias": torch.full((32,), math.sqrt(32)), "torgb.weight": torgb,
    }  # fmt: skip
    painter.load_state_dict(state)
    return SoftScene(_cloud(0.2, 1), _cloud(0.25, 2), painter.requires_grad_(False))


def _cloud(radius: float, seed: int) -> TriGrid:
    """Its first feature is 1 in the middle and falls to 0 at the radius."""
    draws = torch.Generator().manual_seed(seed)
    squares = (((torch.arange(16) + 0.5) / 8 - 1) * 0.35 / radius).square()
    finest = torch.zeros(3, 12, 3, 16, 16)
    finest[0, 0] = 1 - squares[:, None] - squares[None]
    finest[1, 0] = -squares[:, None].expand(16, 16)
    coarse = torch.zeros(3, 12, 3, 8, 8)
    coarse[:, 1:4] = torch.randn(3, 3, 3, 8, 8, generator=draws)
    levels = (6 * coarse, 6 * finest)  # the mean over two levels and three planes takes it back
    return TriGrid(tuple(level.reshape(1, 3, 36, *level.shape[-2:]) for level in levels), torch.zeros(1, 14, 512))


class Stopping(Journal):
    """Remembers the last state, and stops after a number of steps of all phases."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.steps = stop_after, 0
        self.phases: list[str] = []
        self.last: tuple[str, Any] | None = None
        self.losses: list[dict[str, float]] = []
        self.pictures: list[Tensor] = []
        self.notes: list[str] = []

    def resume(self, phases):
        return self.last if self.last is not None and self.last[0] in phases else None

    def step(self, progress: Progress, shown, state) -> None:
        self.steps += 1
        self.phases.append(progress.phase)
        self.losses.append(progress.losses)
        self.pictures.append(shown)
        self.last = progress.phase, state()
        if self.steps == self.stop_after:
            raise Interrupted("enough")

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
