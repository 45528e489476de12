"""JSON files from strangers: bounded in size, depth and number of values before they are parsed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError

MOST_BYTES = 100 * 2**20
DEEPEST = 16
"""Levels of nesting; a clip needs six."""
MOST_LISTS = 600_000
"""Lists and objects: 10,000 frames of 52 named scores each. One of them takes up to 232 bytes of memory."""
MOST_VALUES = 6_000_000
"""Numbers, texts and the like: 36,000 frames of 100 numbers, with room."""
MOST_ESCAPES = 100_000
"""Backslashes, of which each costs the parser a hundred bytes."""
LONGEST_NUMBER = re.compile(rb"[0-9]{400}")
"""Reading whole numbers takes time with the square of their digits."""
BLOCK = 2**20
ESCAPED = re.compile(rb"\\.", re.DOTALL)
BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
OPEN, CLOSE, QUOTE, COMMA = 1, 2, 3, 4
KIND = np.zeros(256, np.uint8)
for _codes, _kind in ((b"[{", OPEN), (b"]}", CLOSE), (b'"', QUOTE), (b",", COMMA)):
    KIND[list(_codes)] = _kind


@dataclass(frozen=True)
class JsonFile:
    """A parsed JSON document."""

    path: Path
    data: Any

    @property
    def name(self) -> str:
        return self.path.name

    def keys(self) -> tuple[str, ...]:
        """Names of the outermost object; empty for a list."""
        return tuple(self.data) if isinstance(self.data, dict) else ()

    def get(self, key: str) -> Any:
        """What the outermost object has under this name, or None."""
        return self.data.get(key) if isinstance(self.data, dict) else None

    def summary(self) -> str:
        """What is in it, for an error message."""
        told = ", ".join(key[:32] for key in self.keys()[:12]) or "a list"
        return f"{self.name} with {''.join(letter if letter.isprintable() else ' ' for letter in told)}"


def open_json(path: Path) -> JsonFile:
    """Parse a JSON file (UTF-8 or UTF-16). Raises `MotionError` when it is too large, too deep or no JSON."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MotionError(
            f"{path.name} has {size / 2**20:.0f} MB; JSON files of at most {MOST_BYTES // 2**20} MB are read"
        )
    raw = path.read_bytes()
    try:
        encoding = next((name for mark, name in BOMS if raw.startswith(mark)), None)
        raw = raw.decode(encoding).encode() if encoding else raw
        _check_structure(raw, path)
        return JsonFile(path, json.loads(raw, parse_constant=_no_constant))
    except MotionError:
        raise
    except (ValueError, RecursionError) as error:
        raise MotionError(f"{path.name} is no valid JSON ({error})") from error


def numbers_of(value: Any, name: str, source: str, axes: int = 2) -> NDArray[np.float64]:
    """A list of equally long lists of numbers as an array of ``axes`` axes; null becomes NaN.

    Raises `MotionError` naming what is there instead.
    """
    try:
        values = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MotionError(f"{name} in {source} is no list of equally long lists of numbers") from error
    if values.ndim != axes or 0 in values.shape:
        wanted = "(frames, columns)" if axes == 2 else "one number a frame"
        raise MotionError(f"{name} in {source} has shape {values.shape}; {wanted} is needed")
    return values


def number_of(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        return None
    return float(value)


def _check_structure(raw: bytes, path: Path) -> None:
    """Depth and counts, block by block, brackets within quotes left out."""
    if raw.count(b"\\") > MOST_ESCAPES or LONGEST_NUMBER.search(raw):
        raise MotionError(f"{path.name} holds texts or numbers that no motion clip has")
    text = ESCAPED.sub(b"__", raw) if b"\\" in raw else raw
    depth = lists = values = 0
    quoted = False
    for start in range(0, len(text), BLOCK):
        kinds = KIND[np.frombuffer(text, np.uint8, min(BLOCK, len(text) - start), start)]
        kinds = kinds[kinds > 0]
        inside = (np.cumsum(kinds == QUOTE) + quoted) % 2 == 1
        opened, closed = (kinds == OPEN) & ~inside, (kinds == CLOSE) & ~inside
        levels = depth + np.cumsum(opened.astype(np.int32) - closed)
        if len(kinds) and int(levels.max()) > DEEPEST:
            raise MotionError(f"{path.name} is nested more than {DEEPEST} levels deep; a motion clip is not")
        lists += int(opened.sum())
        values += int(((kinds == COMMA) & ~inside).sum())
        if lists > MOST_LISTS or values > MOST_VALUES:
            raise MotionError(
                f"{path.name} holds more than {MOST_LISTS} lists or {MOST_VALUES} values; cut the clip into parts"
            )
        if len(kinds):
            depth, quoted = int(levels[-1]), bool(inside[-1])


def _no_constant(text: str) -> float:
    raise ValueError(f"it holds {text}, which is no number")
