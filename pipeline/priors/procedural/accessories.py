"""Glasses and earrings."""

from __future__ import annotations

import numpy as np

from pipeline.avatar import Layer
from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.glasses import make_glasses
from pipeline.priors.procedural.metal import polished
from pipeline.priors.procedural.sheets import sheet_splats, tube, tube_splats
from pipeline.priors.procedural.splats import Floats, Shading, Splats, unit
from pipeline.priors.procedural.surface import Surface

HOOP_RADIUS = 0.0105
WIRE = 1.05e-3
STUD_RADIUS = 2.5e-3
LOBE = (0.0738, 0.6880, 0.0565)
"""Middle of the left ear's lobe on the template, metres."""


def make_accessories(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """What this person wears on the head."""
    parts = [make_glasses(surface, attributes)] if attributes.glasses != "none" else []
    if attributes.earrings != "none":
        color = palette.linear_rgb(attributes.earring_color, palette.METAL_COLORS)
        make = _hoop if attributes.earrings == "hoops" else _stud
        parts += [make(surface, color, side) for side in (1, -1)]
    return Splats.concatenate(parts)


def _hoop(surface: Surface, color: Floats, side: int) -> Splats:
    """A ring through the lobe, hanging straight down, its plane a little open to the front."""
    lobe = surface.attach([[side * LOBE[0], LOBE[1], LOBE[2]]], surface.regions["ears"])
    size = np.float32(surface.size)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False, dtype=np.float32)
    plane = unit(np.array([side * 0.35, 0.0, 0.94], np.float32))
    swing = np.stack([np.sin(turn) * plane[0], np.cos(turn) - 1, np.sin(turn) * plane[2]], axis=1)
    path = lobe.position + np.array([side * 4e-4, 1e-3, 0], np.float32) * size + swing * np.float32(HOOP_RADIUS) * size
    points, outward = tube(path, WIRE * size, 8, closed=True, up=(float(plane[2]), 0.0, -side * float(plane[0])))
    return tube_splats(
        Layer.ACCESSORY,
        Shading.UNLIT,
        points,
        outward,
        closed=True,
        face=int(lobe.face[0]),
        albedo=polished(outward, color),
    )


def _stud(surface: Surface, color: Floats, side: int) -> Splats:
    """A small ball on the outer side of the lobe."""
    lobe = surface.attach([[side * (LOBE[0] + 0.003), LOBE[1], LOBE[2]]], surface.regions["ears"])
    radius = np.float32(STUD_RADIUS * surface.size)
    centre = lobe.position + unit(lobe.normal + np.array([side, 0, 0.3], np.float32)) * radius * np.float32(0.6)
    latitude = np.linspace(-0.46, 0.46, 9, dtype=np.float32)[:, None] * np.float32(np.pi)
    longitude = np.linspace(0, 2 * np.pi, 16, endpoint=False, dtype=np.float32)[None]
    outward = np.stack(
        [np.cos(latitude) * np.sin(longitude), np.sin(latitude) + 0 * longitude, np.cos(latitude) * np.cos(longitude)],
        axis=-1,
    )
    return sheet_splats(
        Layer.ACCESSORY,
        Shading.UNLIT,
        centre[0] + outward * radius,
        outward=outward,
        face=int(lobe.face[0]),
        albedo=polished(outward, color),
        closed=True,
    )
