"""Static heads that people bring: a tri-grid of Portrait3D and its decoder, or an avatar that is to be rigged anew."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from pipeline.avatar_folder import CONFIG, MOST_PROMPT_BYTES, WEIGHTS, as_prompt, load_avatar_folder, stored_prompt
from pipeline.errors import UserError
from pipeline.files import reading, writing
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.multiview import Source

Kind = Literal["trigrid", "avatar"]
PRIORS = {"trigrid": "portrait3d", "avatar": "avatar"}
"""Kind of a portrait → what a recipe calls the prior of a head that was made from it."""
TRIGRID, DECODER, AVATAR = "portrait.pth", "decoder.ckpt", "avatar"
"""Names of a portrait's copies."""
HEAD_NUMBER = re.compile(r"[^_]+")


@dataclass(frozen=True)
class Portrait:
    """A portrait on disk, whose files can be read."""

    kind: Kind
    path: Path
    """The tri-grid's file, or the avatar's folder."""
    decoder: Path | None
    """File of the decoder that draws the tri-grid; None for an avatar."""

    @property
    def files(self) -> dict[str, str]:
        """Name of each file that the head depends on → SHA-256 of its bytes. Raises `UserError` for unreadable ones."""
        return {path.name: sha256_of(path) for path in self._paths}

    @property
    def _paths(self) -> list[Path]:
        if self.kind == "avatar":
            return [self.path / CONFIG, self.path / WEIGHTS]
        return [self.path, *([] if self.decoder is None else [self.decoder])]

    @property
    def prompt(self) -> str:
        """What the files tell of the person; empty where they say nothing."""
        return stored_prompt(self.path) if self.kind == "avatar" else prompt_beside(self.path)

    def source(self, device: torch.device | str = "cpu") -> Source:
        """The head, to be looked at; a tri-grid is drawn on ``device``.

        Raises `UserError` for files that cannot be used.
        """
        if self.decoder is None:
            return AvatarSource(load_avatar_folder(self.path))
        from pipeline.priors.portrait3d.generator_file import read_painter  # with numba's kernels
        from pipeline.priors.portrait3d.portrait_file import read_portrait
        from pipeline.priors.portrait3d.source import TriGridSource

        return TriGridSource(read_portrait(self.path).to(device), read_painter(self.decoder).to(device))

    def copy_to(self, folder: Path) -> None:
        """Put the portrait into an empty folder, from where `portrait_in` gives it; of a generator only its decoder.

        Raises `UserError` for files that cannot be used, or not be written.
        """
        if self.decoder is None:
            (folder / AVATAR).mkdir()
            for path in self._paths:
                _copy(path, folder / AVATAR / path.name)
            return
        from pipeline.priors.portrait3d.generator_file import read_painter

        _copy(self.path, folder / TRIGRID)
        with writing(folder):
            torch.save({"params": {}, "state_dict": read_painter(self.decoder).state_dict()}, folder / DECODER)


def portrait_in(folder: Path, kind: Kind) -> Portrait:
    """What `Portrait.copy_to` put into a folder."""
    if kind == "avatar":
        return Portrait(kind, folder / AVATAR, None)
    return Portrait(kind, folder / TRIGRID, folder / DECODER)


def find_portrait(path: Path, decoder: Path | None = None) -> Portrait:
    """The portrait that a person names; ``decoder`` is looked for where it is not said.

    Raises `UserError` where there is none, or no decoder for it.
    """
    with reading(path):
        path.stat()
    if path.is_dir():
        if not (path / CONFIG).is_file():
            raise UserError(f"{path} is a folder without an avatar; give the .pth of a tri-grid, or an avatar folder")
        if decoder is not None:
            raise UserError(f"{path} is an avatar folder, which needs no decoder; leave {decoder} out")
        return Portrait("avatar", path, None)
    from pipeline.priors.portrait3d.weights import find_painter

    return Portrait("trigrid", path, decoder or find_painter(path.parent))


def prompt_beside(path: Path) -> str:
    """The sentence of a tri-grid of the gallery, where ``NNN_prompt.txt`` lies beside it; else empty."""
    named = HEAD_NUMBER.match(path.stem)
    beside = path.with_name(f"{named.group() if named else path.stem}_prompt.txt")
    if not beside.is_file():
        return ""
    with reading(beside), open(beside, "rb") as file:
        return as_prompt(file.read(MOST_PROMPT_BYTES))


def sha256_of(path: Path) -> str:
    """Of the file's bytes, as hexadecimal digits. Raises `UserError` where it cannot be read."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> None:
    with reading(source), writing(target):
        shutil.copyfile(source, target)
