"""NumPy files from strangers: what a `.npy` or `.npz` holds is learnt from its headers before any data is read.

Nothing is unpickled and nothing is evaluated; sizes are compared with the file before memory is asked for.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.errors import MotionError
from pipeline.files import reading

MOST_BYTES = 512 * 2**20
"""Largest content."""
MOST_MEMBERS = 4096
MOST_RATIO = 200
SMALL_BYTES = 16 * 2**20
"""Below this a high compression ratio is only a clip that stands still."""
LONGEST_HEADER = 4096
LONGEST_NAME = 64
MOST_DIMENSIONS = 4
NEVER_READ = ("dynamic_offset", "static_offset", "tex_extra", "tex", "lights")
"""Arrays of trackers that belong to the tracked person: large, often all zeros, and left alone."""
HEAD_MODEL = frozenset({"v_template", "shapedirs"})
"""Arrays that FLAME's and SMPL-X's model files hold, and no clip."""
NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = re.compile(rb"\x80[\x02-\x05]")
ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError, OverflowError,
)  # fmt: skip
"""What `zipfile` raises for a damaged, encrypted or exotic archive."""
DESCR = re.compile(rb"'descr'\s*:\s*'([<>|=]?)([a-zA-Z])(\d*)'")
ORDER = re.compile(rb"'fortran_order'\s*:\s*(True|False)")
SHAPE = re.compile(rb"'shape'\s*:\s*\(((?:\s*\d+L?\s*,)*(?:\s*\d+L?\s*)?)\)")


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of one array says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    offset: int
    """Bytes before the data."""

    @property
    def is_number(self) -> bool:
        return self.dtype.kind in "fiub"


@dataclass(frozen=True)
class ArrayFile:
    """A `.npy` (one array, named by the empty string) or `.npz` (named arrays) whose headers have been checked."""

    path: Path
    arrays: dict[str, ArrayHeader]
    compressed: bool
    """True for `.npz`."""
    origin: str = "numpy"
    """``numpy``, or what the arrays were converted from: ``pickle``, ``torch``, ``mat``."""
    shown_name: str = ""
    """Name of the file that a person gave, where it was converted."""
    prefix: str = ""
    """What stands before every name inside the file."""
    content: bytes | None = field(default=None, repr=False)
    """The whole file, where it is in memory and not at ``path``."""

    @property
    def name(self) -> str:
        return self.shown_name or self.path.name

    def read(self, name: str = "") -> np.ndarray:
        """The array of that name. Raises `MotionError` when the data is cut short or damaged."""
        return self.read_all([name])[name]

    def read_all(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Several arrays by name, as `read`; small ones cost less than opening their archive, which is done once."""
        with reading(self.path), self._stream() as file:
            if not self.compressed:
                return {name: self._read(name, lambda _: file) for name in names}
            try:
                archive = zipfile.ZipFile(file)
            except ZIP_ERRORS as error:
                raise MotionError(f"{self.name} is damaged and cannot be unpacked") from error
            return {name: self._read(name, lambda name: archive.open(f"{self.prefix}{name}.npy")) for name in names}

    def _stream(self) -> IO[bytes]:
        return open(self.path, "rb") if self.content is None else io.BytesIO(self.content)

    def _read(self, name: str, opened: Callable[[str], IO[bytes]]) -> np.ndarray:
        header = self.arrays[name]
        size = prod(header.shape) * header.dtype.itemsize
        try:
            with opened(name) as stream:
                data = stream.read(header.offset + size)
        except ZIP_ERRORS as error:
            raise MotionError(f"{self.name} is damaged: array {name!r} cannot be read") from error
        if len(data) < header.offset + size:
            raise MotionError(f"{self.name} is cut short: {len(data)} of {header.offset + size} bytes are there")
        flat = np.frombuffer(data, header.dtype, offset=header.offset)
        return flat.reshape(header.shape, order="F" if header.fortran else "C")

    def summary(self) -> str:
        """The arrays by name and shape, for an error message."""
        named = (f"{name} {header.shape}".strip() for name, header in list(self.arrays.items())[:12])
        return f"{self.name} with {', '.join(named) or 'no arrays'}"


def open_arrays(path: Path) -> ArrayFile:
    """Read the headers of a `.npy` or `.npz`.

    Raises `MotionError` for a file that is missing, locked, empty, too large, a pickle, a zip bomb, cut short or no
    NumPy file.
    """
    with reading(path):
        if not path.is_file():
            raise MotionError(f"there is no file {path}")
        with open(path, "rb") as file:
            return _open_arrays(file, path, path.stat().st_size)


def arrays_in(content: bytes, name: str) -> ArrayFile:
    """As `open_arrays`, of a file that is in memory and called ``name``."""
    return replace(_open_arrays(io.BytesIO(content), Path(name), len(content)), content=content)


def _open_arrays(file: IO[bytes], path: Path, size: int) -> ArrayFile:
    if size == 0:
        raise MotionError(f"{path.name} is empty")
    if size > MOST_BYTES:
        raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB are read")
    magic = file.read(len(NPY_MAGIC))
    file.seek(0)
    if PICKLE_MAGIC.match(magic):
        raise _pickle_refused(path)
    if magic == NPY_MAGIC:
        return ArrayFile(path, {"": _read_header(file, size, path, path.name)}, compressed=False)
    if magic.startswith(ZIP_MAGIC):
        return ArrayFile(path, _read_archive(file, path), compressed=True)
    raise MotionError(f"{path.name} is no NumPy file; a motion clip is a .npy or .npz file")


