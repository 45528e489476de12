"""What goes wrong at the loopback Hub: one `Fault` per thing, matched by the path that is asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass
class Fault:
    """One thing that goes wrong, at each request that ``where`` matches, ``times`` times (None: always).

    ``where`` is a shell pattern over the unquoted path without its query, e.g. ``*/NNN.zip`` or ``/api/*/commit/*``. A
    large file is asked for twice: as ``/datasets/<id>/resolve/<revision>/<path>``, which only redirects, and as
    ``/storage/datasets/<id>/<commit>/<path>``, which brings the bytes; faults of the bytes apply to the second only.
    """

    where: str
    times: int | None = None
    method: str | None = None
    """GET, HEAD, POST, PUT; None is every method."""

    status: int | None = None
    """Answer this instead, with ``message``, ``error_code`` (X-Error-Code) and ``retry_after`` (seconds)."""
    message: str = "the loopback Hub was told to fail"
    error_code: str | None = None
    retry_after: int | None = None

    wait: float = 0.0
    """Seconds before the first byte of the answer."""
    pace: float | None = None
    """Bytes of a file per second."""
    cut_after: int | None = None
    """The connection closes after so many bytes of a file."""
    wrong_bytes: bool = False
    """Bytes of a file are other ones, as many as there should be."""
    no_ranges: bool = False
    """A range is ignored: the whole file comes, with status 200."""

    def spoils_bytes(self) -> bool:
        """Whether the fault is one of a file's bytes."""
        return self.pace is not None or self.cut_after is not None or self.wrong_bytes or self.no_ranges


class Faults(list[Fault]):
    """Every fault that is in force; a test appends to it and clears it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def take(self, method: str, path: str, brings_bytes: bool) -> Fault | None:
        """The first fault that applies to a request, counted as used."""
        with self._lock:
            for fault in self:
                if self._applies(fault, method, path, brings_bytes):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    @staticmethod
    def _applies(fault: Fault, method: str, path: str, brings_bytes: bool) -> bool:
        if fault.times == 0 or (fault.spoils_bytes() and not brings_bytes):
            return False
        return fault.method in (None, method) and fnmatchcase(path, fault.where)
