"""`Recipe`: what an avatar was made from, enough to make it again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any

from pipeline.errors import UserError
from pipeline.heads.releases import RELEASES
from pipeline.heads.rig import ModelIdentity
from pipeline.priors.procedural import Attributes, Understanding

RECIPE_VERSION, REFINED_VERSION, RIGGED_VERSION = 1, 2, 3
"""Of an avatar as the prior made it, which older programs read too, of a refined one, and of a rigged portrait."""
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
REFINING_PACKAGES = ("diffusers", "transformers", "accelerate")


@dataclass(frozen=True)
class Refinement:
    """What refined an avatar."""

    recipe: str
    """Name."""
    num_steps_scale: float
    """Length of its phases, 1 as published."""
    resolution: int
    """Pixels of what the diffusion model was shown."""
    models: dict[str, str]
    """Component → repository and commit, or the name of the folder, that it came from."""
    negative_prompt: str | None = None
    """Instead of those of the recipe."""
    abstract_prompt: str | None = None
    """Gender and age as the small crops were told, where a person gave it."""


REFINEMENT_TYPES: dict[str, tuple[type, ...]] = {
    "recipe": (str,), "num_steps_scale": (float,), "resolution": (int,), "models": (dict, str),
    "negative_prompt": (str,), "abstract_prompt": (str,),
}  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """What a static portrait was, and how it was rigged."""

    files: dict[str, str]
    """Name of each file that it came from → SHA-256 of its bytes."""
    initialization: str
    """Name of the configuration of the rigged initialisation."""
    steps: int
    """Of that initialisation's optimisation."""
    models: dict[str, str]
    """``landmarks``, ``parser`` and ``normals`` → repository or name of the folder that told them, where one did."""
    num_steps_scale: float = 1.0
    """Length of the phases from text to tri-grid, 1 as published; without meaning where a file was given."""


ORIGIN_TYPES: dict[str, tuple[type, ...]] = {
    "files": (dict, str), "initialization": (str,), "steps": (int,), "models": (dict, str),
    "num_steps_scale": (float,),
}  # fmt: skip


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
    refinement: Refinement | None = None
    """None: as the prior made it."""
    origin: Origin | None = None
    """None: dressed by the procedural prior."""

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

    @classmethod
    def rigged(
        cls,
        prompt: str,
        seed: int,
        prior: str,
        origin: Origin,
        notes: Sequence[str],
        model: ModelIdentity | None = None,
    ) -> Recipe:
        """The recipe of a static portrait on a rig; ``model`` is that of the head when it is a licensed one."""
        lent = () if model is None else (LENT.format(RELEASES[model.release].title),)
        return cls(
            prompt=prompt,
            seed=seed,
            overrides={},
            attributes={},
            unused_words=[],
            notes=[*notes, *lent],
            prior=prior,
            head="anny" if model is None else model.release,
            version=RIGGED_VERSION,
            packages={name: version(name) for name in VERSIONED_PACKAGES},
            origin=origin,
        )

    def refined(self, refinement: Refinement, notes: Sequence[str] = ()) -> Recipe:
        """The recipe of the same head after a refinement, of which ``notes`` tell what the person should know."""
        packages = {**self.packages, **{name: version(name) for name in REFINING_PACKAGES}}
        return replace(
            self,
            refinement=refinement,
            notes=[*self.notes, *notes],
            packages=packages,
            version=max(self.version, REFINED_VERSION),
        )

    def to_json(self) -> str:
        """Indented JSON with sorted keys: the same recipe is the same bytes."""
        values = asdict(self)
        for name in ("refinement", "origin"):
            if values[name] is None:
                del values[name]
        return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe in a text of whatever origin. Attributes that this version does not know are left out.

        Raises `ValueError` for anything that is no recipe.
        """
        try:
            values = json.loads(text)
            recipe = cls(**values)
            if "refinement" in values:
                recipe = replace(recipe, refinement=_refinement(values["refinement"]))
            if "origin" in values:
                recipe = replace(recipe, origin=_origin(values["origin"]))
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


def _refinement(values: dict[str, Any]) -> Refinement:
    """As it was written. Raises `TypeError` or `ValueError` for anything else."""
    refinement = Refinement(**values)
    for name, kinds in REFINEMENT_TYPES.items():
        value = getattr(refinement, name)
        if value is not None or name not in ("negative_prompt", "abstract_prompt"):
            _check(name, value, *kinds)
    if any(len(text) > LONGEST_TEXT for text in (refinement.negative_prompt or "", refinement.abstract_prompt or "")):
        raise ValueError("a prompt of its refinement is too long")
    return refinement


def _origin(values: dict[str, Any]) -> Origin:
    """As it was written. Raises `TypeError` or `ValueError` for anything else."""
    origin = Origin(**values)
    for name, kinds in ORIGIN_TYPES.items():
        _check(name, getattr(origin, name), *kinds)
    return origin


def _check(name: str, value: Any, kind: type, part: type | None = None) -> None:
    """Raise `ValueError` unless the value is of its kind, and all its parts of theirs."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if type(value) is not kind or (part is not None and not all(type(one) is part for one in parts)):
        raise ValueError(f"{name} of the recipe is of another type")
