"""Where the backdrop shines through the head: pixels well inside the mesh that the splats leave half open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.evaluation.views import Floats, Mask

OPAQUE = 0.99
"""Opacity from which a pixel counts as closed."""
EDGE_SHARE = 1 / 128
"""Share of the picture's side inside the outline that is left out: there splats fade out as they must."""


@dataclass(frozen=True, eq=False)
class Holes:
    """The holes of one view."""

    mask: Mask
    """(H, W)."""
    pixels: int
    share: float
    """Of the pixels that were looked at, 0..1."""
    largest: int
    """Pixels of the largest connected hole (corners connect)."""


def find_holes(alpha: Floats, inside: Mask) -> Holes:
    """Holes of ``alpha`` (H, W) where the mesh is seen, ``inside`` (H, W).

    The outline is drawn in by `EDGE_SHARE` of the longer side first (Euclidean), the border of the picture excepted.
    """
    margin = EDGE_SHARE * max(alpha.shape)
    looked_at = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1] > margin
    mask = looked_at & (alpha < OPAQUE)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    largest = int(np.bincount(labels.ravel())[1:].max()) if count else 0
    pixels = int(mask.sum())
    return Holes(mask, pixels, pixels / max(int(looked_at.sum()), 1), largest)
