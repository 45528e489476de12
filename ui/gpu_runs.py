"""Refinements on a ZeroGPU Space: a GPU is lent for minutes, so a run advances slice by slice.

Each slice is a process of its own, which sees nothing of this one's memory: it gets the run's folder, goes on from the
last checkpoint, writes another before its time is over, and gives back plain values (see `ui.gpu`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import spaces

from pipeline.errors import UserError
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.runner import run

SLICE_SECONDS = 60
"""For which a GPU is asked; a visitor without an account has 120 a day."""
START_SECONDS = 8.0
"""Of a slice that go by before the run begins to count: the process and CUDA."""
MADE = {".png", ".safetensors"}
"""Suffixes of what is made ahead of a phase."""
STOP = "stop"
"""File beside the run folder: its owner has pressed Stop."""


@dataclass(frozen=True)
class Slice:
    """How a slice has ended."""

    status: str = "failed"
    """Of the run."""
    done: int = 0
    """Steps of the run so far."""
    targets: int = 0
    """Pictures and other results that lie ready for its current phase."""
    problem: str = ""
    """The sentence of a `UserError`."""


@spaces.GPU(duration=SLICE_SECONDS)
def advance_run(folder: Path) -> Slice:
    """Work on the run in ``folder`` for as long as one slice lasts; never raises `UserError`, see `Slice.problem`."""
    try:
        state = run(folder, budget_seconds=SLICE_SECONDS - START_SECONDS, stop=(folder.parent / STOP).exists)
    except UserError as error:
        return Slice(problem=str(error))
    return Slice(
        state.status, state.done, sum(1 for path in RunFolder(folder).targets.rglob("*") if path.suffix in MADE)
    )


def slices(folder: Path) -> Iterator[Slice]:
    """Advance a run until it ends, fails, is stopped, or makes no headway. Raises `gr.Error` when no GPU is lent."""
    stop = folder.parent / STOP
    stop.unlink(missing_ok=True)
    before = (-1, 0)
    while not stop.exists():
        ended = advance_run(folder)
        yield ended
        if ended.status != "stopped" or (ended.done, ended.targets) <= before:
            return
        before = (ended.done, ended.targets)
