"""Torch's storages and tensors as arrays, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from pipeline.safe_load.stand_ins import Malformed

ELEMENTS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
"""Names in module ``torch`` → how numpy reads one element."""


class StorageType:
    """``torch.FloatStorage`` and its siblings, which only ever stand as arguments."""

    __slots__ = ("element",)

    def __init__(self, element: str) -> None:
        self.element = element

    def __setstate__(self, state: Any) -> None:
        raise Malformed("a storage type has no state")

    @property
    def dtype(self) -> np.dtype:
        """Of the stored bytes; numpy has no bfloat16, which is the upper half of a float32."""
        return np.dtype("<u2" if self.element == "bfloat16" else self.element)


class Storage:
    """A row of numbers; its bytes may come later in the file."""

    __slots__ = ("content", "kind")

    def __init__(self, kind: StorageType, content: bytes | None = None) -> None:
        self.kind, self.content = kind, content

    def __setstate__(self, state: Any) -> None:
        raise Malformed("a storage has no state")

    def flat(self) -> np.ndarray:
        """All numbers as stored, bfloat16 as its 16 bits."""
        if self.content is None:
            raise Malformed("a storage without content")
        whole = len(self.content) // self.kind.dtype.itemsize
        return np.ndarray((whole,), self.kind.dtype, self.content)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage, in numbers of elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: Any) -> None:
        raise Malformed("a tensor has no state of its own")

    def array(self, most_bytes: int) -> np.ndarray:
        """The numbers. Raises `Malformed` when the view leaves its storage, `MemoryError` when it is too large."""
        flat = self.storage.flat()
        step = flat.dtype.itemsize
        if prod(self.size) * step > most_bytes:
            raise MemoryError
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        if prod(self.size) and last >= len(flat):
            raise Malformed("a tensor outside its storage")
        if not prod(self.size):
            values = np.zeros(self.size, flat.dtype)
        else:
            strides = tuple(step * stride for stride in self.stride)
            values = np.ndarray(self.size, flat.dtype, flat, self.offset * step, strides)
        return _widened(values) if self.storage.kind.element == "bfloat16" else values


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *ignored: Any) -> Tensor:
    """`torch._utils._rebuild_tensor` and ``_v2``, whose further arguments concern gradients."""
    sizes, strides = _counts(size), _counts(stride)
    if type(storage) is not Storage or type(offset) is not int or offset < 0 or len(sizes) != len(strides):
        raise Malformed("no tensor")
    return Tensor(storage, offset, sizes, strides)


def rebuild_parameter(data: Any, *ignored: Any) -> Tensor:
    """`torch._utils._rebuild_parameter`."""
    if type(data) is not Tensor:
        raise Malformed("no parameter")
    return data


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) not in (tuple, list) or len(values) > 32:
        raise Malformed("no size")
    if any(type(value) is not int or value < 0 for value in values):
        raise Malformed("no size")
    return tuple(values)


def _widened(halves: np.ndarray) -> np.ndarray:
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
