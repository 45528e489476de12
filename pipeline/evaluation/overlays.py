"""The pictures of the report: the head with what is wrong drawn over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.evaluation.outline import HALF
from pipeline.evaluation.views import Floats, Mask, MeshView, SplatView
from pipeline.rendering.portrait import Picture

HOLE = np.array([255, 0, 40], np.uint8)
GAP = np.array([255, 120, 0], np.uint8)
MESH_LINE = np.array([0, 220, 255], np.uint8)
SPLAT_LINE = np.array([255, 210, 0], np.uint8)
HOT = np.array([255, 0, 160], np.float32)
DIMMED = 0.45
"""Share of the picture that stays under a heat map."""
FULL_HEAT_PIXELS = 10.0
"""Error of a place that is drawn in the full colour."""
FULL_HEAT_LEVELS = 24.0
"""Change of a pixel that is drawn in the full colour."""


@dataclass(frozen=True, eq=False)
class Views:
    """Two pictures of one pose, (S, S, 3) uint8."""

    outlines: Picture
    """Holes red, gaps orange, the mesh's outline blue, that of the surface splats yellow."""
    places: Picture
    """The error of every place, dark to pink."""


def draw_over(mesh: MeshView, splats: SplatView, holes: Mask, gaps: Mask, errors: Floats) -> Views:
    """The pictures of one pose; ``errors`` (H, W) in pixels."""
    picture = as_bytes(splats.picture)
    outlines = picture.copy()
    outlines[_line(splats.surface_alpha)] = SPLAT_LINE
    outlines[_line(mesh.coverage)] = MESH_LINE
    outlines[gaps] = GAP
    outlines[holes] = HOLE
    return Views(outlines, heat(picture, errors / FULL_HEAT_PIXELS))


def heat(picture: Picture, shares: Floats) -> Picture:
    """``picture`` (H, W, 3) dimmed, with ``shares`` (H, W) of the full colour, 0..1 and beyond, over it."""
    share = shares.clip(0, 1)[..., None]
    mixed = picture.astype(np.float32) * DIMMED * (1 - share) + HOT * share
    return mixed.astype(np.uint8)


def as_bytes(picture: Floats) -> Picture:
    """(H, W, 3) display sRGB 0..1 → uint8."""
    return (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _line(coverage: Floats) -> Mask:
    """(H, W) the covered pixels that touch one that is not."""
    covered = coverage >= HALF
    return covered & ~ndimage.binary_erosion(covered, border_value=1)
