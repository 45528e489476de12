"""The seven levels of a tri-grid in two: a sample reads 6 stacks of maps instead of 21, and finds the same.

A level is linear between its knots, which lie at odd multiples of half its pixel. In units of the finest level's pixel
the knots of all others are therefore integers: their sum is exactly linear between integers. The finest level's own
knots lie half way between these, so that it keeps a grid of its own. Both have zeros round them, as far as a level
fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.priors.portrait3d.trigrid import CHANNELS, FEATURES, PLANES, SLICES, TriGrid

TEXEL = CHANNELS
"""Numbers per knot: slice · 12 + feature."""


@dataclass(frozen=True)
class Fused:
    """Both grids, divided by the number of levels and of planes: what is read from them is added up, no more."""

    coarse: Tensor
    """(3, S, S, 36) all levels but the finest: plane; row; column; slice · 12 + feature."""
    fine: Tensor
    """(3, R + 2, R + 2, 36) the finest level."""
    margin: int
    """Knots of the coarse grid outside −1..1, on each side."""
    side: int
    """R, pixels of the finest level."""


def fuse(trigrid: TriGrid) -> Fused:
    """Both grids of a tri-grid whose resolutions are 2^k times each other, as the published ones are.

    Raises `UserError` for other resolutions.
    """
    levels = sorted(trigrid.levels, key=lambda level: level.shape[-1])
    finest, others = levels[-1], levels[:-1]
    side = finest.shape[-1]
    for level in others:
        if side % (2 * level.shape[-1]):
            raise UserError(f"a tri-grid level of {level.shape[-1]} does not go with one of {side}; halves are needed")
    margin = side // (2 * others[0].shape[-1]) if others else 1
    coarse = finest.new_zeros(PLANES * CHANNELS, side + 1 + 2 * margin, side + 1 + 2 * margin)
    for level in others:
        small = level.shape[-1]
        knots = side // small * (small + 1) + 1
        maps = functional.pad(level.reshape(1, -1, small, small), (1, 1, 1, 1))
        start = margin - side // (2 * small)
        within = slice(start, start + knots)
        coarse[:, within, within] += functional.interpolate(maps, knots, mode="bilinear", align_corners=True)[0]
    fine = functional.pad(finest.reshape(-1, side, side), (1, 1, 1, 1))
    share = 1 / (len(levels) * PLANES)
    return Fused(_interleaved(coarse * share), _interleaved(fine * share), margin, side)


def _interleaved(maps: Tensor) -> Tensor:
    """(108, S, S) → (3, S, S, 36), a knot's numbers together."""
    side = maps.shape[-1]
    stacks = maps.view(PLANES, FEATURES, SLICES, side, side)
    return (
        torch.empty(PLANES, side, side, SLICES, FEATURES, dtype=maps.dtype, device=maps.device)
        .copy_(stacks.permute(0, 3, 4, 2, 1))
        .flatten(3)
    )
