"""What is known of one gallery of the Hub, on this machine: a small JSON file and a folder of thumbnails."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pipeline.files import whole_file
from pipeline.hub.listing import COMMIT

VERSION = 1
LARGEST = 16 << 20
"""Bytes of a manifest; 10,000 heads have some 4 MB."""


@dataclass(frozen=True)
class Head:
    """One head as it was described."""

    id: str
    """Within its gallery."""
    part: str
    """What of the repository it was read from: a zip or a folder."""
    prompt: str
    licence: str
    seed: int | None = None
    thumbnail: str = ""
    """File name, empty where there is no picture."""
    files: dict[str, str] = field(default_factory=dict)
    """Role, known to the source that wrote it → path or member."""


@dataclass(frozen=True)
class Manifest:
    """Everything that is known of one gallery."""

    commit: str = ""
    """The state that ``heads`` are of; empty where nothing is known."""
    heads: tuple[Head, ...] = ()
    read: dict[str, str] = field(default_factory=dict)
    """Part that was read to its end → the state it had."""

    def at(self, commit: str, parts: dict[str, str]) -> Self:
        """The same at another commit: what was read of a part that has not changed stays."""
        same = {part for part, state in parts.items() if self.read.get(part, state) == state}
        heads = tuple(head for head in self.heads if head.part in same)
        return replace(self, commit=commit, heads=heads, read={p: s for p, s in self.read.items() if p in same})

    @property
    def ids(self) -> frozenset[str]:
        """Of all heads."""
        return frozenset(head.id for head in self.heads)

    def get(self, head_id: str) -> Head | None:
        """The head of that id."""
        return next((head for head in self.heads if head.id == head_id), None)

    def with_head(self, head: Head) -> Self:
        """One more head."""
        return replace(self, heads=(*self.heads, head))

    def with_read(self, part: str, state: str) -> Self:
        """One more part that was read to its end."""
        return replace(self, read={**self.read, part: state})


def load(path: Path) -> Manifest:
    """What was kept; an empty manifest where there is none, or none that can be understood."""
    try:
        if path.stat().st_size > LARGEST:
            return Manifest()
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Manifest()


def save(manifest: Manifest, path: Path) -> None:
    """Keep a manifest. Raises `UserError` where it cannot be written."""
    with whole_file(path, durable=False) as partial:
        partial.write_text(json.dumps({"version": VERSION, **asdict(manifest)}, ensure_ascii=False), encoding="utf-8")


def _parsed(stored: Any) -> Manifest:
    if stored["version"] != VERSION or not COMMIT.fullmatch(stored["commit"]):
        raise ValueError("of another version")
    return Manifest(stored["commit"], tuple(_head(one) for one in stored["heads"]), _texts(stored["read"]))


def _head(stored: Any) -> Head:
    head = Head(**stored)
    texts = (head.id, head.part, head.prompt, head.licence, head.thumbnail)
    if not all(isinstance(text, str) for text in texts) or not isinstance(head.seed, int | None):
        raise TypeError("a field of a head has another type")
    if Path(head.thumbnail).name != head.thumbnail:
        raise ValueError("a thumbnail lies elsewhere")
    _texts(head.files)
    return head


def _texts(stored: Any) -> dict[str, str]:
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise TypeError("not a table of texts")
    return stored