def _pickle_refused(path: Path) -> MotionError:
    return MotionError(
        f"{path.name} stores Python objects, which can run code, so it was not opened; re-save the numbers: "
        "np.savez('motion.npz', expr=..., jaw_pose=...)"
    )


def is_head_model(names: Iterable[str]) -> bool:
    """Whether arrays of these names are a head model."""
    return frozenset(names) >= HEAD_MODEL


def head_model_given(name: str) -> str:
    """The sentence for a head model where a clip belongs."""
    return f"{name} is a head model, not a motion; put it into the folder that ANIMPORTRAIT3D_MODELS names"


def _read_archive(file: IO[bytes], path: Path) -> dict[str, ArrayHeader]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members, path)
            arrays = {}
            for member in members:
                with archive.open(member) as stream:
                    label = f"{path.name}: {member.filename}"
                    arrays[member.filename.removesuffix(".npy")] = _read_header(stream, member.file_size, path, label)
            return arrays
    except MotionError:
        raise
    except ZIP_ERRORS as error:
        raise MotionError(f"{path.name} is damaged and cannot be unpacked") from error


def _check_members(members: list[zipfile.ZipInfo], path: Path) -> None:
    """Everything that the archive's directory tells, before anything is unpacked."""
    if is_head_model(member.filename.removesuffix(".npy") for member in members):  # its other arrays are objects
        raise MotionError(head_model_given(path.name))
    if any(member.filename.endswith(".pkl") for member in members):
        raise _pickle_refused(path)
    if len(members) > MOST_MEMBERS:
        raise MotionError(f"{path.name} holds {len(members)} files; a motion clip has at most {MOST_MEMBERS}")
    read = [member for member in members if member.filename.removesuffix(".npy") not in NEVER_READ]
    content = sum(member.file_size for member in read)
    packed = sum(member.compress_size for member in read)
    if content > MOST_BYTES or (content > SMALL_BYTES and content > MOST_RATIO * max(packed, 1)):
        raise MotionError(
            f"{path.name} would unpack to {content / 2**20:.0f} MB from {packed / 2**20:.2f} MB; a clip unpacks "
            f"to at most {MOST_BYTES // 2**20} MB and {MOST_RATIO} times its size, so it was not opened"
        )
    for member in members:
        name = member.filename
        if not name.endswith(".npy") or len(name) > LONGEST_NAME or not name.isprintable():
            raise MotionError(f"{path.name} holds {name[:LONGEST_NAME]!r}; a .npz file holds named arrays (.npy) only")
    if len({member.filename for member in members}) < len(members):
        raise MotionError(f"{path.name} holds two arrays of one name")


def _read_header(stream: IO[bytes], available: int, path: Path, label: str) -> ArrayHeader:
    """Parse a .npy header (NEP 1) and compare the size that it claims with the ``available`` bytes."""
    start = stream.read(8)
    if start[: len(NPY_MAGIC)] != NPY_MAGIC:
        raise MotionError(f"{label} is no NumPy array")
    width, code = (2, "<H") if start[6:7] == b"\x01" else (4, "<I")
    raw = stream.read(width)
    if len(raw) < width:
        raise MotionError(f"{label} is cut short: its header is not whole")
    (length,) = struct.unpack(code, raw)
    if length > LONGEST_HEADER:
        raise MotionError(f"{label} has a header of {length} bytes; an array of numbers has at most {LONGEST_HEADER}")
    header = stream.read(length)
    if len(header) < length:
        raise MotionError(f"{label} is cut short: its header is not whole")
    descr, order, shape = DESCR.search(header), ORDER.search(header), SHAPE.search(header)
    if descr and descr[2] == b"O":
        raise _pickle_refused(path)
    if not (descr and order and shape):
        raise MotionError(f"{label} is not a plain array of numbers")
    dtype = _plain_dtype(descr, label)
    sizes = tuple(int(part) for part in shape[1].replace(b"L", b"").split(b",") if part.strip())
    if len(sizes) > MOST_DIMENSIONS:
        raise MotionError(f"{label} has {len(sizes)} dimensions; a motion clip's arrays have at most {MOST_DIMENSIONS}")
    offset = len(start) + width + length
    claimed = prod(sizes) * dtype.itemsize
    if claimed > available - offset or max(sizes, default=0) > MOST_BYTES:
        raise MotionError(
            f"{label} claims {sizes} values, {claimed} bytes, but only {max(0, available - offset)} are there"
        )
    return ArrayHeader(sizes, dtype, order[1] == b"True", offset)


def _plain_dtype(descr: re.Match[bytes], label: str) -> np.dtype:
    text = b"".join(descr.groups()).decode("ascii")
    kind, size = descr[2].decode("ascii"), descr[3].decode("ascii")
    known = {"f": ("2", "4", "8"), "i": ("1", "2", "4", "8"), "u": ("1", "2", "4", "8"), "b": ("1",)}
    if size not in known.get(kind, ()) and not (kind == "U" and size and 0 < int(size) < LONGEST_HEADER):
        raise MotionError(f"{label} has values of type {text!r}; numbers (float, integer) would be right")
    return np.dtype(text)
