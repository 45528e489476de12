"""Colours of hair: locks and strands that differ, dark roots, light tips, grey among the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.priors.procedural import palette
from pipeline.priors.procedural.splats import Floats, Ints

if TYPE_CHECKING:
    from pipeline.priors.procedural.attributes import HairAttributes

LOCK_SPREAD, STRAND_SPREAD = 0.13, 0.16
"""Standard deviation of the logarithm of brightness between locks and between strands."""
GREY_SPREAD = 0.16
"""Additional spread between grey strands."""
WARMTH_SPREAD = 0.05
"""Standard deviation of the logarithm of red over blue between strands."""
WARMING = np.array([1.10, 0.97, 0.86], np.float32)
"""Correction of blonde hair: the shoulder of the display curve would turn it green."""
ROOT_SHADE = 0.30
"""By how much hair is darker at the root."""
TIP_LIGHT = 0.16
"""By how much it is lighter at the tip; hardly so for black hair."""
GREY_SOFTNESS = 0.22
"""How much the share of grey differs from strand to strand: a drawn strand stands for many hairs."""
BRIGHT_GREY = 0.75
"""Share of grey above which it tends towards white."""
BRIGHTEST = 0.92
"""Highest albedo of any hair."""
TINT_SHADE = 0.5
"""Albedo of the scalp between the hairs, relative to the hair."""


def base_colour(color: str, gray: float) -> Floats:
    """(3,) linear RGB of hair on average."""
    own = palette.linear_rgb(color, palette.HAIR_COLORS)
    return own + (_grey(own, gray) - own) * np.float32(gray)


def strand_colours(hair: HairAttributes, lock: Ints, segments: int, rng: np.random.Generator) -> Floats:
    """(N, segments, 3) linear RGB from root to tip of N strands, whose ``lock`` (N,) share a shade."""
    return paint(hair.color, hair.gray, lock, segments, rng)


def paint(color: str, gray: float, lock: Ints, segments: int, rng: np.random.Generator) -> Floats:
    """The same from a colour's name and its share of grey."""
    count = len(lock)
    own = palette.linear_rgb(color, palette.HAIR_COLORS)
    brightness = own.mean()
    saturation = (own[0] - own[2]) / own.max()
    own = own * WARMING ** (np.clip((brightness - 0.15) / 0.25, 0, 1) * np.clip(3 * saturation, 0, 1))
    of_lock = rng.standard_normal(int(lock.max(initial=0)) + 1).astype(np.float32)[lock]
    share = np.clip(gray + GREY_SOFTNESS * 4 * gray * (1 - gray) * rng.standard_normal(count), 0, 1)[:, None]
    spread = LOCK_SPREAD * of_lock + (STRAND_SPREAD + GREY_SPREAD * share[:, 0]) * rng.standard_normal(count)
    warmth = WARMTH_SPREAD * rng.standard_normal((count, 1)) * np.array([0.6, 0, -1])
    colour = (own + (_grey(own, gray) - own) * share) * np.exp(spread[:, None] + warmth * (1 - share))
    along = np.linspace(0, 1, segments, dtype=np.float32)
    tip = TIP_LIGHT * min(1.0, float(brightness) / 0.05)
    gradient = (1 - ROOT_SHADE * np.exp(-4.5 * along)) * (1 + tip * along)
    shades = colour[:, None] * gradient[None, :, None]
    # scaled and not clipped: clipping the red of blonde hair would turn it green
    return (shades / np.maximum(shades.max(-1, keepdims=True) / BRIGHTEST, 1)).astype(np.float32)


def _grey(own: Floats, gray: float) -> Floats:
    """What a strand of this colour turns to: grey, and towards white the more of the hair has turned."""
    grey, white = (palette.linear_rgb(name, palette.HAIR_COLORS) for name in ("grey", "white"))
    turned = grey + (white - grey) * np.float32(max(0.0, gray - BRIGHT_GREY) * 2)
    return np.maximum(turned, own) if own.min() > grey.min() else turned
