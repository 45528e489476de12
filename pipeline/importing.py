"""An avatar that somebody brings: AnimPortrait3D's own files, or an avatar folder of this project, or a zip of one."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import CONFIG, MOST_PROMPT_BYTES, PROMPT, WEIGHTS, load_avatar_folder, stored_prompt
from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.formats.animportrait3d import POINT_CLOUD, read_local_ply
from pipeline.formats.fitted_params import FITTED_PARAMS, read_fitted_params
from pipeline.pictures import BROKEN_PICTURE
from pipeline.recipe import Recipe
from pipeline.unpacking import member_names, unpacked

PREVIEW, RECIPE = "preview.png", "recipe.json"
THEIRS, OURS = (POINT_CLOUD, FITTED_PARAMS), (CONFIG, WEIGHTS)
LARGEST = {
    POINT_CLOUD: 1_100_000_000,
    FITTED_PARAMS: 1_000_000,
    PROMPT: MOST_PROMPT_BYTES,
    PREVIEW: 32_000_000,
    RECIPE: 1_000_000,
    CONFIG: 4_000_000,
    WEIGHTS: 2_000_000_000,
}
"""Name → bytes that it may have; nothing else is looked at."""
LARGEST_PREVIEW = 4096
"""Pixels of either side."""
PRIOR = "animportrait3d"
PORTRAIT = ".pth"
"""Suffix of Portrait3D's files, which are no avatars yet."""


@dataclass(frozen=True)
class Imported:
    """An avatar and what its files say of it."""

    avatar: SplatAvatar
    recipe: Recipe
    notes: tuple[str, ...]
    """What was missing or assumed, in sentences."""
    preview: bytes | None
    """A PNG that came with it."""


def import_avatar(path: Path) -> Imported:
    """Read an avatar from a zip or a folder.

    Raises `UserError`, one sentence, for anything else, for damaged or hostile files, and for an AnimPortrait3D avatar
    where `missing_for_animportrait3d` names something.
    """
    if path.suffix.lower() == PORTRAIT:
        raise UserError(f"{path.name} is a portrait, which stands still; give it a rig: create --portrait {path}")
    with opened_files(path) as folder:
        if all((folder / name).is_file() for name in THEIRS):
            return _theirs(folder, path.stem)
        if all((folder / name).is_file() for name in OURS):
            return _ours(folder, path)
    raise UserError(
        f"{path.name} holds no avatar: there is neither {' with '.join(THEIRS)} (AnimPortrait3D's) nor "
        f"{' with '.join(OURS)} (this project's)"
    )


def missing_for_animportrait3d() -> str:
    """One sentence on what is missing here to open AnimPortrait3D's avatars, and how to get it; empty when nothing is.

    Milliseconds, but for the first look at a new model file.
    """
    from pipeline.heads.fitted_person import missing_for_fitted_person  # smplx takes a second to import

    return missing_for_fitted_person()


def prepare_for_animportrait3d() -> None:
    """Make ready for the first of AnimPortrait3D's avatars, which would else wait ten seconds; without its files,
    or with damaged ones, nothing happens before somebody opens an avatar and is told."""
    if missing_for_animportrait3d():
        return
    from pipeline.heads.fitted_person import prepare_fitted_persons

    with suppress(UserError):
        prepare_fitted_persons()


def avatar_files(path: Path) -> tuple[str, ...]:
    """The names by which a zip or folder is known as an avatar: AnimPortrait3D's, this project's, or none.

    Raises `UserError` when it cannot be read.
    """
    with reading(path):
        names = {file.name for file in path.iterdir()} if path.is_dir() else member_names(path)
    return next((known for known in (THEIRS, OURS) if names.issuperset(known)), ())


@contextmanager
def opened_files(path: Path) -> Iterator[Path]:
    """The files as a folder; of a zip only those that are known, under our own names. Raises `UserError`."""
    with reading(path):
        if path.is_dir():
            for name, most in LARGEST.items():
                if (path / name).is_file() and (path / name).stat().st_size > most:
                    raise UserError(f"{name} in {path.name} is larger than {most / 1e6:g} MB; an avatar's is not")
            yield path
            return
        if not path.is_file():
            raise UserError(f"there is no file {path}; give the zip or the folder of an avatar")
    with tempfile.TemporaryDirectory(prefix="avatar-") as place:
        unpacked(path, LARGEST, Path(place))
        yield Path(place)


def _theirs(folder: Path, name: str) -> Imported:
    from pipeline.heads.fitted_person import fitted_person  # smplx takes a second to import

    shape, fit = read_fitted_params(folder / FITTED_PARAMS)
    rig = fitted_person(shape, fit)
    splats, notes = read_local_ply(folder / POINT_CLOUD, len(rig.faces))
    avatar = SplatAvatar.from_parts(rig, **vars(splats), rasterize_mode="classic", sh_frame="world")
    recipe = Recipe(stored_prompt(folder) or name, 0, {}, {}, [], list(notes), prior=PRIOR, head=rig.basis)
    return Imported(avatar, recipe, notes, _preview(folder))


def _ours(folder: Path, path: Path) -> Imported:
    try:
        avatar = load_avatar_folder(folder)
    except UserError as error:  # names the folder that we unpacked into, which is nobody's
        raise UserError(str(error).replace(str(folder), path.name)) from error
    recipe, notes = _recipe(folder, path.stem)
    return Imported(avatar, recipe, notes, _preview(folder))


def _recipe(folder: Path, name: str) -> tuple[Recipe, tuple[str, ...]]:
    """What it was made from; an avatar whose recipe cannot be understood keeps its sentence only."""
    try:
        return Recipe.from_json((folder / RECIPE).read_text(encoding="utf-8")), ()
    except (OSError, ValueError):
        note = "its recipe is missing or cannot be read: the avatar can be used, but not made again"
        return Recipe(stored_prompt(folder) or name, 0, {}, {}, [], [note], prior="unknown"), (note,)


def _preview(folder: Path) -> bytes | None:
    """The picture, unless it is none or too large to be shown; its size is read before it is decoded."""
    if not (folder / PREVIEW).is_file():
        return None
    content = (folder / PREVIEW).read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            return content if max(picture.size) <= LARGEST_PREVIEW else None
    except BROKEN_PICTURE:
        return None
