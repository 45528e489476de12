"""Datasets that visitors name: read as a stranger does, and kept within bounds on the disk."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from pipeline.gallery.datasets import DatasetSource
from pipeline.gallery.hub_gallery import HubGallery
from pipeline.heads.model_cache import cache_folder
from pipeline.hub.client import ANONYMOUS, Hub, never, unseen
from pipeline.hub.line import Cancel, Progress

MOST_BYTES = 4_000_000_000
"""Of everything that comes from such datasets; those that were left alone for longest go first."""


def strangers_hub() -> Hub:
    """The Hub as a stranger reads it, in a cache of its own: this machine's login would show what is private."""
    return Hub(token=ANONYMOUS, cache_dir=cache_folder() / "hub-public")


class AddedGallery(HubGallery):
    """The gallery of a dataset ``owner/name`` that a visitor named."""

    def __init__(self, name: str, most: int = MOST_BYTES) -> None:
        self._cache, self._most = strangers_hub().cache_dir, most
        super().__init__(DatasetSource(name), strangers_hub())

    def refresh(self, cancel: Cancel = never) -> None:
        """As `HubGallery.refresh`; others make room for what came."""
        super().refresh(cancel)
        keep_within(self._cache, self._most)

    def fetch(self, entry_id: str, progress: Progress = unseen, cancel: Cancel = never, whole: bool = False) -> Path:
        """As `HubGallery.fetch`; others make room for what came."""
        fetched = super().fetch(entry_id, progress, cancel, whole)
        os.utime(self.folder)
        keep_within(self._cache, self._most)
        return fetched


def keep_within(cache: Path, most: int) -> None:
    """Delete repositories and unfinished files from a `Hub`'s cache until it holds at most ``most`` bytes.

    Those that were left alone for longest go first; the newest stays, however large.
    """
    units: defaultdict[str, list[Path]] = defaultdict(list)
    for path in cache.glob("*/*"):  # a repository has a folder of the same name in several places
        units[path.name.removesuffix(".lock")].append(path)
    seen: set[tuple[int, int]] = set()
    sizes = {name: sum(_size(path, seen) for path in paths) for name, paths in units.items()}
    left = sum(sizes.values())
    for name in sorted(units, key=lambda name: max(map(_touched, units[name])))[:-1]:
        if left <= most:
            return
        for path in units[name]:
            _remove(path)
        left -= sizes[name]


def _size(place: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of the files at or below ``place`` that were not ``seen`` under another name."""
    size = 0
    for path in (place, *place.rglob("*")):
        with suppress(FileNotFoundError):  # another thread was quicker
            state = path.lstat()
            if path.is_file() and (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                size += state.st_size
    return size


def _touched(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
