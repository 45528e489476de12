"""`Mirror`: a second place for a run, such as a mounted bucket, from which it is gone on with on another machine.

Such mounts have neither locks nor appending, and a file is there when it is closed. So the work is done on this
machine's disk, and what has changed is copied whole: first what a state speaks of, then the state.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import PARTIAL_SUFFIX, reading, writing
from pipeline.jobs.folder import CONFIG, EVENTS, LOCK, SPARE
from pipeline.jobs.state import STATE

LEFT_OUT = {LOCK, SPARE}
LAST = (EVENTS, STATE, CONFIG)
"""Copied after everything else, in this order: where config.json is, all of it is."""


class Mirror:
    """Keeps ``place`` like ``run``, both folders."""

    def __init__(self, run: Path, place: Path) -> None:
        self.run, self.place = run, place
        self._sent: dict[Path, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Bring the run here, unless it is here already. Raises `UserError` when it is in neither place."""
        if (self.run / CONFIG).is_file():
            return
        with reading(self.place):
            if not (self.place / CONFIG).is_file():
                raise UserError(f"there is no run in {self.run}, nor in {self.place} to bring it from")
        for name in self._files(self.place):
            _copy(self.place / name, self.run / name)

    def send(self) -> None:
        """Copy what is new, and remove what is here no longer. Raises `UserError` where that cannot be."""
        names = self._files(self.run)
        for name in names:
            stamp = _stamp(self.run / name)
            if self._sent.get(name) != stamp:
                _copy(self.run / name, self.place / name)
                self._sent[name] = stamp
        with writing(self.place):
            for name in self._files(self.place):
                if name not in names and name.parts[0] in ("checkpoints", "targets", "source"):
                    (self.place / name).unlink(missing_ok=True)

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        with reading(folder):
            found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        kept = [name for name in found if name.name not in LEFT_OUT and not name.name.endswith(PARTIAL_SUFFIX)]
        return sorted(kept, key=lambda name: (LAST.index(str(name)) if str(name) in LAST else -1, str(name)))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _copy(source: Path, target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
