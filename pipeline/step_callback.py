"""What the caller of the pipeline sees and decides while it works: steps, progress, previews, interruption."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.rendering.portrait import portrait
from pipeline.stages.journal import Interrupted, Journal, Progress, State

if TYPE_CHECKING:
    from pipeline.animportrait3d import AnimPortrait3DPipeline

StepCallback = Callable[["AnimPortrait3DPipeline", int, str, dict[str, Any]], dict[str, Any]]
"""Called as (pipeline, step index, step or phase name, what there is to tell) at the end of each step, as diffusers
does. Of a refinement's steps are told ``step`` and ``steps`` of the phase, ``losses`` by name, and ``preview``, a
picture every now and then, else None. Setting ``pipeline.interrupt = True`` ends the work after the step."""
PREVIEW_EVERY = 20
"""Steps of a phase; its last is seen too."""
PREVIEW_SIZE = 256
"""Pixels."""


class Steps:
    """Numbers the steps of one call for its callback."""

    def __init__(self, pipeline: AnimPortrait3DPipeline, callback: StepCallback | None):
        self._pipeline, self._callback, self._index = pipeline, callback, 0

    @property
    def watched(self) -> bool:
        """Whether anybody is told."""
        return self._callback is not None

    def done(self, name: str, told: dict[str, Any] | None = None) -> None:
        """A step has ended."""
        if self._callback is not None:
            self._callback(self._pipeline, self._index, name, told or {})
        self._index += 1


class WatchedJournal(Journal):
    """Keeps what another journal keeps, tells a callback and a progress bar, and stops when the pipeline says so.

    The body of its ``with`` ends at an interruption, whoever asked for it; then the pipeline says so too.
    """

    def __init__(self, kept: Journal | None, pipeline: AnimPortrait3DPipeline, steps: Steps, total: int):
        self._kept, self._pipeline, self._steps, self._total = kept or Journal(), pipeline, steps, total
        self._bar: Any = None
        self._avatar: SplatAvatar | None = None
        self.notes: list[str] = []
        """What the person should know, in sentences."""
        self.reached = "before its first step"
        self.was_interrupted = False

    def __enter__(self) -> WatchedJournal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if self._bar is not None:
            self._bar.close()
        self.was_interrupted = isinstance(error, Interrupted)
        self._pipeline.interrupt |= self.was_interrupted
        return self.was_interrupted

    def copy_of_avatar(self) -> SplatAvatar | None:
        """As it was after the last step, on the CPU; None before the first."""
        return None if self._avatar is None else copy.deepcopy(self._avatar).cpu()

    def resume(self, phases: Sequence[str]) -> tuple[str, State] | None:
        return self._kept.resume(phases)

    def step(self, progress: Progress, shown: SplatAvatar | Tensor | None, state: Callable[[], State]) -> None:
        self._avatar = shown if isinstance(shown, SplatAvatar) else None
        self.reached = f"after step {progress.step} of {progress.steps} of {progress.phase}"
        self._advance(progress)
        self._kept.step(progress, shown, state)
        told = {"step": progress.step, "steps": progress.steps, "losses": progress.losses, "preview": None}
        is_due = progress.step % PREVIEW_EVERY == 0 or progress.step == progress.steps
        if self._steps.watched and is_due and shown is not None:
            picture = portrait(shown, PREVIEW_SIZE) if isinstance(shown, SplatAvatar) else shown.cpu()
            told["preview"] = Image.fromarray(picture.numpy())
        self._steps.done(progress.phase, told)
        if self._pipeline.interrupt:
            raise Interrupted

    def pause(self) -> None:
        self._kept.pause()
        if self._pipeline.interrupt:
            raise Interrupted

    def at(self, work: str, done: int = 0, of: int = 0) -> None:
        self._kept.at(work, done, of)

    def folder(self, phase: str) -> Path | None:
        return self._kept.folder(phase)

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
        self._kept.note(sentence)

    def _advance(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = self._pipeline.progress_bar(total=self._total)
        self._bar.set_description(progress.phase, refresh=False)
        self._bar.update()
