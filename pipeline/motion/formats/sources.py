"""Opening an uploaded file by what its first bytes say, whatever it is called."""

from __future__ import annotations

import uuid
import zipfile
from dataclasses import replace
from pathlib import Path

from pipeline.errors import MotionError, UserError
from pipeline.files import reading
from pipeline.motion.formats.arrays import NPY_MAGIC, ZIP_ERRORS, ZIP_MAGIC, ArrayFile, open_arrays
from pipeline.motion.formats.folder_file import FolderFile, open_folder, open_zip
from pipeline.motion.formats.json_file import JsonFile, open_json
from pipeline.motion.formats.table_file import TableFile, open_table
from pipeline.safe_load import convert, foreign_kind

Source = ArrayFile | TableFile | JsonFile | FolderFile
MOST_BYTES = 256 * 2**20
SOUND_MAGIC = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
JSON_START = (b"{", b"[")
BEFORE_JSON = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""Spaces, and the marks of UTF-8 and UTF-16."""


def open_source(path: Path, workspace: Path) -> Source:
    """What ``path`` holds, from its headers; no array has been read yet.

    ``workspace`` is an empty folder of the caller's for what has to be unpacked or converted; it must stay until the
    clip is made. Pickles, .pt and .mat files are converted to plain arrays by another process.
    Raises `UserError`, one sentence, for a file that is missing, empty, too large, damaged or refused.
    """
    with reading(path):
        if path.is_dir():
            return open_folder(path)
        if not path.is_file():
            raise MotionError(f"there is no file {path}")
        size = path.stat().st_size
        if size == 0:
            raise MotionError(f"{path.name} is empty")
        if size > MOST_BYTES:
            raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB are read")
        return _open(path, workspace)


def _open(path: Path, workspace: Path) -> Source:
    with open(path, "rb") as file:
        start = file.read(64).lstrip(BEFORE_JSON)
    kind = foreign_kind(path)
    if kind is not None:
        return _convert(path, kind, workspace)
    if start.startswith(NPY_MAGIC):
        return open_arrays(path)
    if start.startswith(ZIP_MAGIC):
        return open_arrays(path) if _is_npz(path) else open_zip(path, workspace)
    return open_json(path) if start.replace(b"\0", b"").startswith(JSON_START) else open_table(path)


def _convert(path: Path, kind: str, workspace: Path) -> ArrayFile:
    target = workspace / f"{uuid.uuid4().hex}.npz"
    try:
        convert(path, target)
        return replace(open_arrays(target), shown_name=path.name, origin=kind)
    except UserError as error:
        told = str(error).replace(target.name, path.name)
        raise MotionError(told if path.name in told else f"{path.name}: {told}") from error


def _is_npz(path: Path) -> bool:
    """Whether a zip is meant as one .npz: by its name, or because it holds nothing but arrays, in no folder."""
    if path.suffix.lower() == ".npz":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") and "/" not in name for name in archive.namelist())
    except ZIP_ERRORS as error:
        raise MotionError(f"{path.name} is damaged and cannot be unpacked") from error


def is_sound(path: Path) -> bool:
    """Whether the file's first bytes are those of a WAV, FLAC, Ogg, MP3 or M4A file. Raises `MotionError` when it is
    too large."""
    with reading(path):
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            start = file.read(12)
        size = path.stat().st_size
    wave = start[:4] == b"RIFF" and start[8:] == b"WAVE"
    if not (wave or start.startswith(SOUND_MAGIC) or start[4:8] == b"ftyp"):
        return False
    if size > MOST_BYTES:
        raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB are read")
    return True
