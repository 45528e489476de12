"""Known files out of an archive that somebody brings; nothing in it decides where or how much is written."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.files import reading, writing

MOST_MEMBERS = 2000
LARGEST_RATIO = 100
"""Of unpacked to packed bytes; numbers and texts compress to a tenth."""
FREE_OF_RATIO = 1_000_000
"""Bytes up to which a member may compress as well as it likes."""
BLOCK = 1 << 20


def member_names(path: Path) -> set[str]:
    """Names of the files in a zip, without their folders; none where it is no zip. Raises `UserError`."""
    with reading(path):
        if not path.is_file():
            return set()
    try:
        with reading(path), zipfile.ZipFile(path) as archive:
            return {PurePosixPath(name).name for name in archive.namelist()[:MOST_MEMBERS]}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        if isinstance(error, UserError):
            raise
        return set()


def unpacked(path: Path, wanted: Mapping[str, int], folder: Path) -> None:
    """Write the members named as ``wanted`` (name → most bytes) into ``folder``, whichever folder they lie in.

    Everything else in the archive is ignored. Raises `UserError` when it is no zip, damaged or encrypted, a name is
    there twice, or something is too large.
    """
    try:
        with reading(path), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise UserError(f"{path.name} holds {len(members)} files; an avatar has a few")
            for member in _chosen(members, wanted, path.name):
                _write(archive, member, folder / PurePosixPath(member.filename).name, path.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path.name} is no zip, or damaged ({error}); get it again") from error


def _chosen(members: list[zipfile.ZipInfo], wanted: Mapping[str, int], name: str) -> list[zipfile.ZipInfo]:
    chosen: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        file = PurePosixPath(member.filename).name
        if member.is_dir() or file not in wanted or member.filename.startswith("__MACOSX/"):
            continue
        if file in chosen:
            raise UserError(f"{name} holds {file} twice; give an archive with one avatar")
        if member.file_size > wanted[file]:
            raise UserError(f"{file} in {name} is larger than {wanted[file] / 1e6:g} MB; an avatar's is not")
        if member.file_size > max(FREE_OF_RATIO, LARGEST_RATIO * member.compress_size):
            raise UserError(f"{file} in {name} unpacks to {member.file_size / 1e6:.0f} MB of almost nothing")
        chosen[file] = member
    return list(chosen.values())


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, name: str) -> None:
    """`zipfile` itself gives no more bytes than the member claims."""
    with archive.open(member) as packed, writing(target), open(target, "wb") as file:
        while block := packed.read(BLOCK):
            file.write(block)
        if file.tell() != member.file_size:
            raise UserError(f"{target.name} in {name} is cut short; get the archive again")
