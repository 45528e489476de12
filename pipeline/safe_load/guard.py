"""What the worker process may use: memory, time, two files, and nothing else.

The allow-list is what keeps foreign code out. These are the second line, should it ever have a hole.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from pipeline.safe_load.refusal import FORBIDDEN

MOST_FILES = 32
GRACE = 2.0
"""Seconds after its time at which a worker ends itself, for when nobody is left to end it."""
HARMLESS = frozenset({"sys.excepthook", "sys.unraisablehook"})
"""Audit events of Python's own error messages."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


class Guard:
    """An audit hook (`sys.addaudithook`) that ends the process unless the event is expected; it cannot be removed."""

    def __init__(self) -> None:
        self._files: tuple[str, str] | None = None

    def watch(self, source: Path, target: Path) -> None:
        """From now on only ``source`` may be opened to read, and ``target`` to write."""
        self._files = (str(source), str(target))

    def rest(self) -> None:
        """Between requests modules may be imported."""
        self._files = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._files is None or event in HARMLESS:
            return
        if event == "open" and self._expected(*arguments):
            return
        os.write(sys.stderr.fileno(), f"a foreign file led to {event}: its reader is ended\n".encode())
        os._exit(FORBIDDEN)

    def _expected(self, path: Any, mode: Any, flags: int) -> bool:
        source, target = self._files or ("", "")
        return str(path) == target or (str(path) == source and not flags & WRITES)


def address_space() -> int:
    """Bytes that this process has mapped (Linux); elsewhere what an idle worker takes at most."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except FileNotFoundError:
        return 512 * 2**20
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def limit_process(memory_bytes: int) -> None:
    """No more than ``memory_bytes`` beyond what is mapped now; no cores, no processes, few and no larger files."""
    _limit(resource.RLIMIT_AS, address_space() + memory_bytes)
    _limit(resource.RLIMIT_FSIZE, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MOST_FILES)
    _limit(resource.RLIMIT_NPROC, 0)


def limit_request(seconds: float) -> None:
    """The next request's processor and wall-clock time, a little more than its owner allows."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime + seconds + GRACE) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)


def end_request() -> None:
    """The clock stops."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (value, value))
