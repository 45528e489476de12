"""Colours by the names that people use for hair, eyes, cloth, lips and metal."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

DISPLAY_GAMMA = 2.2
"""Shading works in linear light; the display's curve is close to this power."""

Rgb = tuple[int, int, int]

HAIR_COLORS: dict[str, Rgb] = {
    "black": (20, 17, 16),
    "dark brown": (44, 31, 24),
    "brown": (78, 54, 37),
    "light brown": (122, 90, 61),
    "dark blonde": (160, 124, 82),
    "blonde": (208, 172, 120),
    "platinum": (232, 214, 182),
    "auburn": (92, 44, 28),
    "red": (146, 68, 34),
    "grey": (146, 145, 144),
    "white": (226, 225, 222),
    "blue": (44, 84, 160),
    "green": (52, 122, 78),
    "pink": (214, 112, 152),
    "purple": (98, 56, 132),
}
EYE_COLORS: dict[str, Rgb] = {
    "dark brown": (52, 33, 22),
    "brown": (88, 56, 32),
    "hazel": (122, 96, 56),
    "amber": (150, 104, 44),
    "green": (94, 124, 78),
    "blue": (92, 134, 174),
    "grey": (126, 138, 148),
}
CLOTH_COLORS: dict[str, Rgb] = {
    "black": (30, 30, 33),
    "charcoal": (52, 54, 60),
    "grey": (120, 122, 126),
    "white": (226, 226, 222),
    "cream": (222, 212, 188),
    "beige": (192, 172, 140),
    "brown": (98, 68, 46),
    "navy": (36, 46, 78),
    "blue": (54, 88, 150),
    "light blue": (140, 176, 208),
    "turquoise": (72, 164, 168),
    "teal": (40, 104, 110),
    "green": (54, 98, 68),
    "olive": (94, 96, 62),
    "yellow": (222, 186, 72),
    "mustard": (186, 142, 58),
    "orange": (206, 108, 48),
    "red": (156, 40, 40),
    "burgundy": (96, 28, 40),
    "pink": (208, 142, 154),
    "purple": (90, 60, 122),
    "lavender": (170, 156, 198),
}
LIP_COLORS: dict[str, Rgb] = {
    "red": (168, 32, 42),
    "pink": (204, 100, 120),
    "plum": (112, 40, 66),
    "coral": (212, 92, 78),
    "nude": (178, 118, 100),
}
METAL_COLORS: dict[str, Rgb] = {"gold": (226, 172, 76), "silver": (196, 199, 204)}
FRAME_COLORS: dict[str, Rgb] = {
    "black": (24, 22, 24),
    "brown": (84, 50, 28),
    "red": (136, 34, 38),
    "blue": (38, 62, 118),
    "white": (222, 222, 218),
    **METAL_COLORS,
}

HEX = re.compile(r"#[0-9a-f]{6}")


def linear_rgb(name: str, table: dict[str, Rgb]) -> NDArray[np.float32]:
    """(3,) linear RGB 0..1 of a colour of the table, or of ``#rrggbb``."""
    rgb = tuple(bytes.fromhex(name[1:])) if HEX.fullmatch(name) else table[name]
    return ((np.array(rgb, np.float64) / 255) ** DISPLAY_GAMMA).astype(np.float32)
