"""Files and folders that appear whole or not at all, and the system's refusals as sentences."""

from __future__ import annotations

import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import UserError

PARTIAL_SUFFIX = ".partial"
"""Ends the temporary name of everything that is still being written."""
LONGEST_STEM = 40
"""Characters of the final name in the temporary one, which must stay within the 255 bytes of a file name."""


def partial_name(path: Path) -> Path:
    """A fresh hidden name beside ``path`` for its unfinished content."""
    return path.parent / f".{path.name[:LONGEST_STEM]}-{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise `UserError` where the system refuses to write ``path``: no right, no space, a path below a file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give another place") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise `UserError` where the system refuses to read ``path``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); give a file that can") from error


@contextmanager
def whole_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary name to write to; it becomes ``path`` when the block ends well and is removed otherwise.

    A ``durable`` file reaches the disk before it is renamed, so that a crash of the machine leaves the old file or the
    new one; what is read at once and then deleted need not wait for that. A link is followed: what it points to is
    replaced. Raises `UserError` when ``path`` cannot be written or is a folder or a
    device, before the block begins where that can be known.
    """
    with writing(path):
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_file():
            raise UserError(f"{path} is a folder or a device; give the name of a file")
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_name(place)
        try:
            partial.touch()
            yield partial
            if durable:
                with open(partial, "rb") as written:
                    os.fsync(written.fileno())
            os.replace(partial, place)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; it replaces ``path`` when the block ends well and is removed otherwise.

    A link is followed. Raises `UserError` when ``path`` cannot be written, is no folder, or is the working folder,
    which would vanish under the person's feet; before the block begins where that can be known.
    """
    with writing(path):
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_dir():
            raise UserError(f"{path} is a file; give the name of a folder")
        if place == Path.cwd():
            raise UserError(f"{path} is the folder you are in, which cannot be replaced; give one inside or beside it")
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_name(place)
        partial.mkdir()
        try:
            yield partial
            _replace_folder(place, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def link(file: Path, place: Path) -> None:
    """Give ``file`` a second name, which takes neither time nor disk; a copy where the disk cannot do that.

    Raises `FileExistsError` where ``place`` is taken, and `UserError` where it cannot be written.
    """
    try:
        os.link(os.path.realpath(file), place)  # of a link, what it leads to
    except FileExistsError:
        raise
    except OSError:  # another disk, or one without links
        with whole_file(place, durable=False) as partial:
            shutil.copyfile(file, partial)


def zip_folder(folder: Path, path: Path) -> None:
    """Pack the files of ``folder`` as a zip, whole or not at all. Raises `UserError` as `whole_file` does."""
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)


def _replace_folder(place: Path, new: Path) -> None:
    """Put ``new`` where an older folder may stand, which comes back if that fails."""
    if not place.exists():
        os.replace(new, place)
        return
    old = partial_name(place)
    os.replace(place, old)
    try:
        os.replace(new, place)
    except OSError:
        with suppress(OSError):
            os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)
