"""What a pickle's classes become here: inert holders of plain data, none of numpy's, scipy's or chumpy's own code.

Building them runs only the checks below. A stand-in answers ``__setstate__`` itself, so that no pickle instruction can
set an attribute on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from pipeline.safe_load.refusal import Refused

CODE = re.compile(r"[biufSUO]\d{1,6}|O")
MOST_DIMENSIONS = 32
OBJECTS = np.dtype(object)


class Malformed(ValueError):
    """A state that the class could not have written."""


class Function:
    """An allowed callable."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run

    def __call__(self, *arguments: Any) -> Any:
        return self._run(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Malformed("a function has no state")


class Marker:
    """A name that only ever stands as an argument, such as ``numpy.ndarray`` in a call of ``_reconstruct``."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise Malformed("a name has no state")


class Mapping(dict):
    """`collections.OrderedDict` without its attributes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Attributes, such as the ``_metadata`` of a torch state dict, are left out."""


class Dtype:
    """`numpy.dtype` of plain numbers, of text, or of objects; fields, sub-arrays and metadata are refused."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *flags: Any) -> None:
        if not (isinstance(code, str) and CODE.fullmatch(code)):
            raise Malformed("an array of records or of an unknown type")
        self._code, self._order = ("O" if code[0] == "O" else code), "<"

    def __setstate__(self, state: Any) -> None:
        """State: version, byte order, sub-array, names, fields, item size, alignment, flags, metadata (version 4)."""
        version, order, *rest = state
        if version not in (3, 4) or any(part is not None for part in (*rest[:3], *rest[6:])):
            raise Malformed("an array of records")
        if order not in ("<", ">", "|", "="):
            raise Malformed("an unknown byte order")
        self._order = "<" if order in "|=" else order

    @property
    def numpy(self) -> np.dtype:
        return OBJECTS if self._code == "O" else np.dtype(self._order + self._code)


class Array:
    """`numpy.ndarray`, or a subclass that only behaves differently: plain values, or a list of objects."""

    __slots__ = ("objects", "values")

    def __init__(self, values: np.ndarray | None = None) -> None:
        self.values = values
        self.objects: list[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        """State: version, shape, dtype, whether in Fortran order, then bytes, or a list for an array of objects."""
        _, shape, dtype, fortran, content = state
        if type(dtype) is not Dtype:
            raise Malformed("an array without a type")
        if dtype.numpy != OBJECTS:
            self.values = _values(content, dtype, shape, "F" if fortran else "C")
            return
        if type(content) is not list or prod(_checked(shape)) != len(content):
            raise Malformed("an array of objects of another size")
        self.objects = list(content)


class Sparse:
    """A compressed sparse matrix of scipy; ``by_column`` for CSC."""

    __slots__ = ("_state",)
    by_column = True

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            raise Malformed("a sparse matrix without content")
        self._state = state

    def dense(self, most_bytes: int) -> np.ndarray:
        """The whole matrix. Raises `MemoryError` when it would take more than ``most_bytes``."""
        rows, columns = _checked(self._state["_shape"])
        data, minor, starts = (_plain(self._state[key]) for key in ("data", "indices", "indptr"))
        major_size, minor_size = (columns, rows) if self.by_column else (rows, columns)
        if data.ndim != 1 or data.shape != minor.shape or starts.shape != (major_size + 1,):
            raise Malformed("a sparse matrix of another size")
        if minor.dtype.kind not in "iu" or starts.dtype.kind not in "iu" or data.dtype.kind not in "biuf":
            raise Malformed("a sparse matrix of another type")
        places = starts.astype(np.int64)
        counts = places[1:] - places[:-1]
        if starts[0] != 0 or counts.min(initial=0) < 0 or starts[-1] != len(data):
            raise Malformed("a sparse matrix out of order")
        if len(minor) and not 0 <= int(minor.min()) <= int(minor.max()) < minor_size:
            raise Malformed("a sparse matrix with entries outside")
        if rows * columns * data.dtype.itemsize > most_bytes:
            raise MemoryError
        dense = np.zeros((major_size, minor_size), data.dtype)
        np.add.at(dense, (np.repeat(np.arange(major_size), counts), minor), data)
        return dense.T if self.by_column else dense


class SparseByRow(Sparse):
    """CSR."""

    __slots__ = ()
    by_column = False


class Chumpy:
    """An expression of `chumpy`, in which old model files keep their arrays: a value, or a selection from another."""

    __slots__ = ("_state",)

    def __init__(self, *arguments: Any) -> None:
        self._state: dict[Any, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            raise Malformed("a chumpy expression without content")
        self._state = state

    def value(self, evaluate: Callable[[Any], np.ndarray | None]) -> np.ndarray | None:
        """The numbers; ``evaluate`` gives those of a part. Raises `Refused` for what would have to be computed."""
        if "x" in self._state:
            return evaluate(self._state["x"])
        if not {"a", "idxs"} <= self._state.keys():
            raise Refused("This file holds a chumpy expression that is not a plain array; save its .r instead")
        source, chosen = evaluate(self._state["a"]), evaluate(self._state["idxs"])
        if source is None or chosen is None:
            raise Malformed("a selection from nothing")
        picked = source.ravel()[chosen]
        shape = self._state.get("preferred_shape")
        return picked if shape is None else picked.reshape(_checked(shape))


def reconstruct(kind: Any, *ignored: Any) -> Array:
    """`numpy.core.multiarray._reconstruct`: an array that waits for its state."""
    if kind is not NDARRAY:
        raise Malformed("no array")
    return Array()


def from_buffer(content: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Array:
    """`numpy.core.numeric._frombuffer`, how protocol 5 stores an array."""
    if type(dtype) is not Dtype or dtype.numpy == OBJECTS or order not in ("C", "F", "K"):
        raise Malformed("an array without a type")
    values = _values(content, dtype, shape, "F" if order == "F" else "C")
    return Array(values if axes is None else values.transpose(axes))


def scalar(dtype: Any, content: Any) -> Array:
    """`numpy.core.multiarray.scalar`: one number or one text."""
    return from_buffer(content, dtype, (), "C")


def new_object(kind: Any, *ignored: Any) -> Any:
    """`copyreg._reconstructor`: an object that waits for its state."""
    if kind not in (Sparse, SparseByRow, Chumpy):
        raise Malformed("no class of the allow-list")
    return kind()


def encode(text: Any, encoding: Any) -> bytes:
    """`_codecs.encode`, as Python 3 writes bytes into old protocols."""
    if type(text) is not str or encoding != "latin1":
        raise Malformed("no bytes")
    return text.encode("latin1")


def make_bytes(content: Any = b"", encoding: Any = "latin1") -> bytes:
    """`bytes` and `bytearray` of bytes or of text; a bare size, which would cost memory for nothing, is refused."""
    return encode(content, encoding) if type(content) is str else _raw(content)


def items_of(items: Any = ()) -> tuple[Any, ...]:
    """`torch.Size`."""
    return tuple(_sequence(items))


def nothing(*ignored: Any) -> None:
    """What may stand in a file but holds no channel: sets and devices."""


NDARRAY = Marker()


def _plain(value: Any) -> np.ndarray:
    if type(value) is not Array or value.values is None:
        raise Malformed("no plain array")
    return value.values


def _sequence(value: Any) -> Sequence[Any]:
    if type(value) not in (list, tuple):
        raise Malformed("no sequence")
    return value


def _checked(shape: Any) -> tuple[int, ...]:
    """``shape`` as numbers. Raises `Malformed` when it is none."""
    sizes = tuple(_sequence(shape))
    if len(sizes) > MOST_DIMENSIONS or any(type(size) is not int or size < 0 for size in sizes):
        raise Malformed("no shape")
    return sizes


def _raw(content: Any) -> bytes:
    if type(content) not in (bytes, bytearray):
        raise Malformed("no bytes")
    return bytes(content)


def _values(content: Any, dtype: Dtype, shape: Any, order: Any) -> np.ndarray:
    """Exactly these bytes as an array; text is the bytes of a pickle of Python 2, read as latin 1."""
    raw = content.encode("latin1") if type(content) is str else _raw(content)
    sizes = _checked(shape)
    if prod(sizes) * dtype.numpy.itemsize != len(raw):
        raise Malformed("an array of another size")
    return np.ndarray(sizes, dtype.numpy, raw, order=order)
