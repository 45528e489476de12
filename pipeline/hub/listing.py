"""What a repository holds at one commit: never changes, so it is asked for once and kept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.files import whole_file

COMMIT = re.compile(r"[0-9a-f]{40}")
MOST_FILES = 100_000
MOST_LICENCES = 20
LONGEST_LICENCE = 40
LONGEST_PATH = 512
LONGEST_NAME = 200
"""Bytes; the cache adds some to a name, of which a disk takes 255."""


@dataclass(frozen=True)
class HubFile:
    """One file of a repository."""

    path: str
    size: int
    sha256: str
    """Of the content, for a large file; empty for a small one, which git names itself."""
    blob: str
    """Git's SHA-1 of a small file; of a large one that of its pointer, which says nothing about the content."""


@dataclass(frozen=True)
class Listing:
    """The files of one commit."""

    commit: str
    licences: tuple[str, ...]
    """As the card's header says."""
    files: tuple[HubFile, ...]

    def get(self, path: str) -> HubFile | None:
        """The file of that name."""
        return next((file for file in self.files if file.path == path), None)


def parse(answer: Any) -> Listing:
    """The Hub's description of a repository (``/api/datasets/…/revision/…?blobs=true``).

    A name that would leave its folder is left out. Raises ValueError for what cannot be understood.
    """
    if not isinstance(answer, dict) or not COMMIT.fullmatch(str(answer.get("sha"))):
        raise ValueError("it names no commit")
    siblings = answer.get("siblings")
    if not isinstance(siblings, list) or len(siblings) > MOST_FILES:
        raise ValueError(f"it lists no files, or more than {MOST_FILES}")
    files = [_file(one) for one in siblings]
    card = answer.get("cardData")
    return Listing(
        answer["sha"],
        _licences(card.get("license") if isinstance(card, dict) else None),
        tuple(sorted((file for file in files if is_safe(file.path)), key=lambda file: file.path)),
    )


def is_safe(path: str) -> bool:
    """Whether a path from outside stays below the folder that it is joined to, on every system."""
    return (
        0 < len(path) <= LONGEST_PATH
        and path.isprintable()
        and "\\" not in path
        and ":" not in path
        and all(part not in ("", ".", "..") and len(part.encode()) <= LONGEST_NAME for part in path.split("/"))
    )


def load(path: Path) -> Listing | None:
    """A kept listing; None where there is none that can be understood."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Listing(stored["commit"], tuple(stored["licences"]), tuple(HubFile(**file) for file in stored["files"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(listing: Listing, path: Path) -> None:
    """Keep a listing."""
    with whole_file(path, durable=False) as partial:
        partial.write_text(json.dumps(asdict(listing)), encoding="utf-8")


def _licences(told: Any) -> tuple[str, ...]:
    listed = told if isinstance(told, list) else [told]
    return tuple(one[:LONGEST_LICENCE] for one in listed[:MOST_LICENCES] if isinstance(one, str))


def _file(entry: Any) -> HubFile:
    if not isinstance(entry, dict) or not isinstance(entry.get("rfilename"), str):
        raise ValueError("a file has no name")
    lfs = entry.get("lfs")
    size = lfs.get("size") if isinstance(lfs, dict) else entry.get("size")
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"{entry['rfilename'][:80]!r} has no size")
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else ""
    return HubFile(entry["rfilename"], size, str(sha256 or ""), str(entry.get("blobId") or ""))
