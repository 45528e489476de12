"""What of an avatar folder may leave this machine, and under which licences: checked before a byte is sent."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import SafetensorError, safe_open

from pipeline.avatar_checks import check_stored
from pipeline.avatar_folder import CONFIG, WEIGHTS
from pipeline.avatar_licensed import ADDED, SPLATS
from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.heads.releases import RELEASES
from pipeline.pictures import BROKEN_PICTURE

FREE_FILES = (CONFIG, WEIGHTS, "avatar.glb", "preview.png", "prompt.txt", "recipe.json")
"""Every file that is ever sent; of an avatar on a licensed head the GLB stays, since it holds the model's shape."""
LICENSED_FILES = tuple(name for name in FREE_FILES if name != "avatar.glb")
FREE_BASIS = "arkit52"
LARGEST_FILE = 256 << 20
LARGEST_TEXT = 1 << 20
LARGEST_PICTURE = 4096
"""Pixels along a side."""
LONGEST_SLUG = 40

LICENCES: dict[str, str] = {
    "cc-by-4.0": "CC BY 4.0: anything, with your name",
    "cc0-1.0": "CC0 1.0: anything, without conditions",
    "cc-by-sa-4.0": "CC BY-SA 4.0: anything, with your name, passed on alike",
    "cc-by-nc-4.0": "CC BY-NC 4.0: nothing commercial, with your name",
    "other": "Other: ask me",
}
"""The Hub's name of a licence → what a person chooses; the first that fits is the default."""
RESEARCH_LICENCES = ("cc-by-nc-4.0", "other")
"""The models' licences forbid commercial use, which a licence of what was made with them cannot allow."""
ATTRIBUTION_LICENCES = ("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "other")
"""A model under CC BY wants its makers named, which CC0 would waive."""


@dataclass(frozen=True)
class Publishable:
    """An avatar folder that was checked."""

    files: dict[str, Path]
    """Name → file, of those that may be sent."""
    prompt: str
    name: str
    """``<slug of the prompt>-<8 hex digits of the content>``: the same content has the same name."""
    model: str
    """Release of the licensed head, e.g. ``flame2023``; empty for the free one."""
    licences: tuple[str, ...]
    """Those that may be given, the default first."""

    def licence(self, wanted: str | None) -> str:
        """The wanted licence, or the default. Raises `UserError` for one that may not be given."""
        if wanted is None:
            return self.licences[0]
        if wanted not in self.licences:
            why = f", since its head is made with {RELEASES[self.model].title}" if self.model in RELEASES else ""
            raise UserError(
                f"the licence {wanted[:40]!r} cannot be given to this avatar{why}; take {' or '.join(self.licences)}"
            )
        return wanted


def publishable(folder: Path) -> Publishable:
    """Check an avatar folder. Raises `UserError` for one that is not whole, or holds what may not be given away."""
    with reading(folder):
        if not folder.is_dir():
            raise UserError(
                f"there is no avatar folder {folder}; make one with: python -m pipeline create PROMPT --out DIR"
            )
        config = _json(_plain_file(folder / CONFIG))
        licensed = "model" in config
        files = {name: _plain_file(folder / name) for name in (LICENSED_FILES if licensed else FREE_FILES)}
        recipe = _json(files["recipe.json"])
        _check_texts(files)
        _check_picture(files["preview.png"])
        model = _licensed_model(config, files[WEIGHTS]) if licensed else _free_model(config, recipe, files)
        prompt = " ".join(files["prompt.txt"].read_text(encoding="utf-8").split())
        content = hashlib.sha256("".join(f"{name}:{sha256_of(file)}\n" for name, file in files.items()).encode())
    name = f"{slug(prompt)}-{content.hexdigest()[:8]}"
    return Publishable(files, prompt, name, model, licence_choices(model, str(recipe.get("prior"))))


def licence_choices(model: str, prior: str = "procedural") -> tuple[str, ...]:
    """The licences that an avatar on this head (empty: the free one) may be given; the default first."""
    if model:
        release = RELEASES.get(model)
        return ATTRIBUTION_LICENCES if release and release.licence.startswith("CC-BY") else RESEARCH_LICENCES
    return tuple(LICENCES) if prior == "procedural" else RESEARCH_LICENCES


def licences_of(folder: Path) -> tuple[str, ...]:
    """The licences that an avatar folder may be given, the default first; reads its recipe alone.

    Raises `UserError` for a folder without one.
    """
    recipe = _json(folder / "recipe.json")
    head = str(recipe.get("head", "anny"))
    return licence_choices("" if head == "anny" else head, str(recipe.get("prior")))


def slug(text: str) -> str:
    """A file name from a sentence: ``"An old man!"`` → ``"an-old-man"``; ``"head"`` where no letter is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_text)
    return "-".join(words)[:LONGEST_SLUG].strip("-") or "head"


def sha256_of(file: Path) -> str:
    """Hex digest of a file's content."""
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _plain_file(file: Path) -> Path:
    if file.is_symlink() or not file.is_file():
        raise UserError(f"{file.parent} is not a whole avatar folder: {file.name} is missing; make the avatar again")
    limit = LARGEST_TEXT if file.suffix in (".json", ".txt") else LARGEST_FILE
    if file.stat().st_size > limit:
        raise UserError(f"{file} has {file.stat().st_size:,} bytes; an avatar's has at most {limit:,}")
    return file


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(_plain_file(file).read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged; make the avatar again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged; make the avatar again")
    return content


def _check_texts(files: dict[str, Path]) -> None:
    try:
        files["prompt.txt"].read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{files['prompt.txt']} is no UTF-8 text; make the avatar again") from error


def _check_picture(file: Path) -> None:
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            size = picture.size
    except BROKEN_PICTURE as error:
        raise UserError(f"{file} is no PNG picture; make the avatar again") from error
    if max(size) > LARGEST_PICTURE:
        raise UserError(f"{file} is {size[0]} × {size[1]} pixels; an avatar's preview has at most {LARGEST_PICTURE}")


def _licensed_model(config: dict[str, Any], weights_file: Path) -> str:
    """The release, when nothing but splats and added meshes is stored. Raises `UserError` otherwise."""
    extra = sorted(_tensor_names(weights_file) - {*SPLATS, *ADDED})
    if extra:
        raise UserError(
            f"{weights_file} holds {extra[0]}, which may be a part of the licensed model; "
            "it is not published: make the avatar again with this version"
        )
    model = config["model"]
    return str(model.get("release") or "unknown") if isinstance(model, dict) else "unknown"


def _free_model(config: dict[str, Any], recipe: dict[str, Any], files: dict[str, Path]) -> str:
    """An empty string, when everything that is stored belongs to the free head. Raises `UserError` otherwise."""
    basis, head = config.get("basis"), recipe.get("head", "anny")
    if basis != FREE_BASIS or head != "anny":
        raise UserError(
            f"{files[CONFIG].parent} stores the whole head model ({head}, {basis}), which may not be published; "
            "make the avatar again with this version, which stores its coefficients only"
        )
    try:
        check_stored(files[CONFIG], files[WEIGHTS])
    except (ValueError, TypeError, KeyError, AttributeError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{files[WEIGHTS]} does not fit its {CONFIG}; make the avatar again") from error
    _check_no_more_tensors(config, files[WEIGHTS])
    return ""


def _check_no_more_tensors(config: dict[str, Any], weights_file: Path) -> None:
    import torch

    from pipeline.avatar import SplatAvatar

    with torch.device("meta"):
        wanted = SplatAvatar.from_config(config).state_dict().keys()
    extra = sorted(_tensor_names(weights_file) - set(wanted))
    if extra:
        raise UserError(f"{weights_file} holds {extra[0]}, which is no part of an avatar; make the avatar again")


def _tensor_names(weights_file: Path) -> set[str]:
    try:
        with safe_open(weights_file, framework="pt") as weights:
            return set(weights.keys())
    except SafetensorError as error:
        raise UserError(f"{weights_file} is damaged ({error}); make the avatar again") from error
