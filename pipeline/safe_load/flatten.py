"""A nested object of dicts, lists and stand-ins as named plain arrays, within bounds of count, depth and size."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.char import decode

from pipeline.safe_load.refusal import Refused
from pipeline.safe_load.stand_ins import Array, Chumpy, Sparse
from pipeline.safe_load.tensors import Storage, Tensor

MOST_ARRAYS = 4096
MOST_VISITS = 300_000
MOST_NUMBERS = 20_000_000
"""In one list of lists."""
MOST_DEPTH = 24
MOST_DIMENSIONS = 4
LONGEST_KEY = 40
LONGEST_NAME = 60
LONGEST_TEXT = 4000
LONGEST_WORD = 256
"""In a list of names."""


def flatten(value: Any, most_bytes: int) -> dict[str, np.ndarray]:
    """Every array, number and text in ``value``, named by its path: ``exp``, ``0/pose``, ``model/expression``.

    A bare array is named ``array``; lists of numbers, or of number lists of one length, become one array. What is
    neither number nor text is left out. Arrays have at most 4 axes and native, C-ordered numbers. Raises `Refused` when
    nothing is there or bounds of count and depth are broken, `MemoryError` above ``most_bytes`` in all, `Malformed` for
    contradictions.
    """
    collected = _Collected(most_bytes)
    collected.visit(value, ())
    if not collected.arrays:
        raise Refused("This file holds no numbers. Save them by name: np.savez('motion.npz', expr=..., jaw_pose=...).")
    return collected.arrays


class _Collected:
    def __init__(self, most_bytes: int) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._left, self._visits = most_bytes, 0

    def visit(self, value: Any, path: tuple[str, ...], depth: int = 0) -> None:
        """Keep every leaf of ``value``, which lies ``depth`` containers deep."""
        self._step(depth)
        if isinstance(value, dict):
            for key, item in value.items():
                name = _key(key)
                if name is not None:
                    self.visit(item, (*path, name), depth + 1)
        elif isinstance(value, Array) and value.objects is not None:
            self.visit(value.objects[0] if len(value.objects) == 1 else value.objects, path, depth + 1)
        elif (array := self._array(value, depth)) is not None:
            self._keep(array, path)
        elif isinstance(value, (list, tuple)):
            for number, item in enumerate(value):
                self.visit(item, (*path, str(number)), depth + 1)

    def _step(self, depth: int) -> None:
        self._visits += 1
        if self._visits > MOST_VISITS or len(self.arrays) > MOST_ARRAYS:
            raise Refused(f"This file holds more than {MOST_ARRAYS} arrays; save each channel as one array over time")
        if depth > MOST_DEPTH:
            raise Refused(f"This file nests more than {MOST_DEPTH} levels deep; save the numbers by name with np.savez")

    def _array(self, value: Any, depth: int) -> np.ndarray | None:
        """The numbers or text of one leaf; None for everything else."""
        self._step(depth)
        if isinstance(value, Array):
            return value.values
        if isinstance(value, Tensor):
            return value.array(self._left)
        if isinstance(value, Sparse):
            return value.dense(self._left)
        if isinstance(value, Chumpy):
            return value.value(lambda part: self._array(part, depth + 1))
        if isinstance(value, Storage):
            return Tensor(value, 0, value.flat().shape, (1,)).array(self._left)
        if isinstance(value, (bool, int, float)):
            return _numbers([value], ())
        if isinstance(value, str):
            return np.array(value) if len(value) <= LONGEST_TEXT else None
        return self._listed(value) if isinstance(value, (list, tuple)) else None

    def _listed(self, values: list[Any] | tuple[Any, ...]) -> np.ndarray | None:
        """A list of numbers, of words, or of equally long lists of them, as one array; None for another list."""
        level, shape = list(values), [len(values)]
        while level and all(isinstance(item, (list, tuple)) for item in level):
            if len({len(item) for item in level}) > 1 or len(shape) == MOST_DIMENSIONS:
                return None
            shape.append(len(level[0]))
            if prod(shape) > MOST_NUMBERS:
                raise MemoryError
            level = [number for item in level for number in item]
        if all(isinstance(item, (bool, int, float)) for item in level):
            return _numbers(level, tuple(shape)) if level else None
        if all(isinstance(item, str) and len(item) <= LONGEST_WORD for item in level):
            return np.array(level).reshape(shape)
        return self._stacked(level, tuple(shape))

    def _stacked(self, level: list[Any], shape: tuple[int, ...]) -> np.ndarray | None:
        """Rows of one length, ``(n,)`` or ``(1, n)``, one per frame, as one array."""
        if not all(isinstance(item, (Array, Tensor)) for item in level) or len(level) > MOST_VISITS:
            return None
        arrays = [array for array in (self._array(item, 0) for item in level) if array is not None]
        kinds = {(array.shape, array.dtype) for array in arrays}
        if len(arrays) < len(level) or len(kinds) != 1 or arrays[0].dtype.kind not in "biuf":
            return None
        if arrays[0].ndim > 2 or (arrays[0].ndim == 2 and arrays[0].shape[0] != 1):
            return None
        if sum(array.nbytes for array in arrays) > self._left:
            raise MemoryError
        return np.stack(arrays).reshape(shape + arrays[0].shape)

    def _keep(self, array: np.ndarray, path: tuple[str, ...]) -> None:
        if array.dtype.kind == "S":
            array = decode(array, "latin1")
        if array.dtype.kind not in "biufU" or array.ndim > MOST_DIMENSIONS or array.dtype.itemsize > 4 * LONGEST_TEXT:
            return
        self._left -= array.nbytes
        if self._left < 0:
            raise MemoryError
        name = whole = _shortened("/".join(path) or "array")
        number = 1
        while name in self.arrays:
            number += 1
            name = f"{whole[: LONGEST_NAME - 6]}_{number}"
        self.arrays[name] = array


def _key(key: Any) -> str | None:
    """A dict's key as one part of a name; None for a key that is neither text nor number."""
    if isinstance(key, Array) and key.values is not None and key.values.ndim == 0:
        key = key.values.item()
    if isinstance(key, bytes):
        key = key.decode("latin1")
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        return None
    if isinstance(key, int):
        return str(key) if abs(key) < 2**63 else None
    clean = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in key[:LONGEST_KEY])
    return clean.strip(". ") or "_"


def _shortened(name: str) -> str:
    """The end of a long path, which tells more than its beginning."""
    return name if len(name) <= LONGEST_NAME else name[-LONGEST_NAME:].lstrip("/")


def _numbers(values: list[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Python numbers as one array; None when a whole number needs more than 64 bits."""
    try:
        array = np.array(values).reshape(shape)
    except OverflowError:
        return None
    return array if array.dtype.kind in "biuf" else None
