"""`RunState`: how far a run has come, as state.json holds it; and who is at work on it."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import psutil

from pipeline.stages.plain_values import read

Status = Literal["waiting", "running", "stopped", "failed", "finished"]
STATE = "state.json"
SILENCE_SECONDS = 120.0
"""A run on another machine that was not heard of for so long is taken for dead."""


@dataclass(frozen=True)
class RunState:
    """How far a run has come."""

    status: Status = "waiting"
    phase: str = ""
    """What is being done: a phase of the recipe, or "start", "models", "avatar", "video"."""
    step: int = 0
    """Steps of the phase that are done."""
    steps: int = 0
    """Steps of the phase."""
    done: int = 0
    """Steps of all phases that are done."""
    total: int = 0
    """Steps of all phases."""
    seed: int = 0
    heartbeat: float = 0.0
    """When the worker last gave a sign of life, seconds since 1970."""
    pid: int = 0
    """Process of the worker, 0 where there is none."""
    host: str = ""
    """Machine of that process."""
    born: float = 0.0
    """When that process was started, which tells it from a later one of the same number."""
    sentence: str = ""
    """What the person should know now: why it stopped or failed, and how it goes on."""
    losses: dict[str, float] = field(default_factory=dict)
    """Of the last step."""
    seconds: float = 0.0
    """Worked so far, by all workers of this run."""
    seconds_left: float | None = None
    """Guessed from the steps of this worker; None before the first."""
    batch: int | None = None
    """Most shots at once, after memory did not suffice for the recipe's."""

    @property
    def resumable(self) -> bool:
        """Whether another worker may go on with it."""
        return self.status in ("waiting", "stopped", "failed")

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunState:
        """Raises `ValueError` for a text that is no state."""
        return read(cls, json.loads(text), STATE)

    def worked_on_by(self, process: psutil.Process) -> RunState:
        """The same in the hands of a process of this machine."""
        return replace(self, pid=process.pid, host=socket.gethostname(), born=process.create_time())

    def is_of_living_process(self) -> bool:
        """Whether the process that wrote this is alive on this machine."""
        if not self.pid or not self.is_local():
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.born) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def is_local(self) -> bool:
        """Whether it was written on this machine."""
        return self.host == socket.gethostname()

    def is_heard_of_elsewhere(self) -> bool:
        """Whether a worker on another machine gave a sign of life lately."""
        return not self.is_local() and time.time() - self.heartbeat < SILENCE_SECONDS
