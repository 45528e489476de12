"""The avatar folder: everything about one avatar, on disk, whole or not at all.

| file | what it is |
|---|---|
| config.json, *.safetensors | the `SplatAvatar`, as `save_pretrained` writes it |
| avatar.glb | what the browser streams (viewer/FORMAT.md) |
| preview.png | the standard portrait, 512 × 512 |
| prompt.txt | the sentence, one line of UTF-8 |
| recipe.json | prompt, seed, attributes, versions: enough to make it again |
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError, safe_open

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.files import whole_folder
from pipeline.formats.glb import write_avatar_glb
from pipeline.recipe import Recipe
from pipeline.rendering.portrait import portrait

WEIGHTS = "diffusion_pytorch_model.safetensors"
PREVIEW_SIZE = 512
PREVIEW_YAW = 18.0
"""Degrees: a three-quarter view tells more of a head than a passport picture."""


def save_avatar_folder(avatar: SplatAvatar, recipe: Recipe, folder: Path) -> None:
    """Write the avatar folder, replacing an older avatar folder of that name.

    Raises `UserError` when ``folder`` is a file or holds something that is not an avatar.
    """
    check_target(folder)
    with whole_folder(folder) as partial:
        avatar.save_pretrained(partial)
        write_avatar_glb(avatar, partial / "avatar.glb")
        Image.fromarray(portrait(avatar, PREVIEW_SIZE, yaw=PREVIEW_YAW).numpy()).save(partial / "preview.png")
        (partial / "prompt.txt").write_text(recipe.prompt + "\n", encoding="utf-8")
        (partial / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")


def check_target(folder: Path) -> None:
    """Raise `UserError` unless ``folder`` is free, empty, or an older avatar folder."""
    if folder.is_file():
        raise UserError(f"{folder} is a file; give a folder to write the avatar to")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "recipe.json").is_file():
        raise UserError(f"{folder} holds other files and is left alone; give a new or empty folder")


def load_avatar_folder(folder: Path) -> SplatAvatar:
    """Read the avatar of an avatar folder. Raises `UserError` when it is missing or damaged."""
    if not folder.is_dir():
        raise UserError(
            f"there is no avatar folder {folder}; make one with: python -m pipeline create PROMPT --out DIR"
        )
    for name in ("config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is not a whole avatar folder: {name} is missing; make the avatar again")
    try:
        _check_sizes(folder)
        avatar = SplatAvatar.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"the avatar in {folder} is damaged ({_first_line(error)}); make the avatar again") from error
    _check_consistent(avatar, folder)
    return avatar


def load_recipe(folder: Path) -> Recipe:
    """Read recipe.json of an avatar folder. Raises `UserError` when it is missing or damaged."""
    try:
        return Recipe.from_json((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise UserError(f"recipe.json in {folder} cannot be read ({_first_line(error)})") from error


def _check_sizes(folder: Path) -> None:
    """Compare config and weights before anything is allocated: a damaged config may ask for any amount of memory."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        for key, tensor in (("num_splats", "means"), ("num_vertices", "rig_vertices"), ("num_faces", "rig_faces")):
            stored = weights.get_slice(tensor).get_shape()[0]
            if config[key] != stored:
                raise ValueError(f"config.json says {key} {config[key]}, the weights hold {stored}")


def _check_consistent(avatar: SplatAvatar, folder: Path) -> None:
    """Indices out of range would crash the compiled kernels; find them here."""
    faces, vertices = len(avatar.rig_faces), len(avatar.rig_vertices)
    ranges = ((avatar.face, faces), (avatar.rig_faces, vertices), (avatar.rig_landmark_faces, faces))
    for indices, limit in ranges:
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < limit:
            raise UserError(f"the avatar in {folder} is damaged (an index is not below {limit}); make the avatar again")
    for name, value in avatar.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"the avatar in {folder} is damaged ({name} is not finite); make the avatar again")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
