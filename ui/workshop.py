"""The avatars of this place: each found by its secret id, kept for its person, shared by a link, and gone in time.

The secret id is the right to use an avatar: to show, move and export it. To list, share, publish or delete one that was
made with a key takes its person; one made without belongs to whoever knows the id. A link gives a copy to look at.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder
from pipeline.errors import UserError
from pipeline.gallery import Entry
from pipeline.recipe import Recipe
from ui.library import (
    ID,
    LIBRARY_VARIABLE,
    Library,
    library_folder,
    link_avatar,
    link_files,
    new_id,
    share_token,
    size_of,
)
from ui.limits import limits
from ui.making import Made, Maker, Report, write_viewer_glb
from ui.people import NOBODY, ids_of
from ui.workplaces import IDLE_SECONDS, Workplaces

LOADED_AT_ONCE = 8
"""Avatars that stay in memory, some 15 MB each."""
TIDY_SECONDS = 300
"""Between two looks at what may be deleted."""
FileIdentity = tuple[int, int, int]
"""Disk, number on it, and time of writing, as numbers are given out again."""
GONE = "there is no avatar yet, or it was deleted meanwhile; create one first"
NOT_YOURS = "you have no avatar of that id: it was deleted, or it belongs to somebody else"
LINK_GONE = "the link leads to no avatar, or to one that was deleted; ask whoever sent it for a new one"


@dataclass(frozen=True)
class Passing:
    """An avatar that is not kept in the library: it goes when nobody has touched it for two hours."""

    made_here: bool = False
    """By a call without a key: whoever knows its id may also share, publish and delete it."""
    original: str = ""
    """Id of the avatar that a visitor's copy was made of; the copy goes with it."""


