"""Worker processes: a run goes on without whoever started it, and is found again by its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from pipeline.errors import UserError
from pipeline.files import writing
from pipeline.jobs.folder import DIED, RunFolder

ROOT = Path(__file__).parents[2]
"""Where ``python -m pipeline`` is found."""
NOT_INHERITED = ("GRADIO_", "SPACES_", "OAUTH_", "OPENID_", "ACCELERATE_", "TORCHELASTIC_")
NOT_INHERITED_NAMES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK",
                       "MASTER_ADDR", "MASTER_PORT"}  # fmt: skip
"""What belongs to the page's process, or to the group of processes that it is one of."""
POLL_SECONDS = 0.05
STOPPED_EARLY = "stopped before its process was ready; resumed, it goes on from what it has"
COMMAND = [sys.executable, "-m", "pipeline", "create", "--resume"]
"""The folder of the run comes after it."""


def start_worker(path: Path) -> int:
    """Go on with a run in a process of its own, which outlives this one; its process id.

    What it prints goes to the run's log.txt. Raises `UserError` when there is no run, it is finished or in work.
    """
    run = RunFolder.open(path)
    run.config()
    state = run.state()
    if state.status == "finished":
        raise UserError(f"the run in {path} is finished; its head is in {run.avatar}")
    if is_running(path):
        raise UserError(f"{path} is being worked on already (process {state.pid}); stop that one first")
    with writing(run.log), open(run.log, "ab") as log:
        process = subprocess.Popen(
            [*COMMAND, str(path.absolute())], cwd=ROOT, env=_environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    with suppress(psutil.Error, UserError):  # gone again already, or it says so itself
        waiting = replace(state, status="waiting", sentence="")
        run.write_state(waiting.worked_on_by(psutil.Process(process.pid)))
    threading.Thread(target=process.wait, name=f"worker {process.pid}", daemon=True).start()  # leaves no zombie
    return process.pid


def is_running(path: Path) -> bool:
    """Whether a process of this machine works on the run, or has just been started to."""
    run = RunFolder.open(path)
    if run.is_locked():
        return True
    state = run.state()
    return state.status == "waiting" and state.is_of_living_process()


def stop_worker(path: Path, deadline: float = 60.0) -> bool:
    """End the process that works on a run, which keeps what it has; after ``deadline`` seconds, without waiting for it.

    Whether there was one. It is told like Ctrl-C, finishes its step, writes a checkpoint and ends.
    """
    if not is_running(path):
        return False
    run = RunFolder.open(path)
    state = run.state()
    if not state.is_of_living_process() or state.pid == os.getpid():
        raise UserError(f"{path} is in the hands of a process that cannot be stopped from here; end it where it runs")
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if not state.is_of_living_process():
            _tell_stopped(run)
            return True
        time.sleep(POLL_SECONDS)
    _kill(state.pid)
    return True


def _tell_stopped(run: RunFolder) -> None:
    """In place of a worker that was told to end before it listened."""
    state = run.state()
    if state.sentence == DIED:
        run.write_state(replace(state, sentence=STOPPED_EARLY))


def _kill(pid: int) -> None:
    """With its children, where it leads a group of its own."""
    with suppress(ProcessLookupError):
        if os.name == "posix" and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            psutil.Process(pid).kill()


def _environment() -> dict[str, str]:
    """That of this process, without the page's own settings and secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_INHERITED_NAMES and not name.startswith(NOT_INHERITED)
    }
