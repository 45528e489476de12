"""JSON files from strangers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import MotionError

MOST_BYTES = 100 * 2**20
DEEPEST = 16
"""Levels of nesting; a clip needs four."""
BRACKETS = re.compile(rb'"(?:[^"\\\\]|\\\\.)*"|[\[\]{}]')


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

    def summary(self) -> str:
        """What is in it, for an error message."""
        return f"{self.name} with {', '.join(self.keys()[:12]) or 'a list'}"


def open_json(path: Path) -> JsonFile:
    """Parse a JSON file. Raises `MotionError` when it is too large, too deep or no JSON."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MotionError(
            f"{path.name} has {size / 2**20:.0f} MB; JSON files of at most {MOST_BYTES // 2**20} MB are read"
        )
    raw = path.read_bytes()
    _check_depth(raw, path)
    try:
        return JsonFile(path, json.loads(raw, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise MotionError(f"{path.name} is no valid JSON ({error})") from error


def _check_depth(raw: bytes, path: Path) -> None:
    depth = 0
    for token in BRACKETS.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            raise MotionError(f"{path.name} is nested more than {DEEPEST} levels deep; a motion clip is not")


def _no_constant(text: str) -> float:
    raise ValueError(f"it holds {text}, which is no number")
