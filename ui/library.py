"""The avatars that people keep, on disk: whose each one is, until when, and which of them a link shares.

A folder per avatar, named by its secret id:

| file | what it is |
|---|---|
| avatar/ | the avatar folder |
| viewer.glb | what the viewer streams, of a licensed head only |
| card.webp | a small picture |
| kept.json | the owner's id (a hash), prompt, seed, licence, size, when it was made |
| published | empty; its owner has put the avatar on the Hub, so that it stays here too |

``shares/<token>`` holds the id of the avatar that a link shows; ``runs`` is `ui.runs`'s. Folders and files appear whole
or not at all, and a folder is renamed before it is deleted, so that several processes may share the library.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from pipeline.errors import UserError
from pipeline.files import PARTIAL_SUFFIX, link, partial_name, whole_file, whole_folder, writing
from pipeline.heads.releases import RELEASES
from pipeline.pictures import BROKEN_PICTURE
from pipeline.recipe import Recipe
from ui.limits import Limits

LIBRARY_VARIABLE = "ANIMPORTRAIT3D_LIBRARY"
ID = re.compile(r"[0-9a-f]{32}")
KEPT, CARD, SHARES, PUBLISHED, RUNS = "kept.json", "card.webp", "shares", "published", "runs"
CARD_SIZE = 320
LARGEST_PICTURE = 4096
"""Pixels along a side of a preview that is opened at all."""
LARGEST_KEPT = 64 * 1024
"""Bytes of a kept.json."""
ROOM_NEEDED = 200e6
"""Bytes that must be free on the disk before an avatar is made: it takes some 15 MB, its videos more."""
ABANDONED_SECONDS = 24 * 3600
"""What is half-written or half-deleted for so long belongs to a process that was killed."""


@dataclass(frozen=True)
class Kept:
    """One avatar of the library."""

    id: str
    owner: str
    """Id of its person, see `ui.people`."""
    prompt: str
    seed: int
    licence: str
    size: int
    """Bytes on disk."""
    made: float
    """Seconds since 1970."""


def library_folder() -> Path:
    """``$ANIMPORTRAIT3D_LIBRARY``, else ``animportrait3d/avatars`` where this system keeps the data of programs."""
    if own := os.environ.get(LIBRARY_VARIABLE):
        return Path(own)
    if base := os.environ.get("XDG_DATA_HOME"):
        return Path(base) / "animportrait3d" / "avatars"
    usual = {"win32": "AppData/Local", "darwin": "Library/Application Support"}.get(sys.platform, ".local/share")
    return Path.home() / usual / "animportrait3d" / "avatars"


class Library:
    """The avatars below a folder, which is made when the first one is kept."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root = root
        self.limits = limits

    def check_room(self, owners: tuple[str, ...], passing: int = 0) -> None:
        """Raise `UserError` when the first of ``owners``, or the place as a whole, can keep no further avatar.

        ``passing`` bytes are taken up by avatars that are not in the library.
        """
        limits = self.limits
        kept = self._all() if limits.most_avatars or limits.most_gb else []
        if limits.most_avatars and sum(avatar.owner in owners[:1] for avatar in kept) >= limits.most_avatars:
            raise UserError(
                f"you have {limits.most_avatars} avatars here, which is the most; "
                "download those that you want to keep, delete one in the gallery, and create again"
            )
        if limits.most_gb and self._taken(kept) + passing >= limits.most_gb * 1e9:
            raise UserError(
                f"the avatars kept here take up all of the {limits.most_gb:g} GB there are for them; "
                "delete some of yours in the gallery, or come back later"
            )
        existing = next(place for place in (self.root, *self.root.absolute().parents) if place.exists())
        if (free := shutil.disk_usage(existing).free) < ROOM_NEEDED:
            raise UserError(
                f"the disk has only {free / 1e6:.0f} MB left, and a new avatar needs {ROOM_NEEDED / 1e6:.0f} MB "
                "to be made and used; delete avatars in the gallery, or other files"
            )

    def add(self, avatar_id: str, place: Path, recipe: Recipe, owner: str) -> None:
        """Keep the avatar of a work folder. Raises `UserError` where the library cannot be written."""
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # faces are private
        with whole_folder(self.root / avatar_id) as partial:
            link_avatar(place, partial)
            _draw_card(partial / "avatar" / "preview.png", partial / CARD)
            size = size_of(partial)
            licence = RELEASES[recipe.head].licence if recipe.head in RELEASES else "your own"
            kept = Kept(avatar_id, owner, recipe.prompt, recipe.seed, licence, size, time.time())
            (partial / KEPT).write_text(json.dumps(asdict(kept)), encoding="utf-8")

    def find(self, avatar_id: str) -> Kept | None:
        """The avatar of that id, None where there is none, or nothing readable."""
        if not ID.fullmatch(avatar_id):
            return None
        try:
            with open(self.root / avatar_id / KEPT, "rb") as file:
                kept = Kept(**json.loads(file.read(LARGEST_KEPT)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        right = isinstance(kept.owner, str) and isinstance(kept.prompt, str) and isinstance(kept.licence, str)
        right &= all(isinstance(number, int | float) for number in (kept.seed, kept.size, kept.made))
        return kept if right and kept.id == avatar_id else None

    def of(self, owners: tuple[str, ...]) -> list[Kept]:
        """The avatars of these owners, newest first."""
        mine = [kept for kept in self._all() if kept.owner in owners]
        return sorted(mine, key=lambda kept: kept.made, reverse=True)

    def use(self, avatar_id: str) -> Path:
        """Folder of an avatar of the library, which counts as opened now."""
        place = self.root / avatar_id
        with suppress(OSError):  # deleted meanwhile, or on a disk that cannot be written
            os.utime(place)
        return place

    def delete(self, avatar_id: str) -> None:
        """Delete an avatar, and with it the link that shares it. Raises `UserError` where the system refuses."""
        doomed = partial_name(self.root / avatar_id)
        try:
            with suppress(FileNotFoundError):  # another process was quicker
                os.rename(self.root / avatar_id, doomed)
                shutil.rmtree(doomed, ignore_errors=True)
            (self.root / SHARES / share_token(avatar_id)).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"the avatar cannot be deleted from the disk ({error.strerror}); mend that first"
            ) from error

    def share(self, avatar_id: str) -> str:
        """The token of the link that shows an avatar of the library, always the same."""
        token = share_token(avatar_id)
        with whole_file(self.root / SHARES / token) as partial:
            partial.write_text(avatar_id)
        return token

    def shared(self, token: str) -> str | None:
        """Id of the avatar that a link shows, None for any other text."""
        if not ID.fullmatch(token):
            return None
        try:
            avatar_id = (self.root / SHARES / token).read_text()
        except (OSError, ValueError):
            return None
        return avatar_id if self.find(avatar_id) else None

    def mark_published(self, avatar_id: str) -> None:
        """Keep an avatar of the library until its owner deletes it."""
        with suppress(FileNotFoundError):  # it is not in the library
            (self.root / avatar_id / PUBLISHED).touch()

    def remove_old(self) -> None:
        """Delete what nobody has opened for as long as the limits say, unless its owner has published it, and what a
        killed process left half-done."""
        for place in _folders(self.root):
            with suppress(OSError, UserError):  # another process was quicker, or the system refuses
                idle = time.time() - place.stat().st_mtime
                old = self.limits.keep_hours and idle > self.limits.keep_hours * 3600
                if ID.fullmatch(place.name) and old and not (place / PUBLISHED).exists():
                    self.delete(place.name)
                if place.name.endswith(PARTIAL_SUFFIX) and idle > ABANDONED_SECONDS:
                    shutil.rmtree(place, ignore_errors=True)

    def _taken(self, kept: list[Kept]) -> int:
        """Bytes of these avatars and of all runs."""
        return sum(avatar.size for avatar in kept) + size_of(self.root / RUNS)

    def _all(self) -> list[Kept]:
        return [kept for place in _folders(self.root) if (kept := self.find(place.name)) is not None]


def share_token(avatar_id: str) -> str:
    """Leads to the avatar only through the library: nobody comes from it to the id, which is 128 random bits."""
    return hashlib.sha256(f"share:{avatar_id}".encode()).hexdigest()[:32]


def new_id() -> str:
    """128 random bits: nobody guesses one."""
    return secrets.token_hex(16)


def link_avatar(source: Path, target: Path) -> None:
    """Give the folder ``target`` every file of the avatar in the folder ``source`` that it lacks."""
    link_files(source / "avatar", target / "avatar")
    if (source / "viewer.glb").is_file():
        _link(source / "viewer.glb", target / "viewer.glb")


def link_files(source: Path, target: Path) -> None:
    """Give the folder ``target`` every file of ``source`` that it lacks.

    By hard links: neither time nor disk; by copies where the disk cannot do that.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file():
            _link(file, target / file.name)


def _link(file: Path, place: Path) -> None:
    if not place.exists():
        with suppress(FileExistsError):  # another thread was quicker
            link(file, place)


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, which may be vanishing."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def _folders(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except FileNotFoundError:
        return []


def _draw_card(preview: Path, path: Path) -> None:
    """A small copy of the preview; none where it is missing or no picture of sensible size."""
    with suppress(*BROKEN_PICTURE), Image.open(preview) as picture:
        if max(picture.size) <= LARGEST_PICTURE:
            picture.thumbnail((CARD_SIZE, CARD_SIZE))
            picture.convert("RGB").save(path, "WEBP", quality=82)
