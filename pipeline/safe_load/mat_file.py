"""MATLAB files of version 5 (also written by versions 6 and 7), as nested dicts, lists and arrays.

The layout is "MAT-File Format" by The MathWorks, chapter 1. It is read here and not by scipy, whose compiled reader
follows damaged lengths out of its memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from math import prod
from typing import IO, Any

import numpy as np

from pipeline.safe_load.refusal import Refused
from pipeline.safe_load.stand_ins import Array, Malformed, Sparse

HEADER = 128
NEWEST = (b"\x00\x02IM", b"\x02\x00MI")
MATRIX, COMPRESSED = 14, 15
STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
    18: "u4",
}  # fmt: skip
"""Type of a data element → its numbers, without byte order."""
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, STRUCTURE, OBJECT, CHARACTERS, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of an array → its type in MATLAB, which may be stored in fewer bytes."""
COMPLEX, LOGICAL = 0x08, 0x02
MOST_DEPTH = 16
Element = tuple[int, memoryview]
"""Type and content."""


def load_mat(file: IO[bytes], most_bytes: int) -> dict[str, Any]:
    """Variables by name; structures are dicts, cells and arrays of structures lists, texts strings.

    Complex arrays are None. Raises `Refused` for version 7.3 and for objects and functions, `MemoryError` when it would
    unpack to more than ``most_bytes``, and `Malformed` or what `zlib` and numpy raise for bytes that break the rules.
    """
    content = memoryview(file.read())
    if bytes(content[124:HEADER]) in NEWEST:
        raise Refused("This is a MATLAB 7.3 file, which is not read; save it with save('motion.mat', ..., '-v7')")
    reader = _Reader("<" if bytes(content[126:HEADER]) == b"IM" else ">", most_bytes)
    return dict(reader.variables(content[HEADER:]))


class _Reader:
    def __init__(self, order: str, most_bytes: int) -> None:
        self._order, self._left = order, most_bytes

    def variables(self, content: memoryview) -> Iterator[tuple[str, Any]]:
        """Names and values of the arrays in a row; nameless ones are MATLAB's own."""
        for kind, body in self._elements(content):
            if kind == COMPRESSED:
                yield from self.variables(self._unpacked(body))
            elif kind == MATRIX:
                name, value = self._matrix(body, 0)
                if name:
                    yield name, value

    def _unpacked(self, body: memoryview) -> memoryview:
        content = zlib.decompressobj().decompress(body, self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise MemoryError
        return memoryview(content)

    def _elements(self, content: memoryview) -> Iterator[Element]:
        """Data elements: a tag of type and length, then content, padded to 8 bytes unless it is compressed."""
        place = 0
        while place < len(content):
            kind, size = (int(word) for word in self._numbers((6, content[place : place + 8])))
            start, room = place + 8, len(content) - place - 8
            if kind >> 16:
                kind, size, start, room = kind & 0xFFFF, kind >> 16, place + 4, 4
            if size > room:
                raise Malformed("an element that is cut short")
            yield kind, content[start : start + size]
            place = start + size
            if kind != COMPRESSED:
                place += -place % 8

    def _numbers(self, element: Element) -> np.ndarray:
        kind, body = element
        return np.frombuffer(body, self._order + STORED[kind]) if len(body) else np.empty(0, STORED[kind])

    def _matrix(self, body: memoryview, depth: int) -> tuple[str, Any]:
        """Name and value of one array of any class."""
        if depth > MOST_DEPTH:
            raise Refused(f"This .mat file nests more than {MOST_DEPTH} levels deep; save the numbers by themselves")
        if not len(body):
            return "", None
        parts = self._elements(body)
        flags = int(self._numbers(next(parts))[0])
        kind = flags & 0xFF
        if kind in (OBJECT, FUNCTION, OPAQUE):
            raise Refused("This .mat file holds MATLAB objects or functions; save the numbers as plain variables")
        shape = tuple(int(size) for size in self._numbers(next(parts)))
        if min(shape, default=0) < 0 or not 2 <= len(shape) <= 32:
            raise Malformed("no shape")
        name = bytes(next(parts)[1]).decode("latin-1")
        return name, self._value(kind, flags >> 8, shape, parts, depth)

    def _value(self, kind: int, flags: int, shape: tuple[int, ...], parts: Iterator[Element], depth: int) -> Any:
        if kind == CELL:
            return [self._inner(next(parts), depth) for _ in range(prod(shape))]
        if kind == STRUCTURE:
            return self._structures(prod(shape), parts, depth)
        if flags & COMPLEX:
            return None
        if kind == CHARACTERS:
            return self._text(next(parts), shape)
        if kind == SPARSE:
            return self._sparse(shape, parts)
        values = self._numbers(next(parts)).astype(bool if flags & LOGICAL else NUMBERS[kind])
        return Array(values.reshape(shape, order="F"))

    def _inner(self, element: Element, depth: int) -> Any:
        kind, body = element
        if kind != MATRIX:
            raise Malformed("no array")
        return self._matrix(body, depth + 1)[1]

    def _structures(self, count: int, parts: Iterator[Element], depth: int) -> Any:
        """One dict, or a list of them in MATLAB's order."""
        (width,) = (int(number) for number in self._numbers(next(parts)))
        joined = bytes(next(parts)[1])
        if width < 1 or not joined:
            return {}
        names = [joined[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(joined), width)]
        records = [{name: self._inner(next(parts), depth) for name in names} for _ in range(count)]
        return records[0] if count == 1 else records

    def _text(self, element: Element, shape: tuple[int, ...]) -> str | list[str]:
        """One string per row; the letters stand column by column."""
        kind, body = element
        order = {"<": "-le", ">": "-be"}[self._order] if TEXTS[kind] in ("utf-16", "utf-32") else ""
        text = bytes(body).decode(TEXTS[kind] + order)
        if shape[0] == 1 or len(text) != prod(shape) or len(shape) > 2:
            return text
        return [text[row :: shape[0]] for row in range(shape[0])]

    def _sparse(self, shape: tuple[int, ...], parts: Iterator[Element]) -> Sparse:
        rows, starts, values = (self._numbers(next(parts)) for _ in range(3))
        used = int(starts[-1])
        matrix = Sparse()
        matrix.__setstate__(
            {"_shape": shape, "data": Array(values[:used]), "indices": Array(rows[:used]), "indptr": Array(starts)}
        )
        return matrix