class Workshop:
    """Every avatar of this place, within `ui.limits`. Raises `UserError` for limits that make no sense."""

    def __init__(self) -> None:
        self.limits = limits()
        self.library = Library(_library_root(), self.limits)
        self.places = Workplaces()
        self.maker = Maker()
        self._guard = threading.Lock()
        self._loaded: OrderedDict[FileIdentity, SplatAvatar] = OrderedDict()
        self._passing: dict[str, Passing] = {}
        self._shared: dict[str, str] = {}
        self._welcome: Made | None = None

    def warm_up(self) -> None:
        """Make the head that greets visitors, and with it compile or load every kernel that a creation needs."""
        self._welcome = self.maker.warm_up(self.places.root / "welcome")

    @property
    def warm(self) -> bool:
        """Whether `warm_up` has ended."""
        return self.maker.warm

    def welcome(self) -> Made | None:
        """A visitor's own copy of the head that greets, or None when there is none; costs neither time nor disk."""
        return None if self._welcome is None else self._copy(self._welcome, Passing())

    def create(
        self,
        prompt: str,
        seed: int,
        attributes: dict[str, str],
        report: Report,
        head: str = "anny",
        person: str = NOBODY,
    ) -> Made:
        """Make an avatar, which is kept for ``person``; without one it is a passing avatar.

        Raises `UserError` for a prompt, seed, attributes or head that cannot be used, and where there is no room.
        """
        self.remove_old()
        self._check_room(person)
        with self._new_place(Passing(made_here=True)) as place:
            made = self.maker.make(place, prompt, seed, attributes, head, report)
            self._take_in(made, person)
        return made

    def keep(self, folder: Path, recipe: Recipe, person: str, listed: bool, avatar: SplatAvatar | None = None) -> Made:
        """Take a finished avatar folder in, under a new secret id; the folder stays as it is.

        ``listed``: it is the person's own from now on; otherwise it is a passing copy of something to look at.
        ``avatar`` is that of the folder where it is in memory already. Raises `UserError` for a folder that is no
        avatar's, and where there is no room.
        """
        if listed:
            self._check_room(person)
        avatar = avatar or self._load(folder)
        with self._new_place(Passing(made_here=listed)) as place:
            link_files(folder, place / "avatar")
            made = Made(place.name, place / "avatar", recipe, avatar)
            write_viewer_glb(made)
            self._take_in(made, person if listed else NOBODY)
        return made

    def folder(self, avatar_id: str) -> Path:
        """Work folder of an avatar: its avatar folder is ``avatar`` inside. Raises `UserError` for an unknown id."""
        if not ID.fullmatch(avatar_id or "") or not self._exists(avatar_id):
            raise UserError(GONE)
        place = self.places.use(avatar_id)
        if avatar_id not in self._passing:
            with suppress(FileNotFoundError):  # another process deleted it just now
                place = self.places.open(avatar_id, self.library.use(avatar_id))
        if place is None:
            raise UserError(GONE)
        return place

    def avatar(self, avatar_id: str) -> SplatAvatar:
        """The avatar of that id. Raises `UserError` for an unknown id."""
        return self._load(self.folder(avatar_id) / "avatar")

    def mine(self, person: str) -> list[Entry]:
        """The avatars of a person, newest first, for the gallery."""
        entries = []
        for kept in self.library.of(ids_of(person)):
            card = self.places.card(kept.id, self.library.root / kept.id)
            entries.append(Entry(f"mine/{kept.id}", kept.prompt, kept.licence, card, kept.seed))
        return entries

    def may(self, avatar_id: str, person: str) -> bool:
        """Whether an avatar is the person's to share, publish and delete.

        One that was made without a key belongs to whoever knows its id. A copy, be it of a shared avatar or of one of
        the gallery, belongs to nobody.
        """
        if not ID.fullmatch(avatar_id or ""):
            return False
        passing = self._passing.get(avatar_id)
        if passing is not None:
            return passing.made_here
        kept = self.library.find(avatar_id)
        return kept is not None and kept.owner in ids_of(person)

    def open(self, avatar_id: str, person: str) -> Made:
        """A person's own avatar, to show it. Raises `UserError` for one that is not theirs."""
        self._check(avatar_id, person)
        return self._found(avatar_id)

    def delete(self, avatar_id: str, person: str) -> None:
        """Delete an avatar, its link, and visitors' copies of it. Raises `UserError` unless it is the person's."""
        self._check(avatar_id, person)
        self.library.delete(avatar_id)
        self._forget(avatar_id)
        self._remove_orphans()

    def share(self, avatar_id: str, person: str) -> str:
        """The token of a link that shows an avatar, the same every time. Raises `UserError` unless it is theirs."""
        self._check(avatar_id, person)
        if avatar_id not in self._passing:
            return self.library.share(avatar_id)
        token = share_token(avatar_id)
        self._shared[token] = avatar_id
        return token

    def visit(self, token: str) -> Made:
        """A visitor's copy of a shared avatar: to look at, move and export. Raises `UserError` for any other token."""
        original = self._shared.get(token) or self.library.shared(token or "")
        if original is None or not self._exists(original):
            raise UserError(LINK_GONE)
        return self._copy(self._found(original), Passing(original=original))

    def remove_old(self) -> None:
        """Delete what nobody has touched for as long as it is kept."""
        self.library.remove_old()
        hours = self.limits.keep_hours
        for avatar_id in self.places.idle(min(IDLE_SECONDS, hours * 3600) if hours else IDLE_SECONDS):
            self._forget(avatar_id)
        self._remove_orphans()

    def keep_tidy(self) -> None:
        """Go on removing what is old, for as long as the process lives."""
        pause = threading.Event()
        while not pause.wait(TIDY_SECONDS):
            self.remove_old()

    def _check_room(self, person: str) -> None:
        made = [avatar_id for avatar_id, passing in list(self._passing.items()) if passing.made_here]
        taken = sum(size_of(self.places.path(avatar_id)) for avatar_id in made) if self.limits.most_gb else 0
        self.library.check_room(ids_of(person), taken)

    def _check(self, avatar_id: str, person: str) -> None:
        if not self.may(avatar_id, person):
            raise UserError(NOT_YOURS)

    def _exists(self, avatar_id: str) -> bool:
        """Whether the avatar is there, and what it is a copy of; another process may have deleted either."""
        passing = self._passing.get(avatar_id)
        if passing is None:
            return self.library.find(avatar_id) is not None
        return not passing.original or self._exists(passing.original)

    def _found(self, avatar_id: str) -> Made:
        avatar, place = self.avatar(avatar_id), self.folder(avatar_id)
        recipe = Recipe.from_json((place / "avatar" / "recipe.json").read_text(encoding="utf-8"))
        return Made(avatar_id, place / "avatar", recipe, avatar)

    def _copy(self, made: Made, passing: Passing) -> Made:
        with self._new_place(passing) as place:
            link_avatar(made.folder.parent, place)
        return replace(made, id=place.name, folder=place / "avatar")

    @contextmanager
    def _new_place(self, passing: Passing) -> Iterator[Path]:
        """A free work folder, removed when the block fails; ``passing`` until the library has the avatar."""
        place = self.places.path(new_id())
        self._passing[place.name] = passing
        try:
            yield place
        except BaseException:
            self._forget(place.name)
            raise

    def _take_in(self, made: Made, person: str) -> None:
        """Keep a new avatar for its person, if there is one."""
        if person:
            self.library.add(made.id, made.folder.parent, made.recipe, ids_of(person)[0])
            self._passing.pop(made.id)
        self._remember(_identity(made.folder), made.avatar)

    def _load(self, folder: Path) -> SplatAvatar:
        """The avatar of an avatar folder; all copies of one, which share its files, share it in memory too."""
        try:
            identity = _identity(folder)
        except OSError:
            return load_avatar_folder(folder)  # says what is wrong with the folder
        with self._guard:
            avatar = self._loaded.get(identity)
        if avatar is None:
            avatar = load_avatar_folder(folder)
        self._remember(identity, avatar)
        return avatar

    def _remember(self, identity: FileIdentity, avatar: SplatAvatar) -> None:
        with self._guard:
            self._loaded[identity] = avatar
            self._loaded.move_to_end(identity)
            while len(self._loaded) > LOADED_AT_ONCE:
                self._loaded.popitem(last=False)

    def _forget(self, avatar_id: str) -> None:
        """Take an avatar out of memory and out of what is served; copies that others look at are read again."""
        with suppress(FileNotFoundError), self._guard:
            self._loaded.pop(_identity(self.places.path(avatar_id) / "avatar"), None)
        self._passing.pop(avatar_id, None)
        self._shared.pop(share_token(avatar_id), None)
        self.places.remove(avatar_id)

    def _remove_orphans(self) -> None:
        """Delete the work folders of avatars that were deleted, also by another process, and of copies of those."""
        for avatar_id in self.places.ids():
            if not self._exists(avatar_id):
                self._forget(avatar_id)


def _identity(folder: Path) -> FileIdentity:
    """Of the avatar in an avatar folder: the same for all folders that hold it by hard links."""
    status = (folder / "config.json").stat()
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _library_root() -> Path:
    """The folder of what people keep; on a Space, whose disk does not last, one that goes with the process."""
    if os.environ.get("SPACE_ID") and not os.environ.get(LIBRARY_VARIABLE):
        root = Path(tempfile.mkdtemp(prefix="animportrait3d-library-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)  # faces are private
        return root
    root = library_folder()
    if root.exists() and not root.is_dir():
        raise UserError(f"{LIBRARY_VARIABLE} is {root}, which is no folder; give one for the avatars that people keep")
    return root
