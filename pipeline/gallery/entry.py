"""`Entry`: one head of the gallery, whichever source it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """What a card shows, and what is needed to open it."""

    id: str
    """Unique over all sources and stable: ``builtin/copper-curls``, ``animportrait3d/000``, ``portrait3d/012``,
    ``mine/<avatar id>``, ``dataset/<owner>/<name>/<folder>``."""
    prompt: str
    licence: str
    """Short name, e.g. ``CC0-1.0``."""
    preview: Path | None = None
    """A small picture, None where there is none yet."""
    seed: int | None = None
    """With the prompt it makes the head again; None where it was not made by this project."""
    missing: str = ""
    """One sentence on what a click cannot do here, and how to get it; empty when the head can be opened."""

    @property
    def source(self) -> str:
        """First part of the id."""
        return self.id.split("/", 1)[0]
