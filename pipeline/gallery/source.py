"""What every gallery of the Hub can do, and what they share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.gallery.thumbnails import Layout
from pipeline.hub.client import Hub
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.listing import HubFile, Listing
from pipeline.hub.repositories import Repository

HEAD_ID = re.compile(r"[\w][\w .+-]{0,79}", re.ASCII)


@dataclass(frozen=True)
class Described:
    """One head as a source has read it."""

    id: str
    prompt: str
    licence: str
    picture: bytes | None
    """As published, not yet looked at."""
    files: dict[str, str] = field(default_factory=dict)
    """What `Source.fetch` needs; see `manifest.Head.files`."""
    seed: int | None = None


class Source(Protocol):
    """One published gallery."""

    @property
    def name(self) -> str:
        """First part of its entries' ids, ``dataset/<owner>/<name>`` for a dataset that the operator names."""

    @property
    def repository(self) -> Repository: ...

    @property
    def follows(self) -> bool:
        """Whether a refresh goes on to the newest commit; the others stay at their pin."""

    @property
    def layout(self) -> Layout:
        """Of its pictures."""

    def missing(self) -> str:
        """One sentence on what a click cannot do on this machine; empty where it can. Takes no time."""

    def parts(self, listing: Listing) -> dict[str, tuple[HubFile, ...]]:
        """What can be read one after the other → the files that it depends on."""

    def describe(
        self, hub: Hub, repository: Repository, part: str, known: frozenset[str], cancel: Cancel
    ) -> Iterator[Described]:
        """The heads of one part without those of the ids ``known``. Raises `HubError`, `Damaged` for this part only."""

    def fetch(
        self, hub: Hub, repository: Repository, files: dict[str, str], progress: Progress, cancel: Cancel, whole: bool
    ) -> Path:
        """What to open. Raises `HubError`."""


def state_of(files: tuple[HubFile, ...]) -> str:
    """Changes when one of the files does."""
    return hashlib.sha256("\n".join(map(str, files)).encode()).hexdigest()[:24]
