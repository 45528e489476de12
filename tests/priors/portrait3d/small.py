"""A whole generator of milliseconds, and settings so small that every phase is over in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.stages.journal import Interrupted, Journal, Progress

FRONT = 90.0


def small_config() -> Portrait3DConfig:
    """All of the published settings but sizes and numbers of steps."""
    published = Portrait3DConfig()
    return Portrait3DConfig(
        image=replace(published.image, size=64, steps=2, samples=2),
        inversion=replace(published.inversion, steps=3, mean_samples=8, samples=4, compared_size=16),
        distillation=replace(
            published.distillation,
            steps=3, size=8, encoded_size=64, samples=4, learning_rates=(0.01, 0.01), ema_every=2,
        ),
        view_refinement=replace(
            published.view_refinement,
            horizontal=2, vertical=(90.0,), size=64, view_samples=4, samples=4, epochs=2, patch=16, schedule=10,
            learning_rate=0.01,
        ),
    )  # fmt: skip


def front_camera(size: int) -> Camera:
    """The generator's canonical view."""
    return PORTRAIT3D_ORBIT.camera(FRONT, FRONT, size)


class Stopping(Journal):
    """Remembers the last state, and stops after a number of steps of all phases."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.steps = stop_after, 0
        self.last: tuple[str, Any] | None = None
        self.losses: list[dict[str, float]] = []
        self.pictures: list[Tensor] = []
        self.notes: list[str] = []

    def resume(self, phases):
        return self.last if self.last is not None and self.last[0] in phases else None

    def step(self, progress: Progress, shown, state) -> None:
        self.steps += 1
        self.losses.append(progress.losses)
        self.pictures.append(shown)
        self.last = progress.phase, state()
        if self.steps == self.stop_after:
            raise Interrupted("enough")

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
