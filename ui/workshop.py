"""Avatars that visitors have made, each in a folder that only its secret id opens, kept for a while."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.animportrait3d import AnimPortrait3DPipeline, StepCallback
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.formats.glb import write_avatar_glb
from pipeline.recipe import Recipe

KEEP_SECONDS = 2 * 3600
"""An avatar that nobody has touched for so long is deleted."""
MOST_KEPT = 1000
"""Avatars on disk, some 15 MB each; the one that was left alone for longest goes first."""
LOADED_AT_ONCE = 8
"""Avatars that stay in memory, some 15 MB each."""
WELCOME_PROMPT = "a young woman with long red hair, green eyes, round glasses and gold hoops in a navy suit"
"""The head that greets a visitor: it needs every kernel, so that making it warms all of them up."""
NEXT_STEPS = {"understand": (0.2, "Building the head"), "build": (0.75, "Packing it for the browser")}
"""Step of the pipeline that has ended → share done and what comes next."""
ID = re.compile(r"[0-9a-f]{32}")

Report = Callable[[float, str], None]
"""Called with the share done, 0..1, and what comes next."""


@dataclass(frozen=True)
class Made:
    """One avatar of the workshop."""

    id: str
    """Secret: whoever knows it may use the avatar."""
    folder: Path
    """The avatar folder."""
    recipe: Recipe
    avatar: SplatAvatar

    @property
    def glb(self) -> Path:
        """What the viewer streams."""
        return viewer_glb(self.folder.parent)

    @property
    def may_be_given_away(self) -> bool:
        """Whether ``glb`` may leave this machine: that of a licensed model holds the model."""
        return self.glb.parent == self.folder


def viewer_glb(place: Path) -> Path:
    """The file that the viewer streams, of the avatar in the folder ``avatar`` of ``place``.

    The avatar folder of a licensed model has none, so that it is never published; its file lies beside the folder.
    """
    own = place / "avatar" / "avatar.glb"
    return own if own.exists() else place / "viewer.glb"


class Workshop:
    """Makes avatars and finds them again by their id."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="animportrait3d-"))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)  # faces are private
        self._pipe = AnimPortrait3DPipeline()
        self._making = threading.Lock()
        self._loaded: OrderedDict[str, SplatAvatar] = OrderedDict()
        self._guard = threading.Lock()
        self._welcome: Made | None = None
        self._warm = threading.Event()

    def warm_up(self) -> None:
        """Make the head that greets visitors, and with it compile or load every kernel that a creation needs."""
        try:
            with self._making:
                self._welcome = self._make(WELCOME_PROMPT, 0, {}, self.root / "welcome", lambda share, what: None)
        finally:
            self._warm.set()

    @property
    def warm(self) -> bool:
        """Whether `warm_up` has ended."""
        return self._warm.is_set()

    def welcome(self) -> Made | None:
        """A visitor's own copy of the head that greets, or None when there is none; costs neither time nor disk."""
        if self._welcome is None:
            return None
        self.remove_old()
        name = secrets.token_hex(16)
        folder = self.root / name / "avatar"
        shutil.copytree(self._welcome.folder, folder, copy_function=os.link)
        self._remember(name, self._welcome.avatar)
        return replace(self._welcome, id=name, folder=folder)

    def create(self, prompt: str, seed: int, attributes: dict[str, str], report: Report, head: str = "anny") -> Made:
        """Make an avatar. Raises `UserError` for a prompt, seed, attributes or head that cannot be used."""
        self.remove_old()
        if not self.warm:
            report(0.05, "Warming up; the first head takes a few seconds longer")
        elif self._making.locked():
            report(0.05, "Waiting for the head before yours")
        with self._making:
            made = self._make(prompt, seed, attributes, self.root / secrets.token_hex(16), report, head)
        self._remember(made.id, made.avatar)
        return made

    def _make(
        self, prompt: str, seed: int, attributes: dict[str, str], place: Path, report: Report, head: str = "anny"
    ) -> Made:
        report(0.1, "Reading the sentence")
        steps = _reporting(report)
        output = self._pipe(prompt, seed=seed, attributes=attributes, head=head, callback_on_step_end=steps)
        made = Made(place.name, place / "avatar", output.recipes[0], output.avatars[0])
        save_avatar_folder(made.avatar, made.recipe, made.folder)
        if not made.glb.exists():
            write_avatar_glb(made.avatar, made.glb)
        return made

    def folder(self, avatar_id: str) -> Path:
        """Work folder of an avatar: its avatar folder is ``avatar`` inside. Raises `UserError` for an unknown id."""
        folder = self.root / avatar_id if ID.fullmatch(avatar_id or "") else None
        gone = UserError("there is no avatar yet, or it was deleted after two hours; create one first")
        if folder is None:
            raise gone
        try:
            os.utime(folder)
        except FileNotFoundError as error:
            raise gone from error
        return folder

    def avatar(self, avatar_id: str) -> SplatAvatar:
        """The avatar of that id. Raises `UserError` for an unknown id."""
        folder = self.folder(avatar_id)
        with self._guard:
            avatar = self._loaded.get(avatar_id)
        if avatar is None:
            avatar = load_avatar_folder(folder / "avatar")
        self._remember(avatar_id, avatar)
        return avatar

    def remove_old(self) -> None:
        """Delete what nobody has touched for `KEEP_SECONDS`, and the oldest of more than `MOST_KEPT`."""
        touched = {}
        for folder in list(self.root.iterdir()):
            with suppress(FileNotFoundError):  # another thread was quicker
                if ID.fullmatch(folder.name):
                    touched[folder] = folder.stat().st_mtime
        for place, folder in enumerate(sorted(touched, key=lambda folder: touched[folder], reverse=True)):
            if place >= MOST_KEPT or time.time() - touched[folder] > KEEP_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                with self._guard:
                    self._loaded.pop(folder.name, None)

    def _remember(self, avatar_id: str, avatar: SplatAvatar) -> None:
        with self._guard:
            self._loaded[avatar_id] = avatar
            self._loaded.move_to_end(avatar_id)
            while len(self._loaded) > LOADED_AT_ONCE:
                self._loaded.popitem(last=False)


def _reporting(report: Report) -> StepCallback:
    """The pipeline's callback in the page's terms."""

    def step_ended(pipe: AnimPortrait3DPipeline, index: int, name: str, tensors: dict[str, Any]) -> dict[str, Any]:
        report(*NEXT_STEPS[name])
        return tensors

    return step_ended
