"""`Attributes`: everything that the procedural prior needs to know about a person, in plain numbers and words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from pipeline.errors import UserError
from pipeline.priors.procedural import palette

HAIR_STYLES = ("bald", "short", "bob", "long", "afro", "bun")
BEARDS = ("none", "stubble", "full")
GLASSES = ("none", "round", "square")
EARRINGS = ("none", "studs", "hoops")
CLOTHING = ("tshirt", "suit")

YEARS = (0.0, 1.0, 5.0, 11.0, 25.0, 45.0, 65.0, 82.0)
"""Ages in years at which `ANNY_AGES` holds: Anny's own anchors to 25; later ones by eye, so that sixty looks sixty."""
ANNY_AGES = (-1 / 3, 0.0, 0.24, 0.36, 2 / 3, 0.78, 0.9, 1.0)
GREY_YEARS = (32.0, 78.0)
"""Ages between which natural hair turns from its colour to grey."""


def _number(low: float, high: float, default: float | None = None, **names: float) -> Any:
    """A field that holds a number from ``low`` to ``high``; ``names`` are words for some of its values."""
    metadata = {"low": low, "high": high, "names": names}
    return field(metadata=metadata) if default is None else field(default=default, metadata=metadata)


def _choice(options: tuple[str, ...], default: str, any_color: bool = False) -> Any:
    """A field that holds one of ``options``, or with ``any_color`` also ``#rrggbb``."""
    return field(default=default, metadata={"options": options, "any_color": any_color})


def _color(table: dict[str, palette.Rgb], default: str) -> Any:
    return _choice(tuple(table), default, any_color=True)


class _Checked:
    """Checks every field against its metadata, so that no wrong value gets further than the constructor."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            _check(item.name, getattr(self, item.name), item.metadata)


@dataclass(frozen=True)
class Ancestry(_Checked):
    """Shares of Anny's three ancestries; only their ratio counts, and all zero means all equal."""

    african: float = _number(0, 1, 0.0)
    asian: float = _number(0, 1, 0.0)
    caucasian: float = _number(0, 1, 1.0)


@dataclass(frozen=True)
class HairAttributes(_Checked):
    """Hair of the scalp."""

    style: str = _choice(HAIR_STYLES, "short")
    color: str = _color(palette.HAIR_COLORS, "brown")
    gray: float = _number(0, 1, 0.0)
    """Share of grey strands in ``color``: 0 none, 1 all."""
    receding: float = _number(0, 1, 0.0)
    """How far the hairline has moved back: 0 not, 1 horseshoe."""


