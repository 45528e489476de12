"""The gallery that is always there: our own recipes, of which the avatar is made when somebody asks for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pipeline.errors import UserError
from pipeline.gallery.entry import Entry

FOLDER = Path(__file__).parents[2] / "examples" / "gallery"
"""recipes.json and a preview for each of its names; examples/make_gallery.py draws them."""
SOURCE = "builtin"
LICENCE = "CC0-1.0"
"""As the head and everything else that the procedural prior makes."""


@dataclass(frozen=True)
class BuiltinRecipe:
    """What makes one head of the gallery."""

    prompt: str
    seed: int
    attributes: dict[str, str] = field(default_factory=dict)
    """Overrides of what the prompt says, as ``AnimPortrait3DPipeline`` takes them."""


def entries() -> list[Entry]:
    """Every recipe as a card, in the order of recipes.json."""
    return [
        Entry(f"{SOURCE}/{name}", recipe.prompt, LICENCE, preview_path(name), recipe.seed)
        for name, recipe in _recipes().items()
    ]


def recipe(entry_id: str) -> BuiltinRecipe:
    """The recipe of a card. Raises `UserError` for an id that is none of `entries`."""
    source, _, name = entry_id.partition("/")
    if source != SOURCE or name not in _recipes():
        raise UserError(f"the built-in gallery has no head {entry_id!r}; open the gallery and choose one there")
    return _recipes()[name]


def preview_path(name: str) -> Path:
    """The picture of the recipe of that name."""
    return FOLDER / "previews" / f"{name}.webp"


@cache
def _recipes() -> dict[str, BuiltinRecipe]:
    listed = json.loads((FOLDER / "recipes.json").read_text(encoding="utf-8"))
    return {one["name"]: BuiltinRecipe(one["prompt"], one["seed"], one.get("attributes", {})) for one in listed}
