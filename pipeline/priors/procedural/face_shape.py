"""Individual face shape on Anny's local changes: what makes two people of one kind two people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ASYMMETRY = 0.03
"""Standard deviation between the two sides of a face, in units of a local change."""

OLD_WOMAN = 0.9
"""By how much more a woman's face differs in old age: Anny's old women alone look like old men."""


@dataclass(frozen=True)
class Spread:
    """How one local change varies over people."""

    deviation: float
    mean: float = 0.0
    woman: float = 0.0
    """Added to the mean for a woman."""
    old: float = 0.0
    """Added to the mean from forty on, in full at eighty."""


MIDDLE = {
    "nose-scale-horiz-incr": Spread(0.2, -0.12, -0.2),
    "nose-scale-vert-incr": Spread(0.16, 0.0, -0.12),
    "nose-scale-depth-incr": Spread(0.18),
    "nose-hump-incr": Spread(0.2, 0.0, -0.1),
    "nose-point-up": Spread(0.2, 0.0, 0.1, -0.1),
    "nose-point-width-incr": Spread(0.2, -0.05, -0.18),
    "nose-width2-incr": Spread(0.15, -0.05, -0.1),
    "mouth-scale-horiz-incr": Spread(0.18, 0.05),
    "mouth-upperlip-volume-incr": Spread(0.16, 0.0, 0.24, -0.15),
    "mouth-lowerlip-volume-incr": Spread(0.18, 0.0, 0.18, -0.1),
    "mouth-angles-up": Spread(0.07, 0.26),
    "mouth-trans-up": Spread(0.12),
    "mouth-cupidsbow-incr": Spread(0.2, 0.0, 0.1),
    "chin-width-incr": Spread(0.18, 0.12, -0.4),
    "chin-height-incr": Spread(0.16, 0.0, -0.1),
    "chin-prominent-incr": Spread(0.15),
    "chin-jaw-drop-incr": Spread(0.12, 0.0, -0.12, 0.12),
    "chin-bones-incr": Spread(0.15, 0.05, -0.35),
    "head-scale-horiz-incr": Spread(0.1, 0.0, -0.12),
    "head-oval": Spread(0.1, 0.08, 0.22),
    "head-invertedtriangular": Spread(0.08, 0.05, 0.15, -0.15),
    "head-scale-vert-incr": Spread(0.1),
    "head-fat-incr": Spread(0.12),
    "forehead-scale-vert-incr": Spread(0.12),
    "forehead-nubian-incr": Spread(0.12),
    "eyebrows-trans-up": Spread(0.14, 0.12, 0.04),
    "eyebrows-angle-up": Spread(0.14, 0.0, 0.1),
    "neck-scale-horiz-incr": Spread(0.1, 0.0, -0.15),
}
PAIRED = {
    "eye-scale-incr": Spread(0.1, 0.18, 0.12, -0.06),
    "eye-height2-incr": Spread(0.08, 0.24, 0.0, -0.12),
    "eye-corner2-up": Spread(0.16, 0.0, 0.12, -0.1),
    "eye-trans-out": Spread(0.12),
    "eye-eyefold-angle-up": Spread(0.15),
    "cheek-bones-incr": Spread(0.18, 0.1, 0.12),
    "cheek-volume-incr": Spread(0.16, -0.03, 0.05, -0.12),
    "cheek-inner-incr": Spread(0.14),
    "ear-scale-incr": Spread(0.14, -0.1, -0.1, 0.1),
    "ear-wing-incr": Spread(0.14, -0.22, -0.12),
}
FAT = {"head-fat-incr": 1.3, "neck-double-incr": 0.9, "l-cheek-volume-incr": 0.6, "r-cheek-volume-incr": 0.6}
"""Change per unit of weight: Anny's weight alone hardly shows in the face."""
SIDEWAYS = ("nose-trans-out", "mouth-trans-out", "head-angle-out")
"""Changes that shift the middle of a face to one side."""


def draw_face_shape(rng: np.random.Generator, gender: float, age: float, weight: float) -> dict[str, float]:
    """Local changes by name, −1..1, of one person of a gender (0 male, 1 female), an age in years and a weight
    (0 thin, 1 heavy)."""
    old = float(np.clip((age - 40) / 40, 0, 1))
    changes = {name: _draw(rng, spread, gender, old) for name, spread in MIDDLE.items()}
    for name, spread in PAIRED.items():
        both = _draw(rng, spread, gender, old)
        for side in ("l", "r"):
            changes[f"{side}-{name}"] = _rounded(both + rng.normal(0, ASYMMETRY))
    for name, amount in FAT.items():
        changes[name] = _rounded(changes.get(name, 0.0) + amount * (weight - 0.45))
    for name in SIDEWAYS:
        changes[name] = _rounded(rng.normal(0, ASYMMETRY))
    return changes


def _draw(rng: np.random.Generator, spread: Spread, gender: float, old: float) -> float:
    mean = spread.mean + spread.woman * gender * (1 + OLD_WOMAN * old) + spread.old * old
    return _rounded(mean + rng.normal(0, spread.deviation))


def _rounded(value: float) -> float:
    """Within the range of a local change, and short in a recipe."""
    return round(float(np.clip(value, -1, 1)), 4)