@dataclass(frozen=True)
class Attributes(_Checked):
    """One person. Everything is decided here: the same attributes give the same avatar."""

    seed: int = field(metadata={"allowed": f"a whole number from 0 to {2**32 - 1}"})
    """Draws the details that have no name: strands, freckles, pores."""
    gender: float = _number(0, 1, male=0.0, man=0.0, female=1.0, woman=1.0, androgynous=0.5)
    """0 male, 1 female."""
    age: float = _number(4, 100)
    """Years."""
    ancestry: Ancestry = field(default_factory=Ancestry)
    skin_tone: float = _number(0, 1, 0.2)
    """0 palest, 1 darkest."""
    freckles: float = _number(0, 1, 0.0)
    makeup: float = _number(0, 1, 0.0)
    """Eye make-up and blush."""
    lip_color: str = _choice(("natural", *palette.LIP_COLORS), "natural", any_color=True)
    wrinkles: float = _number(0, 1, 0.0)
    hair: HairAttributes = field(default_factory=HairAttributes)
    eyebrows: float = _number(0, 1, 0.5)
    """Thickness: 0 thin, 1 bushy."""
    eye_color: str = _color(palette.EYE_COLORS, "brown")
    beard: str = _choice(BEARDS, "none")
    beard_color: str = _color(palette.HAIR_COLORS, "brown")
    beard_gray: float = _number(0, 1, 0.0)
    glasses: str = _choice(GLASSES, "none")
    glasses_color: str = _color(palette.FRAME_COLORS, "black")
    earrings: str = _choice(EARRINGS, "none")
    earring_color: str = _color(palette.METAL_COLORS, "gold")
    clothing: str = _choice(CLOTHING, "tshirt")
    clothing_color: str = _color(palette.CLOTH_COLORS, "navy")
    """Of the t-shirt or the jacket."""
    shirt_color: str = _color(palette.CLOTH_COLORS, "white")
    """Of the shirt under the jacket."""
    tie_color: str = _color(palette.CLOTH_COLORS, "burgundy")
    weight: float = _number(0, 1, 0.5, thin=0.2, average=0.5, heavy=0.85)
    muscle: float = _number(0, 1, 0.5)
    local_changes: dict[str, float] = field(
        default_factory=dict, metadata={"allowed": "names with numbers from -1 to 1"}
    )
    """Anny's local changes by name, −1..1: what makes two people of one kind two people."""

    def phenotype(self) -> dict[str, float]:
        """The values of `AnnyHead`'s phenotype."""
        return {
            "gender": self.gender,
            "age": float(np.interp(self.age, YEARS, ANNY_AGES)),
            "muscle": self.muscle,
            "weight": self.weight,
            **asdict(self.ancestry),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, strings and numbers, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Attributes:
        """Undo `to_dict`; raises `UserError` for a name or value that there is not."""
        return _from_dict(cls, values, "")

    def with_overrides(self, overrides: Mapping[str, str]) -> Attributes:
        """A copy with some values replaced, e.g. ``{"hair.style": "bob", "age": "40", "gender": "female"}``.

        Keys are paths into these attributes, values are text as from a command line; ``local_changes.NAME`` sets a
        local change. Raises `UserError` naming the key or value and what is allowed.
        """
        changed = self
        for key, text in overrides.items():
            changed = _with_path(changed, key, key.split("."), str(text))
        return changed


def natural_gray(age: float) -> float:
    """Share of grey hair that is usual at an age in years."""
    low, high = GREY_YEARS
    t = min(max((age - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


_T = TypeVar("_T")


def _with_path(owner: _T, key: str, path: list[str], text: str) -> _T:
    name, *rest = path
    known = {item.name: item for item in fields(owner)}  # type: ignore[arg-type]
    value = getattr(owner, name, None)
    has_parts = is_dataclass(value) or isinstance(value, dict)
    if name not in known or bool(rest) != has_parts:
        below = key.removesuffix(".".join(path))
        there = ", ".join(below + path for path in _paths(owner))
        raise UserError(f"there is no attribute {key!r}; there are {there}")
    if isinstance(value, dict):
        new: Any = {**value, ".".join(rest): _parse_number(key, text, {"low": -1.0, "high": 1.0})}
    elif rest:
        new = _with_path(value, key, rest, text)
    else:
        new = _parse(key, text, known[name].metadata)
    return replace(owner, **{name: new})  # type: ignore[type-var]


def _paths(owner: Any) -> list[str]:
    paths = []
    for item in fields(owner):
        value = getattr(owner, item.name)
        if is_dataclass(value):
            paths += [f"{item.name}.{path}" for path in _paths(value)]
        else:
            paths.append(f"{item.name}.NAME" if isinstance(value, dict) else item.name)
    return paths


def _parse(key: str, text: str, metadata: Mapping[str, Any]) -> Any:
    word = " ".join(text.lower().replace("_", " ").split())
    if "options" not in metadata:
        return _parse_number(key, word, metadata)
    word = word.replace("gray", "grey")
    _check(key, word, metadata)
    return word


def _parse_number(key: str, text: str, metadata: Mapping[str, Any]) -> float | int:
    names = metadata.get("names", {})
    if text in names:
        return float(names[text])
    try:
        value = float(text) if "low" in metadata else int(text)
    except ValueError:
        raise UserError(f"{key} is {text!r}; it must be {_allowed(metadata)}") from None
    _check(key, value, metadata)
    return value


def _check(key: str, value: Any, metadata: Mapping[str, Any]) -> None:
    if "options" in metadata:
        is_color = metadata["any_color"] and isinstance(value, str) and palette.HEX.fullmatch(value)
        good = value in metadata["options"] or bool(is_color)
    elif "low" in metadata:
        good = _is_number(value) and metadata["low"] <= value <= metadata["high"]
    elif key == "seed":
        good = isinstance(value, int) and 0 <= value < 2**32
    elif key == "local_changes":
        good = isinstance(value, dict) and all(_is_number(v) and -1 <= v <= 1 for v in value.values())
    else:
        good = is_dataclass(value)
    if not good:
        raise UserError(f"{key} is {value!r}; it must be {_allowed(metadata)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _allowed(metadata: Mapping[str, Any]) -> str:
    if "options" in metadata:
        return "one of " + ", ".join(metadata["options"]) + (" or #rrggbb" if metadata["any_color"] else "")
    if "low" in metadata:
        words = "".join(f", {name}" for name in metadata.get("names", {}))
        return f"a number from {metadata['low']:g} to {metadata['high']:g}{words}"
    return metadata.get("allowed", "a group of attributes")


def _from_dict(cls: type[_T], values: Any, prefix: str) -> _T:
    if not isinstance(values, Mapping):
        raise UserError(f"{prefix.rstrip('.') or 'attributes'} is {values!r}; it must be a dictionary")
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UserError(f"there is no attribute {prefix}{name!r}; there are {', '.join(known)}")
    parts = {"ancestry": Ancestry, "hair": HairAttributes}
    built = {name: _from_dict(parts[name], v, f"{name}.") if name in parts else v for name, v in values.items()}
    try:
        return cls(**built)
    except TypeError as error:
        raise UserError(f"attributes are incomplete: {error}") from None
