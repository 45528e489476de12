"""One run on a Space with a lent GPU, slice by slice, as a process of its own: forking is safe where no test has begun
a thread.

Prints what happened as JSON; tests/ui/test_gpu_runs.py starts it and judges.
"""

# ruff: noqa: E402 — the fake must be there before ui.gpu_runs asks for the real one

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests import fake_gpu

fake_gpu.install()
os.environ["SPACES_ZERO_GPU"] = "true"

import gradio as gr

from pipeline.jobs import runner
from tests.jobs.fake import fake_config, fake_refined, new_run, result
from ui import gpu_runs, runs_calls
from ui.people import person_of
from ui.runs import Runs
from ui.workshop import Workshop

KEY = "a" * 32
STEP_SECONDS = 0.1
BUDGET = 0.6
"""Seconds of a slice in which a run counts."""


def main(place: Path) -> dict[str, Any]:
    """What a visitor may do with a run, one after the other."""
    runner.refined = partial(fake_refined, seconds=STEP_SECONDS)  # type: ignore[assignment]
    brought = []
    runs_calls.fetch_models = lambda model, controlnet, recipe: brought.append(model)
    runner._make_video = lambda journal: None
    gpu_runs.START_SECONDS = gpu_runs.SLICE_SECONDS - BUDGET
    os.environ["ANIMPORTRAIT3D_LIBRARY"] = str(place / "library")
    visit = Visit(place, Runs(Workshop()))
    return {
        "whole": visit.whole(),
        "refused": visit.refused(),
        "stopped": visit.stopped(),
        "taken away": visit.taken_away(),
        "brought": brought,
        "leases": fake_gpu.LEASES,
    }


class Visit:
    """What each press leads to."""

    def __init__(self, place: Path, runs: Runs) -> None:
        self.place, self.runs, self.calls = place, runs, runs_calls.RunsCalls(runs)
        self.start = new_run(place / "start").start

    def new(self) -> Any:
        return self.runs.add(fake_config(), person_of(KEY, None), self.start)

    def press(self, run: Any) -> list[Any]:
        return [view.runs[0] for view, _ in self.calls.on_advance(run.id, KEY)]

    def whole(self) -> dict[str, Any]:
        run = self.new()
        seen = self.press(run)
        alone = new_run(self.place / "alone")
        runner.run(alone.path)
        return {
            "statuses": [card.status for card in seen], "shares": [card.share for card in seen],
            "button": seen[0].resume, "equal": result(run.folder) == result(alone),
        }  # fmt: skip

    def refused(self) -> str:
        run = self.new()
        (run.folder.path / "config.json").write_text("{}")
        try:
            list(gpu_runs.slices(run.folder.path))
        except gr.Error as error:
            return f"raised: {error.message}"
        return next(iter(gpu_runs.slices(run.folder.path))).problem

    def stopped(self) -> dict[str, Any]:
        """Stop is pressed while a slice is under way."""
        run = self.new()
        slices = gpu_runs.slices(run.folder.path)
        first = next(slices)
        self.calls.on_stop(run.id, KEY)
        return {"first": first.status, "others": len(list(slices)), "status": run.folder.state().status}

    def taken_away(self) -> dict[str, Any]:
        """The process with the GPU meets a defect, or the quota is used up."""
        whole = gpu_runs.advance_run
        gpu_runs.advance_run = fake_gpu.GPU(_taken_away)
        run = self.new()
        seen = self.press(run)
        gpu_runs.advance_run = whole
        return {"seen": len(seen), "actions": seen[-1].actions}


def _taken_away(folder: Path) -> Any:
    raise gr.Error("You have exceeded your GPU quota")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
