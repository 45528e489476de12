"""The avatar folder: everything about one avatar, on disk, whole or not at all.

| file | what it is |
|---|---|
| config.json, *.safetensors | the `SplatAvatar`, as `save_pretrained` writes it |
| avatar.glb | what the browser streams (viewer/FORMAT.md) |
| preview.png | the standard portrait, 512 × 512 |
| prompt.txt | the sentence, UTF-8 |
| recipe.json | prompt, seed, attributes, versions: enough to make it again |

An avatar on a licensed model is stored without any number of the model (`avatar_licensed`), and without avatar.glb.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from safetensors import SafetensorError

from pipeline.avatar import SplatAvatar
from pipeline.avatar_checks import check_stored, check_values
from pipeline.avatar_licensed import is_without_model, load_with_model, save_without_model
from pipeline.errors import UserError
from pipeline.files import reading, whole_folder, writing
from pipeline.formats.glb import write_avatar_glb
from pipeline.recipe import Recipe
from pipeline.rendering.portrait import portrait

CONFIG = "config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
PROMPT = "prompt.txt"
LONGEST_PROMPT = 1000
"""Characters of a sentence that came from elsewhere."""
MOST_PROMPT_BYTES = 65_536
PREVIEW_SIZE = 512
PREVIEW_YAW = 18.0
"""Degrees: a three-quarter view tells more of a head than a passport picture."""


def save_avatar_folder(avatar: SplatAvatar, recipe: Recipe, folder: Path) -> None:
    """Write the avatar folder, replacing an older avatar folder of that name.

    Raises `UserError` when ``folder`` cannot be written, is a file or holds something that is not an avatar.
    """
    check_target(folder)
    with whole_folder(folder) as partial:
        try:
            _save(avatar, partial)
        except SafetensorError as error:  # its words for a full disk
            raise OSError(str(error)) from error
        Image.fromarray(portrait(avatar, PREVIEW_SIZE, yaw=PREVIEW_YAW).numpy()).save(partial / "preview.png")
        (partial / PROMPT).write_text(recipe.prompt + "\n", encoding="utf-8")
        (partial / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")


def _save(avatar: SplatAvatar, folder: Path) -> None:
    if avatar.rig.model is not None:
        save_without_model(avatar, folder / CONFIG, folder / WEIGHTS)
        return
    avatar.save_pretrained(folder)
    write_avatar_glb(avatar, folder / "avatar.glb")


def check_target(folder: Path) -> None:
    """Raise `UserError` unless ``folder`` is free, empty, or an older avatar folder."""
    with writing(folder):
        if folder.is_file():
            raise UserError(f"{folder} is a file; give a folder to write the avatar to")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / "recipe.json").is_file():
            raise UserError(f"{folder} holds other files and is left alone; give a new or empty folder")


def load_avatar_folder(folder: Path) -> SplatAvatar:
    """Read the avatar of an avatar folder.

    Raises `UserError` when it is missing, locked or damaged, or the model file that it stands on is not there.
    """
    with reading(folder):
        if not folder.is_dir():
            raise UserError(
                f"there is no avatar folder {folder}; make one with: python -m pipeline create PROMPT --out DIR"
            )
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise UserError(f"{folder} is not a whole avatar folder: {name} is missing; make the avatar again")
    try:
        if is_without_model(folder / CONFIG):
            avatar = load_with_model(folder / CONFIG, folder / WEIGHTS)
        else:
            check_stored(folder / CONFIG, folder / WEIGHTS)
            avatar = SplatAvatar.from_pretrained(folder, local_files_only=True, low_cpu_mem_usage=False)
        check_values(avatar)
    except UserError:
        raise
    except (OSError, SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"the avatar in {folder} is damaged ({_reason(error)}); make the avatar again") from error
    return avatar


def stored_prompt(folder: Path) -> str:
    """The sentence in ``prompt.txt``, on one line and of bounded length; empty where there is none."""
    file = folder / PROMPT
    with reading(file):
        if not file.is_file():
            return ""
        with open(file, "rb") as opened:
            return as_prompt(opened.read(MOST_PROMPT_BYTES))


def as_prompt(content: bytes) -> str:
    """The sentence in a text from outside, on one line and of bounded length."""
    text = content.decode("utf-8", "replace")
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join(words)[:LONGEST_PROMPT]


def _reason(error: Exception) -> str:
    told = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{told} is missing in {CONFIG}" if isinstance(error, KeyError) else told
