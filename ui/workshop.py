"""Avatars that visitors have made, each in a folder that only its secret id opens, kept for a while."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.animportrait3d import AnimPortrait3DPipeline, StepCallback
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.recipe import Recipe

KEEP_SECONDS = 2 * 3600
"""An avatar that nobody has touched for so long is deleted."""
LOADED_AT_ONCE = 8
"""Avatars that stay in memory, some 15 MB each."""
WARM_UP_PROMPT = "a woman with long hair, glasses and earrings in a suit"
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


class Workshop:
    """Makes avatars and finds them again by their id."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="animportrait3d-"))
        self._pipe = AnimPortrait3DPipeline()
        self._making = threading.Lock()
        self._loaded: OrderedDict[str, SplatAvatar] = OrderedDict()
        self._guard = threading.Lock()

    def warm_up(self) -> None:
        """Compile or load every kernel that a creation needs; the first visitor then waits no longer than others."""
        with self._making:
            output = self._pipe(WARM_UP_PROMPT)
            with tempfile.TemporaryDirectory(dir=self.root) as folder:
                save_avatar_folder(output.avatars[0], output.recipes[0], Path(folder) / "avatar")

    def create(self, prompt: str, seed: int, report: Report) -> Made:
        """Make an avatar. Raises `UserError` for a prompt or seed that cannot be used."""
        self.remove_old()
        if self._making.locked():
            report(0.05, "Waiting for the workshop")
        with self._making:
            report(0.1, "Reading the sentence")
            output = self._pipe(prompt, seed=seed, callback_on_step_end=_reporting(report))
            avatar, recipe = output.avatars[0], output.recipes[0]
            name = secrets.token_hex(16)
            folder = self.root / name / "avatar"
            save_avatar_folder(avatar, recipe, folder)
        self._remember(name, avatar)
        return Made(name, folder, recipe, avatar)

    def folder(self, avatar_id: str) -> Path:
        """Work folder of an avatar: its avatar folder is ``avatar`` inside. Raises `UserError` for an unknown id."""
        folder = self.root / avatar_id if ID.fullmatch(avatar_id or "") else None
        if folder is None or not folder.is_dir():
            raise UserError("there is no avatar yet, or it was deleted after two hours; create one first")
        folder.touch()
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
        """Delete what nobody has touched for `KEEP_SECONDS`."""
        for folder in self.root.iterdir():
            if ID.fullmatch(folder.name) and time.time() - folder.stat().st_mtime > KEEP_SECONDS:
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
