"""`RunFolder`: a run on disk. Killing whoever works on it loses at most the work since the last checkpoint.

| place | what |
|---|---|
| config.json | the `RunConfig`; never changed |
| state.json | the `RunState`, replaced as a whole |
| events.jsonl | what happened, a line each |
| log.txt | what the worker process printed |
| checkpoints/ | the newest two states of the optimisation (`checkpoints`) |
| targets/ | what a phase made ahead of its fit, and what was made for the start so far |
| source/ | the static head that was given to start from, until the run is finished |
| preview.png | the head as it is now |
| out/portrait.pth | the tri-grid that was made of the sentence, as the gallery's files are |
| out/start/ | the avatar folder of the prior, or of the rigged portrait |
| out/avatar/ | the avatar folder of the result |
| out/preview.mp4 | the result in motion |
| lock | held by whoever works on the run |
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.files import reading, whole_file, whole_folder, writing
from pipeline.jobs.config import RunConfig
from pipeline.jobs.state import STATE, RunState

CONFIG, EVENTS, LOG, LOCK, SPARE = "config.json", "events.jsonl", "log.txt", "lock", "spare"
LOCK_SECONDS = 2.0
"""Somebody who only looks whether the lock is held holds it for a moment."""
SPARE_BYTES = 64 * 1024
"""Kept aside to be able to say, on a full disk, that the disk is full."""
LARGEST_EVENT = 4096
DIED = (
    "its process ended without a word (killed, out of memory, or the machine was switched off); "
    "resumed, it goes on from the last checkpoint"
)


class RunFolder:
    """The files of one run; any number of processes may read them, one at a time works on them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.targets = path / "targets"
        self.source = path / "source"
        self.preview = path / "preview.png"
        self.log = path / LOG
        self.start = path / "out" / "start"
        self.portrait = path / "out" / "portrait.pth"
        self.avatar = path / "out" / "avatar"
        self.video = path / "out" / "preview.mp4"

    @classmethod
    def create(cls, path: Path, config: RunConfig, bring: Callable[[Path], None] | None = None) -> RunFolder:
        """A new run, waiting. Raises `UserError` where a folder with files in it, or a file, has that name.

        ``bring`` puts the static head that the run is given into the folder ``source``, before it is a run.
        """
        with writing(path):
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                is_run = path.is_dir() and (path / CONFIG).is_file()
                told = "holds a run already; go on with it by --resume, or" if is_run else "is taken;"
                raise UserError(f"{path} {told} give another place")
            path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        if bring is not None:
            with whole_folder(run.source) as partial:
                bring(partial)
        with whole_file(path / CONFIG) as partial:
            partial.write_text(config.to_json(), encoding="utf-8")
        run.write_state(RunState(total=config.total, seed=config.seed))
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run in a folder. Raises `UserError` where there is none."""
        with reading(path):
            if not (path / CONFIG).is_file():
                raise UserError(f"there is no run in {path}; start one with: create PROMPT --refine --run {path}")
        return cls(path)

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.path.absolute().name

    @property
    def created(self) -> float:
        """Seconds since 1970."""
        return (self.path / CONFIG).stat().st_mtime

    def config(self) -> RunConfig:
        """Raises `UserError` for a config.json that cannot be used."""
        with reading(self.path / CONFIG):
            return RunConfig.from_json((self.path / CONFIG).read_text(encoding="utf-8", errors="replace"))

    def state(self) -> RunState:
        """How far it has come. A run whose worker died is "stopped", and its sentence says so."""
        state = self._written_state()
        if not state.pid or self.is_locked() or state.is_of_living_process() or state.is_heard_of_elsewhere():
            return state
        again = self._written_state()  # it may have ended between the two looks
        is_dead = again.pid == state.pid and again.status in ("waiting", "running")
        return replace(again, status="stopped", pid=0, sentence=DIED) if is_dead else again

    def write_state(self, state: RunState) -> None:
        """Replace state.json. Raises `UserError` where it cannot be written."""
        with whole_file(self.path / STATE, durable=False) as partial:
            partial.write_text(state.to_json(), encoding="utf-8")

    def tell(self, kind: str, **values: Any) -> None:
        """Append an event. Raises `UserError` where it cannot be written."""
        line = json.dumps({"time": round(time.time(), 3), "kind": kind, **values}, ensure_ascii=False)
        with writing(self.path / EVENTS), open(self.path / EVENTS, "ab") as file:
            file.write(line.encode("utf-8", "replace") + b"\n")

    def events(self, last: int | None = None) -> list[dict[str, Any]]:
        """What happened, the oldest first; only the ``last`` so many. A torn line is left out."""
        try:
            with open(self.path / EVENTS, "rb") as file:
                if last is not None:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - last * LARGEST_EVENT))
                lines = file.read().splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            with suppress(ValueError, RecursionError):
                if isinstance(event := json.loads(line), dict):
                    found.append(event)
        return found if last is None else found[-last:]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who works on the run. Raises `UserError` when somebody else is."""
        lock = self._lock(LOCK_SECONDS)
        with writing(self.path / LOCK):
            try:
                lock.acquire()
            except Timeout as error:
                told = f"{self.path} is being worked on already (process {self._written_state().pid})"
                raise UserError(f"{told}; stop that one first") from error
        try:
            with writing(self.path):
                self._mend()
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether somebody on this machine works on the run. The system frees the lock of a process that is killed."""
        if not (self.path / LOCK).exists():
            return False
        lock = self._lock(0)
        try:
            lock.acquire()
        except Timeout:
            return True
        except OSError:  # a folder that may only be read: whoever may not write does not work on it
            return False
        lock.release()
        return False

    def lay_spare(self) -> None:
        """Lay aside what is needed to say that the disk is full. Raises `UserError` where it is already."""
        with writing(self.path / SPARE):
            (self.path / SPARE).write_bytes(b"\0" * SPARE_BYTES)

    def free_spare(self) -> None:
        """Give back the bytes kept aside, for the last words on a full disk."""
        (self.path / SPARE).unlink(missing_ok=True)

    def _lock(self, timeout: float) -> FileLock:
        return FileLock(self.path / LOCK, timeout=timeout, thread_local=False)

    def _mend(self) -> None:
        """Cut off the torn last line of the events."""
        with open(self.path / EVENTS, "ab+") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - 2 * LARGEST_EVENT)
            file.seek(start)
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(start + tail.rfind(b"\n") + 1)

    def _written_state(self) -> RunState:
        try:
            return RunState.from_json((self.path / STATE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return RunState()
        except (OSError, ValueError, RecursionError):
            return RunState(status="stopped", sentence=f"{STATE} is damaged; resumed, it goes on from a checkpoint")


def new_id() -> str:
    """A name for a run: when it was made, and something nobody guesses."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
