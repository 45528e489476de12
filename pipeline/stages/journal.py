"""`Journal`: where a refinement leaves its progress, and finds that of an earlier attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.avatar import SplatAvatar

State = dict[str, Any]
"""Tensors, numbers, strings, and lists and dictionaries of those; everything that the next step depends on."""


class Interrupted(Exception):
    """The refinement was asked to stop after a step; what it has is in the journal."""


@dataclass(frozen=True)
class Progress:
    """How far a phase has come after a step."""

    phase: str
    step: int
    """Steps done, from 1."""
    steps: int
    """Steps of the phase."""
    losses: dict[str, float]


class Journal:
    """Keeps nothing: for a refinement that lives and dies with its process. Others override what they keep."""

    def resume(self, phases: Sequence[str]) -> tuple[str, State] | None:
        """Which of these phases was under way or just finished, and its state; None where none of them was."""
        return None

    def step(self, progress: Progress, shown: SplatAvatar | Tensor | None, state: Callable[[], State]) -> None:
        """Called after each step, in the first process only. ``state`` costs a copy of everything: call it seldom.

        ``shown`` is the head as it is now, a picture (H, W, 3) of it, uint8, or None where there is none to see.

        Raises `Interrupted` to stop here.
        """

    def pause(self) -> None:
        """Called between the pieces of long work that leaves them in `folder`, e.g. batches of SDEdit targets.

        Raises `Interrupted` to stop here; what is made so far is found again.
        """

    def at(self, work: str, done: int = 0, of: int = 0) -> None:
        """Told what is being done now, where that is no phase: "views", and that 24 of 120 are done. Keeps nothing."""

    def folder(self, phase: str) -> Path | None:
        """Where what depends only on the start of a phase is cached; None keeps it in memory."""

    def note(self, sentence: str) -> None:
        """Something that the person should know, e.g. what stands in for a missing file."""
