"""A folder of files that make up one clip, or the same in a zip."""

from __future__ import annotations

import itertools
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import MotionError
from pipeline.motion.formats.arrays import MOST_RATIO, SMALL_BYTES, ZIP_ERRORS

MOST_MEMBERS = 4096 * 4
"""Per-frame folders of ten minutes at 25 frames per second."""
NO_MOTION = (".png", ".jpg", ".jpeg", ".webp", ".mp4", ".mov", ".ply", ".obj", ".exr", ".md")
"""Endings of pictures and shapes that trackers put beside the numbers; they are neither counted nor read."""
MOST_BYTES = 512 * 2**20
LARGEST_SMALL = 16 * 2**20
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class FolderFile:
    """Names of all files inside; each is opened on demand, in a private copy where they come from a zip."""

    path: Path
    members: tuple[str, ...]
    """Relative names with forward slashes, in natural order (frame 2 before frame 10)."""
    fetch: Callable[[str], Path]
    """Member → a file on this disk."""
    open: Callable[[str], IO[bytes]]
    """Member → its bytes, which end where the directory says."""

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def known(self) -> frozenset[str]:
        """The members, to look one up."""
        return frozenset(self.members)

    def named(self, pattern: str) -> tuple[str, ...]:
        """Members that match a glob pattern, from the right: ``flame_param/*.npz``."""
        return tuple(member for member in self.members if PurePosixPath(member).match(pattern))

    def content(self, member: str) -> bytes:
        """The bytes of a small file, such as one of every frame: unpacked to the disk, thousands of them take long.

        Raises `MotionError` when it is larger than `LARGEST_SMALL` or damaged.
        """
        try:
            with self.open(member) as file:
                content = file.read(LARGEST_SMALL + 1)
        except ZIP_ERRORS as error:
            raise MotionError(f"{member} in {self.name} is damaged and cannot be unpacked") from error
        if len(content) > LARGEST_SMALL:
            raise MotionError(f"{member} in {self.name} has more than {LARGEST_SMALL // 2**20} MB; one frame has less")
        return content

    def summary(self) -> str:
        """Some of the files, for an error message."""
        return f"{self.name} with {', '.join(self.members[:8]) or 'no files'}"


def open_folder(path: Path) -> FolderFile:
    """A folder on this disk; links are left out. Raises `MotionError` when it holds too much."""
    members = []
    inside = path.resolve()
    for file in path.rglob("*"):
        if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(inside):
            continue
        if file.suffix.lower() not in NO_MOTION:
            members.append(file.relative_to(path).as_posix())
        if len(members) > MOST_MEMBERS:
            raise MotionError(f"{path.name} holds more than {MOST_MEMBERS} files; a clip has at most as many")
    return FolderFile(path, natural(members), lambda member: path / member, lambda member: open(path / member, "rb"))


def open_zip(path: Path, workspace: Path) -> FolderFile:
    """A zip of such a folder; members are unpacked into ``workspace`` when asked for.

    Raises `MotionError` when its directory promises too much, or names a place outside.
    """
    try:
        archive = zipfile.ZipFile(path)  # stays open while members are fetched: its directory is long to read
    except ZIP_ERRORS as error:
        raise MotionError(f"{path.name} is damaged and cannot be unpacked") from error
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_members(infos, path)
    by_name = {info.filename: info for info in infos if PurePosixPath(info.filename).suffix.lower() not in NO_MOTION}
    numbers = itertools.count()

    def opened(member: str) -> IO[bytes]:
        return archive.open(by_name[member])  # it ends where the directory says, whatever the member unpacks to

    def fetch(member: str) -> Path:
        target = workspace / f"member-{next(numbers)}{PurePosixPath(member).suffix[:8]}"
        try:
            with opened(member) as packed, open(target, "wb") as file:
                shutil.copyfileobj(packed, file)
        except ZIP_ERRORS as error:
            raise MotionError(f"{member} in {path.name} is damaged and cannot be unpacked") from error
        return target

    return FolderFile(path, natural(list(by_name)), fetch, opened)


def natural(names: list[str]) -> tuple[str, ...]:
    """Sorted so that 2 comes before 10."""
    return tuple(sorted(names, key=lambda name: [(len(t), t) if t.isdigit() else (0, t) for t in DIGITS.split(name)]))


def _check_members(infos: list[zipfile.ZipInfo], path: Path) -> None:
    read = [info for info in infos if PurePosixPath(info.filename).suffix.lower() not in NO_MOTION]
    if len(read) > MOST_MEMBERS:
        raise MotionError(f"{path.name} holds {len(read)} files; a clip has at most {MOST_MEMBERS}")
    content, packed = sum(info.file_size for info in read), sum(info.compress_size for info in read)
    if content > MOST_BYTES or (content > SMALL_BYTES and content > MOST_RATIO * max(packed, 1)):
        raise MotionError(
            f"{path.name} would unpack to {content / 2**20:.0f} MB from {packed / 2**20:.2f} MB; a clip unpacks to at "
            f"most {MOST_BYTES // 2**20} MB and {MOST_RATIO} times its size, so it was not opened"
        )
    for info in infos:
        place = PurePosixPath(info.filename.replace("\\", "/"))
        link = (info.external_attr >> 16) & 0o170000 == 0o120000
        if place.is_absolute() or ".." in place.parts or link or re.match(r"[A-Za-z]:", info.filename):
            raise MotionError(f"{path.name} holds {info.filename[:80]!r}, which leads outside it, so it was not opened")
