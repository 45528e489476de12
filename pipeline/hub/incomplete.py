"""What has come of a file so far: one writer at a time, room on the disk, and the checksum at the end."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.hub.errors import Cancelled, Damaged, HubError, disk_error, megabytes
from pipeline.hub.line import POLL_SECONDS, Cancel, size_of
from pipeline.hub.listing import HubFile

DISK_MARGIN = 256 << 20
"""Bytes that a download leaves free for everything else."""
HASH_BLOCK = 1 << 22
FORGOTTEN_SECONDS = 7 * 24 * 3600
"""What nobody has gone on with for so long is deleted."""


@contextmanager
def taken(partial: Path, what: str, size: int, cancel: Cancel) -> Iterator[None]:
    """Hold the unfinished file ``partial`` of ``size`` bytes alone, with room for the rest of it.

    Raises `HubError` where there is no room or the folder cannot be written. A full disk also deletes what has come,
    since everything else needs the room more.
    """
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _forget_old(partial.parent)
        with _locked(partial, cancel):
            _check_room(partial, what, size)
            yield
    except OSError as error:
        if isinstance(error, TimeoutError | ConnectionError):
            raise
        partial.unlink(missing_ok=True)
        raise disk_error(error, what, str(partial.parent)) from error


def check(partial: Path, file: HubFile, name: str, cancel: Cancel) -> None:
    """Delete ``partial`` and raise `Damaged` unless it holds what the Hub lists."""
    digest = _digest(file)
    with open(partial, "rb") as content:
        while block := content.read(HASH_BLOCK):
            if cancel():
                raise Cancelled(f"called off; what has come of {name} is kept")
            digest.update(block)
    if digest.hexdigest() != (file.sha256 or file.blob):
        partial.unlink()
        raise _wrong(file, name)


def check_bytes(content: bytes, file: HubFile, name: str) -> bytes:
    """``content``, or `Damaged` unless it is what the Hub lists."""
    digest = _digest(file)
    digest.update(content)
    if digest.hexdigest() != (file.sha256 or file.blob):
        raise _wrong(file, name)
    return content


def _digest(file: HubFile) -> hashlib._Hash:
    """SHA-256 of a large file; git's SHA-1 of a blob of a small one."""
    return hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _wrong(file: HubFile, name: str) -> Damaged:
    return Damaged(f"{file.path} of {name} came damaged (its checksum is wrong) and was deleted; try again")


@contextmanager
def _locked(partial: Path, cancel: Cancel) -> Iterator[None]:
    lock = FileLock(f"{partial}.lock")
    while True:
        try:
            lock.acquire(timeout=POLL_SECONDS, poll_interval=POLL_SECONDS / 2)
            break
        except Timeout as error:
            if cancel():
                raise Cancelled("called off; the same file is still coming for somebody else") from error
    try:
        yield
    finally:
        lock.release()


def _check_room(partial: Path, what: str, size: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    needed = size - size_of(partial)
    if free < needed + DISK_MARGIN:
        raise HubError(
            f"{what} needs {megabytes(needed)} more and {partial.parent} has {megabytes(free)} free; "
            f"free {megabytes(needed + DISK_MARGIN - free)} or set ANIMPORTRAIT3D_CACHE to a larger disk"
        )


def _forget_old(folder: Path) -> None:
    for file in list(folder.iterdir()):
        with suppress(FileNotFoundError):  # another thread was quicker
            if time.time() - file.stat().st_mtime > FORGOTTEN_SECONDS:
                file.unlink()
