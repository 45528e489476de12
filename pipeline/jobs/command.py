"""The command line's way into a run: `create --refine`, `--portrait`, `--prior portrait3d` and `--resume`."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.avatar_folder import check_target
from pipeline.errors import UserError
from pipeline.files import whole_folder
from pipeline.jobs.config import RunConfig
from pipeline.jobs.folder import RunFolder, new_id
from pipeline.jobs.making import check_request, is_helper, is_one_of_several
from pipeline.jobs.runner import run
from pipeline.jobs.signals import StopRequests
from pipeline.jobs.starting import described
from pipeline.jobs.state import RunState
from pipeline.portraits import find_portrait

RUNS = Path("runs")
"""Where runs are that nobody gives a place."""
FIELDS = {
    "recipe": "recipe", "steps_scale": "num_steps_scale", "resolution": "resolution", "model": "model",
    "controlnet": "controlnet", "device": "device", "dtype": "dtype", "threads": "threads",
    "checkpoint_every": "checkpoint_every", "views": "initialization", "landmarks": "landmarks", "parser": "parser",
    "normals": "normals",
}  # fmt: skip
"""Options of the command line → fields of the run."""
LOG_SECONDS = 10.0
"""Between two lines of progress where nobody watches a terminal."""


def create_by_run(options: argparse.Namespace, attributes: dict[str, str]) -> int:
    """Start a run, or go on with one, and show how far it is; the exit code."""
    if options.out is not None:
        check_target(options.out)
    if options.resume is None and is_one_of_several():
        raise UserError("several processes go on with a run that is there: name it after --resume")
    folder = RunFolder(options.resume) if options.resume is not None else _new_run(options, attributes)
    with StopRequests() as requests:
        try:
            state = run(folder.path, stop=requests.asked, watch=_Progress(), mirror=options.mirror)
        except KeyboardInterrupt:
            print(f"\n{folder.state().sentence}", file=sys.stderr)
            return 130
    if state.status == "failed":
        raise UserError(state.sentence)
    if state.status == "stopped":
        print(state.sentence, file=sys.stderr)
        return requests.exit_code
    if not is_helper():
        _tell_result(folder, options.out)
    return 0


def _new_run(options: argparse.Namespace, attributes: dict[str, str]) -> RunFolder:
    chosen: dict[str, Any] = {field: getattr(options, name) for name, field in FIELDS.items()}
    portrait = None if options.portrait is None else find_portrait(options.portrait, options.decoder)
    prompt = options.prompt or ("" if portrait is None else portrait.prompt)
    if options.refine and not prompt:
        raise UserError("PROMPT is missing, and none lies beside the portrait; a refinement is guided by it")
    config = RunConfig.of(
        prompt,
        seed=options.seed or 0,
        attributes=attributes,
        head=options.head or "anny",
        refine=options.refine,
        from_text=options.prior == "portrait3d",
        portrait=None if portrait is None else described(portrait),
        **{field: value for field, value in chosen.items() if value is not None},
    )
    check_request(config)
    folder = RunFolder.create(options.run or RUNS / new_id(), config, None if portrait is None else portrait.copy_to)
    print(f"run {folder.path}", flush=True)
    return folder


def _tell_result(folder: RunFolder, out: Path | None) -> None:
    if out is not None:
        with whole_folder(out) as partial:
            shutil.copytree(folder.avatar, partial, dirs_exist_ok=True)
    for event in folder.events():
        if event.get("kind") == "note":
            print(f"note: {event.get('sentence', '')}")
    print(f"created {out or folder.avatar} in {_duration(folder.state().seconds)}")


class _Progress:
    """Shows states: on a terminal one line that changes, else a line now and then."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown = 0.0
        self._phase, self._step = "", 0

    def __call__(self, state: RunState) -> None:
        if state.status != "running":
            return
        now = time.monotonic()
        is_old = state.phase == self._phase and (state.step == self._step or now - self._shown < LOG_SECONDS)
        if is_old and not self._is_terminal:
            return
        start = "\r\x1b[K" if self._is_terminal else ""
        print(f"{start}{describe(state)}", end="" if self._is_terminal else "\n", file=sys.stderr, flush=True)
        if self._is_terminal and state.phase != self._phase:
            print(file=sys.stderr)
        self._shown, self._phase, self._step = now, state.phase, state.step


def describe(state: RunState) -> str:
    """One line: phase, step of steps, losses, time left."""
    words = [state.phase or "starting"]
    if state.steps:
        words[0] += f" {state.step:,} of {state.steps:,}"
        words.append(f"{state.done:,} of {state.total:,} steps in all")
        words += [f"{name} {value:.4g}" for name, value in state.losses.items()]
    if state.seconds_left is not None:
        words.append(f"{_duration(state.seconds_left)} left")
    return " · ".join(words)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
