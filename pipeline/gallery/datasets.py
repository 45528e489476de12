"""Galleries that the operator names: datasets that hold avatar folders, at the root or below any directory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.avatar_folder import (
    CONFIG,
    MOST_PROMPT_BYTES,
    PROMPT,
    WEIGHTS,
    as_prompt,
    load_avatar_folder,
)
from pipeline.errors import UserError
from pipeline.files import link, whole_folder
from pipeline.formats.glb import write_avatar_glb
from pipeline.gallery.source import Described
from pipeline.gallery.thumbnails import LARGEST_PICTURE, Layout
from pipeline.hub.card import FOLDER, ROW
from pipeline.hub.client import BUILT, Hub
from pipeline.hub.errors import Damaged
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.listing import LONGEST_LICENCE, HubFile, Listing
from pipeline.hub.repositories import Repository
from pipeline.recipe import Recipe

GALLERIES_VARIABLE = "ANIMPORTRAIT3D_GALLERIES"
"""``owner/name,owner/name``."""
REPOSITORY_ID = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
RECIPE, PREVIEW, CARD = "recipe.json", "preview.png", "README.md"
LARGEST_CARD = 1 << 20
"""Bytes of a card that are read."""
LARGEST_RECIPE = 64 << 10
"""Bytes of a recipe.json that are read; ours have three."""
FILES = (CONFIG, WEIGHTS, RECIPE, PROMPT, PREVIEW)
"""Of an avatar folder, what is taken from a stranger; the GLB is made here from what was checked."""
LARGEST_FOLDER = 512 << 20
"""Bytes of one avatar folder."""
UNKNOWN_LICENCE = "not stated"


class DatasetSource:
    """See `Source`."""

    follows = True
    layout: Layout = "single"

    def __init__(self, repository_id: str) -> None:
        self.name = f"dataset/{repository_id}"
        self.repository = Repository(repository_id, "dataset", None, "", "avatar folders that the operator has chosen")

    def missing(self) -> str:
        return ""

    def parts(self, listing: Listing) -> dict[str, tuple[HubFile, ...]]:
        by_path = {file.path: file for file in listing.files}
        found = {}
        for path in by_path:
            folder = PurePosixPath(path).parent
            own = [by_path.get(str(folder / name)) for name in FILES]
            files = tuple(file for file in own if file is not None)
            if PurePosixPath(path).name == CONFIG and len(files) == len(FILES):
                found[str(folder)] = files
        return found

    def describe(
        self, hub: Hub, repository: Repository, part: str, known: frozenset[str], cancel: Cancel
    ) -> Iterator[Described]:
        if part in known:
            return
        folder = PurePosixPath(part)
        recipe = checked_recipe(hub.read(repository, str(folder / RECIPE), LARGEST_RECIPE, cancel), part)
        prompt = as_prompt(hub.read(repository, str(folder / PROMPT), MOST_PROMPT_BYTES, cancel))
        picture = hub.read(repository, str(folder / PREVIEW), LARGEST_PICTURE, cancel)
        licence = self._licence(hub, repository, folder, cancel)
        yield Described(part, prompt, licence, picture, {"folder": part}, recipe.seed)

    def _licence(self, hub: Hub, repository: Repository, folder: PurePosixPath, cancel: Cancel) -> str:
        """Of one avatar: the data set's, or its own in the card's table where there are several."""
        listing = hub.listing(repository, cancel)
        if len(listing.licences) > 1 and listing.get(CARD):
            card = hub.read(repository, CARD, LARGEST_CARD, cancel).decode("utf-8", "replace")
            own = {f"{FOLDER}/{name}": licence for name, licence in ROW.findall(card)}
            if str(folder) in own:
                return own[str(folder)][:LONGEST_LICENCE]
        return " or ".join(listing.licences) or UNKNOWN_LICENCE

    def fetch(
        self, hub: Hub, repository: Repository, files: dict[str, str], progress: Progress, cancel: Cancel, whole: bool
    ) -> Path:
        folder = PurePosixPath(files["folder"])
        own_name = hashlib.sha256(files["folder"].encode()).hexdigest()[:32]  # one may lie within another
        target = hub.cache_dir / BUILT / repository.folder / hub.commit(repository, cancel) / own_name
        if (target / CONFIG).is_file():
            return target
        own = self.parts(hub.listing(repository, cancel)).get(str(folder))
        if own is None:
            raise Damaged(f"{repository.id} has no avatar folder {str(folder)!r} any more; refresh the gallery")
        brought = _bring(hub, repository, own, progress, cancel)
        _build(brought, target)
        return target


def named_by_operator() -> list[str]:
    """Ids of the datasets in ``$ANIMPORTRAIT3D_GALLERIES``. Raises `UserError` for what is no id."""
    named = [one.strip() for one in os.environ.get(GALLERIES_VARIABLE, "").split(",") if one.strip()]
    if wrong := next((one for one in named if not REPOSITORY_ID.fullmatch(one)), None):
        raise UserError(f"{GALLERIES_VARIABLE} names {wrong!r}; give datasets of the Hub as owner/name, with commas")
    return list(dict.fromkeys(named))


def checked_recipe(content: bytes, name: str) -> Recipe:
    """The recipe in a recipe.json from outside. Raises `Damaged`."""
    try:
        return Recipe.from_json(content.decode("utf-8"))
    except ValueError as error:
        raise Damaged(f"the recipe of {name} cannot be read ({error})") from error


def _bring(
    hub: Hub, repository: Repository, files: tuple[HubFile, ...], progress: Progress, cancel: Cancel
) -> list[Path]:
    """The files on disk, their bytes told as one sum."""
    total = sum(file.size for file in files)
    if total > LARGEST_FOLDER:
        raise Damaged(f"the avatar has {total:,} bytes, more than the {LARGEST_FOLDER:,} that are taken from the Hub")
    brought, before = [], 0
    for file in files:
        start = before
        brought.append(hub.download(repository, file.path, lambda done, _: progress(start + done, total), cancel))  # noqa: B023
        before += file.size
    return brought


def _build(files: list[Path], target: Path) -> None:
    """Make the avatar folder, whole and checked, from its files."""
    with whole_folder(target) as partial:
        for file in files:
            link(file, partial / file.name)
        checked_recipe((partial / RECIPE).read_bytes(), target.name)
        avatar = load_avatar_folder(partial)
        if avatar.rig.model is None:
            write_avatar_glb(avatar, partial / "avatar.glb")
