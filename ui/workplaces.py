"""Work folders: one for each avatar that somebody has open, where Gradio serves files from without copying them.

They lie in Gradio's own file cache, below a name that nobody guesses. What is served is gone in the moment in which the
work folder is.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder

from ui.library import CARD, ID, link_avatar

PREFIX = "animportrait3d-"
IDLE_SECONDS = 2 * 3600
"""A work folder that nobody has touched for so long is deleted."""
MOST_PLACES = 1000
"""Work folders on disk; of more, those that were left alone for longest are deleted."""


class Workplaces:
    """The work folders of this process, gone when it ends."""

    def __init__(self) -> None:
        parent = Path(get_upload_folder())
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)  # faces are private

    def path(self, avatar_id: str) -> Path:
        """Where the work folder of an avatar is, or would be."""
        return self.root / avatar_id

    def use(self, avatar_id: str) -> Path | None:
        """The work folder, which counts as touched now; None where there is none."""
        place = self.path(avatar_id)
        try:
            os.utime(place)
            for glb in (place / "avatar" / "avatar.glb", place / "viewer.glb"):
                with suppress(FileNotFoundError):
                    os.utime(glb)  # Gradio deletes what it has served by the age of the file
        except FileNotFoundError:
            return None
        return place

    def open(self, avatar_id: str, source: Path) -> Path:
        """The work folder of the avatar that lies in ``source``: it gets every file that it lacks."""
        link_avatar(source, self.path(avatar_id))
        return self.use(avatar_id) or self.path(avatar_id)

    def card(self, avatar_id: str, source: Path) -> Path | None:
        """A copy of the small picture of the avatar that lies in ``source``, None where that has none."""
        card = self.root / "cards" / f"{avatar_id}.webp"
        with suppress(FileNotFoundError):
            os.utime(card)
            return card
        card.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            shutil.copyfile(source / CARD, card)
            return card
        return None

    def remove(self, avatar_id: str) -> None:
        """Delete the work folder and the small picture: neither is served any longer."""
        shutil.rmtree(self.path(avatar_id), ignore_errors=True)
        (self.root / "cards" / f"{avatar_id}.webp").unlink(missing_ok=True)

    def ids(self) -> list[str]:
        """Of all avatars with a work folder."""
        return [place.name for place in self.root.iterdir() if ID.fullmatch(place.name)]

    def idle(self, longest: float = IDLE_SECONDS) -> list[str]:
        """Ids of the avatars that nobody has touched for ``longest`` seconds, and of the oldest of too many."""
        os.utime(self.root)  # this process is alive, see `_remove_abandoned`
        touched = {}
        for avatar_id in self.ids():
            with suppress(FileNotFoundError):  # another thread was quicker
                touched[avatar_id] = self.path(avatar_id).stat().st_mtime
        newest_first = sorted(touched, key=lambda avatar_id: touched[avatar_id], reverse=True)
        return [
            avatar_id
            for place, avatar_id in enumerate(newest_first)
            if place >= MOST_PLACES or time.time() - touched[avatar_id] > longest
        ]


def _remove_abandoned(parent: Path) -> None:
    """Delete the work folders of a process that was killed; one that lives touches its own every few minutes."""
    for root in parent.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - root.stat().st_mtime > IDLE_SECONDS:
                shutil.rmtree(root, ignore_errors=True)
