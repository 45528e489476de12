"""Every array of a clip has its frames first, and as many as the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.questions import ask_upright
from pipeline.motion.formats.rotations import MATRIX, WIDTHS
from pipeline.motion.motion import ROTATIONS

Numbers = NDArray[Any]
MOST_EXPRESSIONS = 100
"""Coefficients of a FLAME or SMPL-X expression."""
EXPRESSION_WIDTHS = (10, 50, 51, 52, 75, 100)
"""Widths that tools write."""
SURELY_TRANSPOSED = (50, 100)


def upright(tracks: Mapping[str, Numbers], choices: Choices) -> dict[str, Numbers]:
    """The same arrays as (T, N), matrices flattened, transposed ones turned (``transpose``).

    Raises `MotionError` for shapes that no array of its kind can have.
    """
    flat = {name: _two_dimensional(name, values) for name, values in tracks.items()}
    frames = _frames_of_rotations(flat)
    done = {}
    for name, values in flat.items():
        turned = _looks_transposed(name, values.shape, frames)
        done[name] = ask_upright(values, name, choices) if turned else values
        if not _fits(name, done[name].shape[1]):
            raise MotionError(f"{name} has shape {values.shape}; {_wanted(name)} is needed")
    return done


def same_length(tracks: Mapping[str, Numbers], choices: Choices, notes: list[str]) -> dict[str, Numbers]:
    """Arrays (T, N) of one T: single rows are repeated, one frame too many is cut, and more by ``trim``.

    Raises `MotionError` when an array has no frames.
    """
    lengths = {name: len(values) for name, values in tracks.items()}
    empty = [name for name, length in lengths.items() if not length]
    if empty:
        raise MotionError(f"{empty[0]} has 0 frames; a clip has at least 1")
    longest = max(lengths.values())
    several = {name: length for name, length in lengths.items() if length > 1} or lengths
    shortest = min(several.values())
    wanted = shortest
    if shortest < longest:
        wanted = _wanted_length(several, choices, notes)
    return {name: _of_length(values, wanted) for name, values in tracks.items()}


def _wanted_length(lengths: Mapping[str, int], choices: Choices, notes: list[str]) -> int:
    short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    told = f"{long} has {lengths[long]} frames but {short} has {lengths[short]}"
    if lengths[long] - lengths[short] == 1:
        notes.append(f"{told}; the last one was left out.")
        return lengths[short]
    kept = choices.option(
        "trim", "shortest", ("shortest", "longest"), f"{told}; the clip was cut to {lengths[short]} frames."
    )
    return lengths[short] if kept == "shortest" else lengths[long]


def _of_length(values: Numbers, frames: int) -> Numbers:
    """Cut, or with the last row repeated."""
    return values[np.minimum(np.arange(frames), len(values) - 1)]


def _two_dimensional(name: str, values: Numbers) -> Numbers:
    """(T, 1, N) and one frame's (N) as (T, N), (T, 3, 3) as (T, 9)."""
    if values.ndim == 1:
        return values[None]
    if name in ROTATIONS and values.shape[1:] == (3, 3):
        return values.reshape(len(values), MATRIX)
    if values.ndim == 3 and 1 in values.shape[:2]:
        return values.reshape(values.shape[0] * values.shape[1], values.shape[2])
    if values.ndim != 2:
        raise MotionError(f"{name} has shape {values.shape}; {_wanted(name)} is needed")
    return values


def _frames_of_rotations(tracks: Mapping[str, Numbers]) -> int | None:
    """How many frames most joints have, where any has more than one."""
    shapes = [values.shape for name, values in tracks.items() if name in ROTATIONS]
    lengths = [rows if columns in WIDTHS else columns for rows, columns in shapes]
    counted = Counter(length for length in lengths if length > 1)
    return counted.most_common(1)[0][0] if counted else None


def _looks_transposed(name: str, shape: tuple[int, ...], frames: int | None) -> bool:
    rows, columns = shape
    if not columns or rows in (columns, frames) or not _fits(name, rows):
        return False
    if not _fits(name, columns):
        return True
    if frames is not None:
        return columns == frames
    return name == "expression" and rows in SURELY_TRANSPOSED and columns not in EXPRESSION_WIDTHS


def _fits(name: str, width: int) -> bool:
    if name == "expression":
        return width <= MOST_EXPRESSIONS
    return width in WIDTHS if name in ROTATIONS else width == {"eyelids": 2, "translation": 3}[name]


def _wanted(name: str) -> str:
    if name == "expression":
        return f"(frames, up to {MOST_EXPRESSIONS})"
    return "(frames, 2)" if name == "eyelids" else "(frames, 3)"
