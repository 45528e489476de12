"""Where the head is not closed: pixels well inside the mesh where the backdrop shines through, or where one looks past
the surface into the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.evaluation.views import Floats, Mask, MeshView, SplatView

OPAQUE = 0.99
"""Opacity from which a pixel counts as closed."""
DEPTH_SHARE = 1 / 36
"""Share of the picture's width, a centimetre on a face, from which what is seen lies behind the surface."""
EDGE_SHARE = 1 / 128
"""Share of the picture's side inside the outline that is left out: there splats fade out as they must."""


@dataclass(frozen=True, eq=False)
class Openings:
    """What is open in one view."""

    mask: Mask
    """(H, W)."""
    pixels: int
    share: float
    """Of the pixels that were looked at, 0..1."""
    largest: int
    """Pixels of the largest connected opening (corners connect)."""


def find_holes(alpha: Floats, inside: Mask) -> Openings:
    """Where the backdrop shines through ``alpha`` (H, W) although the mesh is seen, ``inside`` (H, W)."""
    return _openings(alpha < OPAQUE, inside)


def find_gaps(mesh: MeshView, splats: SplatView, width: float) -> Openings:
    """Where no backdrop is seen, but what is seen lies far behind the mesh on average: between teeth and lips, through
    a cheek, at the inside of the skull. ``width`` is that of the picture at the head, metres."""
    behind = splats.depth - mesh.depth > DEPTH_SHARE * width
    return _openings(behind & (splats.alpha >= OPAQUE), mesh.inside)


def _openings(opened: Mask, inside: Mask) -> Openings:
    """The outline is drawn in by `EDGE_SHARE` of the longer side first (Euclidean), the border of the picture
    excepted."""
    margin = EDGE_SHARE * max(opened.shape)
    looked_at = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1] > margin
    mask = looked_at & opened
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    largest = int(np.bincount(labels.ravel())[1:].max()) if count else 0
    pixels = int(mask.sum())
    return Openings(mask, pixels, pixels / max(int(looked_at.sum()), 1), largest)
