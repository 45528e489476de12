"""`RunLine`: one run at a time works at this place, the others wait for their turn.

Who waits is a file in the run's folder, so that the line outlives the app. When the app ends in good order, so do its
workers, after a checkpoint: whoever closes the app wants the machine back, and nothing that nobody sees goes on for
hours. They stand first in line then, and go on by themselves when the app is started again. When the app is killed they
go on, and the next app finds them by the lock that each holds on its run.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.jobs.worker import is_running, start_worker, stop_worker

if TYPE_CHECKING:
    from ui.runs import Run, Runs

QUEUED = "queued"
LOOK_SECONDS = 2.0
"""Between two looks whether the next one may start."""
TIDY_SECONDS = 300.0
"""Between two looks at what may be deleted."""
STOP_SECONDS = 600.0
"""A worker that is told to stop finishes its step, which takes minutes on a slow machine."""
CLOSE_SECONDS = 20.0
"""When the app ends, nobody waits for longer; the last checkpoint is there all the same."""


class RunLine:
    """The line of all runs of a library, which several processes may share."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._closed = threading.Event()
        self._stopping: set[str] = set()

    def join(self, run: Run) -> None:
        """Let a run wait for its turn, which may be now; one that waits already keeps its place."""
        if not self.has(run):
            (run.place / QUEUED).touch()
        self.advance()

    def leave(self, run: Run) -> None:
        """Let a run wait no longer."""
        (run.place / QUEUED).unlink(missing_ok=True)

    def stop(self, run: Run) -> None:
        """Let a run wait no longer, or end after its step and a checkpoint; returns at once."""
        self.leave(run)
        if run.id not in self._stopping and is_running(run.folder.path):
            self._stopping.add(run.id)
            threading.Thread(target=self._stop, args=(run,), name="stop-run", daemon=True).start()

    def is_stopping(self, run: Run) -> bool:
        """Whether the run was told to stop and has not yet."""
        return run.id in self._stopping

    def has(self, run: Run) -> bool:
        """Whether the run waits for its turn."""
        return (run.place / QUEUED).exists()

    def ahead_of(self, run: Run) -> int:
        """How many runs come before one that waits, the one at work included."""
        everybody = self._runs.all()
        mine = self._since(run)
        return sum(self._since(other) < mine if self.has(other) else _works(other) for other in everybody)

    def advance(self) -> None:
        """Start the next run unless one is at work."""
        try:
            with FileLock(self._runs.root / ".line.lock", timeout=0):
                everybody = self._runs.all()
                waiting = sorted((run for run in everybody if self.has(run)), key=self._since)
                if waiting and not any(_works(run) for run in everybody):
                    self._start(waiting[0])
        except (Timeout, OSError):  # another process is at it, there has never been a run here, or the disk refuses
            return

    def keep_going(self) -> None:
        """Go on starting what waits and removing what is old, for as long as the process lives."""
        tidied = 0.0
        while not self._closed.wait(LOOK_SECONDS):
            if not self._runs.root.is_dir():
                continue
            self.advance()
            if time.monotonic() - tidied > TIDY_SECONDS:
                self._runs.remove_old()
                tidied = time.monotonic()

    def close(self) -> None:
        """End the workers of this place; what they were at stands first in line when an app is started again."""
        self._closed.set()
        at_work = [run for run in self._runs.all() if _works(run)]
        for run in at_work:
            with suppress(OSError):  # deleted meanwhile, or no room: it is resumed by hand then
                (run.place / QUEUED).touch()
                os.utime(run.place / QUEUED, (0, 0))  # before all others
        enders = [threading.Thread(target=self._end, args=(run,)) for run in at_work]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def _start(self, run: Run) -> None:
        self.leave(run)
        with suppress(UserError):  # deleted meanwhile, or finished
            start_worker(run.folder.path)

    def _stop(self, run: Run) -> None:
        try:
            with suppress(UserError):
                stop_worker(run.folder.path, STOP_SECONDS)
        finally:
            self._stopping.discard(run.id)

    def _end(self, run: Run) -> None:
        with suppress(UserError):
            stop_worker(run.folder.path, CLOSE_SECONDS)

    def _since(self, run: Run) -> float:
        with suppress(FileNotFoundError):
            return (run.place / QUEUED).stat().st_mtime
        return time.time()


def _works(run: Run) -> bool:
    with suppress(UserError):  # deleted meanwhile
        return run.state.status != "finished" and is_running(run.folder.path)
    return False
