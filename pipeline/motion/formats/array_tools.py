"""Finding and reading the arrays of a file by name, within a clip's limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.sources import Source
from pipeline.motion.motion import MOST_FRAMES

UNNAMED = ("", "array", "arr_0")
"""The only array of a .npy, of a converted pickle or tensor, and of an `np.savez` without names."""
MOST_PER_FRAME = 512
"""Numbers of one array in one frame: 55 rotation matrices have 495."""
LONGEST_TEXT = 200


def only_arrays(sources: Sequence[Source]) -> ArrayFile | None:
    """The file, where there is just one and it holds named arrays."""
    if len(sources) != 1 or not isinstance(sources[0], ArrayFile) or bare_name(sources[0]) is not None:
        return None
    return unwrapped(sources[0])


def unwrapped(file: ArrayFile) -> ArrayFile:
    """The same file with the arrays of its only outer dictionary or list item by their own names (``0/jaw`` → ``jaw``
    for a pickled list of one)."""
    outer = {name.partition("/")[0] for name in file.arrays}
    if len(outer) != 1 or not all("/" in name for name in file.arrays):
        return file
    arrays = {name.partition("/")[2]: header for name, header in file.arrays.items()}
    return unwrapped(replace(file, arrays=arrays, prefix=f"{file.prefix}{outer.pop()}/"))


def bare_name(source: Source) -> str | None:
    """Name of a file's only array where that has no name of its own; None for anything else."""
    if not isinstance(source, ArrayFile) or len(source.arrays) != 1:
        return None
    (name,) = source.arrays
    return name if name in UNNAMED else None


def bare_shape(source: Source) -> tuple[int, ...] | None:
    """Shape of a file's only, unnamed array."""
    name = bare_name(source)
    return source.arrays[name].shape if name is not None and isinstance(source, ArrayFile) else None


def holds(file: ArrayFile, *names: str | tuple[str, ...]) -> bool:
    """Whether every name is there, a tuple standing for any of its spellings."""
    return all(any(one in file.arrays for one in ([name] if isinstance(name, str) else name)) for name in names)


def first_name(file: ArrayFile, names: Iterable[str]) -> str | None:
    """The first of several spellings that is there."""
    return next((name for name in names if name in file.arrays), None)


def read_numbers(file: ArrayFile, name: str) -> NDArray[Any]:
    """The array, floats as float32 (infinite beyond its range).

    Raises `MotionError` when it holds no numbers or is larger than a clip can be.
    """
    return read_present(file, [name])[name]


def read_present(file: ArrayFile, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """`read_numbers` of those of ``names`` that are there."""
    present = [name for name in names if name in file.arrays]
    for name in present:
        _check_size(file, name)
    return {name: _as_floats(values) for name, values in file.read_all(present).items()}


def _check_size(file: ArrayFile, name: str) -> None:
    header = file.arrays[name]
    label = f"{name} in {file.name}" if name not in UNNAMED else file.name
    if not header.is_number:
        raise MotionError(f"{label} holds {header.dtype} values; a clip holds floats")
    if not header.shape:
        raise MotionError(f"{label} is a single number; one row for each frame is needed")
    if 0 in header.shape:
        raise MotionError(f"{label} has shape {header.shape} and so no frames; a clip has 1 to {MOST_FRAMES}")
    longest = max(header.shape)
    if longest > MOST_FRAMES:
        raise MotionError(f"{label} has {longest} frames; a clip has 1 to {MOST_FRAMES}")
    if prod(header.shape) > longest * MOST_PER_FRAME:
        raise MotionError(f"{label} has shape {header.shape}; a frame of a clip has at most {MOST_PER_FRAME} numbers")


def _as_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers stay exact: they may be frame numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values if values.dtype.kind in "iu" else values.astype(np.float32)


def read_optional(file: ArrayFile, *names: str) -> NDArray[Any] | None:
    """`read_numbers` of the first spelling that is there, or None."""
    name = first_name(file, names)
    return None if name is None else read_numbers(file, name)


def stored_number(file: ArrayFile, *names: str) -> float | None:
    """The value of the first of these that is there as one finite number, which may be written as text."""
    name = first_name(file, names)
    if name is None or prod(file.arrays[name].shape) != 1:
        return None
    try:
        value = float(file.read(name).reshape(()) if file.arrays[name].is_number else stored_text(file, name))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def stored_text(file: ArrayFile, *names: str) -> str:
    """The value of the first of these that is there as one short text, or nothing."""
    name = first_name(file, names)
    if name is None or file.arrays[name].shape != () or file.arrays[name].dtype.kind != "U":
        return ""
    codes = file.read(name).astype(file.arrays[name].dtype.newbyteorder("<")).tobytes()
    return codes.decode("utf-32-le", errors="replace").rstrip("\0")[:LONGEST_TEXT]
