"""Makes avatars, one at a time, and reports how far it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.animportrait3d import AnimPortrait3DPipeline, StepCallback
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.formats.glb import write_avatar_glb
from pipeline.recipe import Recipe
from ui.memory import give_back_freed_memory

WELCOME_PROMPT = "a young woman with long red hair, green eyes, round glasses and gold hoops in a navy suit"
"""The head that greets a visitor: it needs every kernel, so that making it warms all of them up."""
NOT_SENT = "its head is a licensed model, which a Space does not send to visitors; run this app on your own machine"
NEXT_STEPS = {"understand": (0.2, "Building the head"), "build": (0.75, "Packing it for the browser")}
"""Step of the pipeline that has ended → share done and what comes next."""

Report = Callable[[float, str], None]
"""Called with the share done, 0..1, and what comes next."""


@dataclass(frozen=True)
class Made:
    """One avatar that lies in a work folder."""

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


def write_viewer_glb(made: Made) -> None:
    """Write what the viewer streams, unless the avatar folder holds it.

    Raises `UserError` where that would send a licensed model to visitors.
    """
    if made.glb.exists():
        return
    if made.avatar.rig.model is not None and os.environ.get("SPACE_ID"):
        raise UserError(NOT_SENT)
    write_avatar_glb(made.avatar, made.glb)


class Maker:
    """One pipeline for everybody."""

    def __init__(self) -> None:
        self._pipe = AnimPortrait3DPipeline()
        self._making = threading.Lock()
        self._warm = threading.Event()

    def warm_up(self, place: Path) -> Made:
        """Make the head that greets visitors, and with it compile or load every kernel that a creation needs."""
        try:
            return self._make(place, WELCOME_PROMPT, 0, {}, "anny", lambda share, what: None)
        finally:
            self._warm.set()

    @property
    def warm(self) -> bool:
        """Whether `warm_up` has ended."""
        return self._warm.is_set()

    @property
    def busy(self) -> bool:
        """Whether a head is being made."""
        return self._making.locked()

    def make(self, place: Path, prompt: str, seed: int, attributes: dict[str, str], head: str, report: Report) -> Made:
        """Make an avatar in the work folder ``place``, whose name is its id, after those asked for before.

        Raises `UserError` for a prompt, seed, attributes or head that cannot be used.
        """
        self._tell_wait(report)
        return self._make(place, prompt, seed, attributes, head, report)

    def build(self, folder: Path, prompt: str, seed: int, attributes: dict[str, str], report: Report) -> None:
        """Make an avatar folder on the free head that is nobody's, after those asked for before.

        Raises `UserError` as `make` does, and where ``folder`` cannot be written.
        """
        self._tell_wait(report)
        self._build(folder, prompt, seed, attributes, "anny", report)

    def _tell_wait(self, report: Report) -> None:
        if not self.warm:
            report(0.05, "Warming up; the first head takes a few seconds longer")
        elif self.busy:
            report(0.05, "Waiting for the head before yours")

    def _make(self, place: Path, prompt: str, seed: int, attributes: dict[str, str], head: str, report: Report) -> Made:
        recipe, avatar = self._build(place / "avatar", prompt, seed, attributes, head, report)
        made = Made(place.name, place / "avatar", recipe, avatar)
        write_viewer_glb(made)
        return made

    def _build(
        self, folder: Path, prompt: str, seed: int, attributes: dict[str, str], head: str, report: Report
    ) -> tuple[Recipe, SplatAvatar]:
        with self._making:
            report(0.1, "Reading the sentence")
            steps = _reporting(report)
            output = self._pipe(prompt, seed=seed, attributes=attributes, head=head, callback_on_step_end=steps)
            save_avatar_folder(output.avatars[0], output.recipes[0], folder)
        give_back_freed_memory()
        return output.recipes[0], output.avatars[0]


def _reporting(report: Report) -> StepCallback:
    """The pipeline's callback in the page's terms."""

    def step_ended(pipe: AnimPortrait3DPipeline, index: int, name: str, tensors: dict[str, Any]) -> dict[str, Any]:
        report(*NEXT_STEPS[name])
        return tensors

    return step_ended
