"""`Recipe`: what an avatar was made from, enough to make it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any

from pipeline.errors import UserError
from pipeline.heads.releases import RELEASES
from pipeline.heads.rig import ModelIdentity
from pipeline.priors.procedural import Attributes, Understanding

RECIPE_VERSION = 1
LENT = "teeth, tongue, lashes and what {} lacks of neck and shoulders are lent by the free head"
LONGEST_TEXT = 4000
"""Characters of a prompt that came from elsewhere."""
TYPES: dict[str, tuple[type, ...]] = {
    "prompt": (str,), "seed": (int,), "overrides": (dict, str), "attributes": (dict,), "unused_words": (list, str),
    "notes": (list, str), "prior": (str,), "head": (str,), "version": (int,), "packages": (dict, str),
}  # fmt: skip
"""Field → its type and that of its parts."""
VERSIONED_PACKAGES = ("torch", "numpy", "numba", "scipy", "trimesh")
"""Packages whose release can change the bytes of an avatar."""


@dataclass(frozen=True)
class Recipe:
    """Written as recipe.json into the avatar folder."""

    prompt: str
    seed: int
    overrides: dict[str, str]
    """Attributes that the person set by hand."""
    attributes: dict[str, Any]
    """Every attribute in the end: understood, drawn from the seed, or set."""
    unused_words: list[str]
    """Words of the prompt that were not understood."""
    notes: list[str]
    """Choices that the person should know of, e.g. a style that was replaced by its nearest neighbour."""
    prior: str = "procedural"
    head: str = "anny"
    """The free head, or the release of a licensed model."""
    version: int = RECIPE_VERSION
    packages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        prompt: str,
        seed: int,
        overrides: dict[str, str],
        attributes: Attributes,
        understanding: Understanding,
        model: ModelIdentity | None = None,
    ) -> Recipe:
        """The recipe of one run of the pipeline; ``model`` is that of the head when it is a licensed one."""
        lent = () if model is None else (LENT.format(RELEASES[model.release].title),)
        return cls(
            prompt=prompt,
            seed=seed,
            overrides=dict(overrides),
            attributes=attributes.to_dict(),
            unused_words=list(understanding.unused_words),
            notes=[*understanding.notes, *lent],
            head="anny" if model is None else model.release,
            packages={name: version(name) for name in VERSIONED_PACKAGES},
        )

    def to_json(self) -> str:
        """Indented JSON with sorted keys: the same recipe is the same bytes."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe in a text of whatever origin. Attributes that this version does not know are left out.

        Raises `ValueError` for anything that is no recipe.
        """
        try:
            recipe = cls(**json.loads(text))
        except (TypeError, RecursionError) as error:
            raise ValueError(f"it is no recipe ({error})") from error
        for name, kinds in TYPES.items():
            _check(name, getattr(recipe, name), *kinds)
        if len(recipe.prompt) > LONGEST_TEXT or not 0 <= recipe.seed < 2**32:
            raise ValueError("its prompt is too long, or its seed no number that this project draws from")
        try:
            return replace(recipe, attributes=recipe.attributes and Attributes.from_dict(recipe.attributes).to_dict())
        except UserError:
            return replace(recipe, attributes={})


def _check(name: str, value: Any, kind: type, part: type | None = None) -> None:
    """Raise `ValueError` unless the value is of its kind, and all its parts of theirs."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if type(value) is not kind or (part is not None and not all(type(one) is part for one in parts)):
        raise ValueError(f"{name} of the recipe is of another type")
