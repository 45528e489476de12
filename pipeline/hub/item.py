"""A file to be written to the Hub, and how a commit tells of it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = 512
"""Bytes of a file's beginning by which the Hub tells text from other files."""


@dataclass(frozen=True)
class Item:
    """One file to write."""

    path: str
    """In the repository."""
    content: bytes | Path
    sha256: str

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    @property
    def sample(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content[:SAMPLE]
        with open(self.content, "rb") as file:
            return file.read(SAMPLE)

    @property
    def git_oid(self) -> str:
        """What git calls the content, https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
        return hashlib.sha1(b"blob %d\0" % self.size + self.read()).hexdigest()


def operation(item: Item, large: bool) -> dict[str, Any]:
    """The line of a commit that writes the item, whose content the storage has if it is ``large``."""
    if large:
        value = {"path": item.path, "algo": "sha256", "oid": item.sha256, "size": item.size}
        return {"key": "lfsFile", "value": value}
    content = base64.b64encode(item.read()).decode()
    return {"key": "file", "value": {"content": content, "path": item.path, "encoding": "base64"}}
