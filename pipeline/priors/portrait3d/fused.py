"""The seven levels of a tri-grid in two: a sample reads 6 stacks of maps instead of 21, and finds the same.

A level is linear between its knots, which lie at odd multiples of half its pixel. In units of the finest level's pixel
the knots of all others are therefore integers: their sum is exactly linear between integers. The finest level's own
knots lie half way between these, so that it keeps a grid of its own. Both have zeros round them, as far as a
level fades.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.priors.portrait3d.trigrid import AXES, CHANNELS, FEATURES, HALF_SIDE, PLANES, SLICES, TriGrid


@dataclass(frozen=True)
class Fused:
    """Both grids, divided by the number of levels and of planes: what is read from them is added up, no more."""

    coarse: Tensor
    """(3, 12, 3, S, S) all levels but the finest: plane; feature; slice; row; column. Zeros at the rim."""
    fine: Tensor
    """(3, 12, 3, R + 2, R + 2) the finest level, with a rim of zeros."""
    margin: int
    """Knots of the coarse grid outside −1..1, on each side."""
    side: int
    """R, pixels of the finest level."""

    def sample(self, points: Tensor) -> Tensor:
        """(M, 12) at points (M, 3) in the grid's units: the mean of `TriGrid.sample` over the planes."""
        places = (points / HALF_SIDE)[:, AXES].movedim(1, 0)[:, None, None]
        found = []
        for grid in (self.coarse, self.fine):
            across = self.side / (grid.shape[-1] - 1)
            scaled = places * places.new_tensor([across, across, SLICES / (SLICES - 1)])
            found.append(functional.grid_sample(grid, scaled, padding_mode="zeros", align_corners=True).sum(0))
        return (found[0] + found[1])[:, 0, 0].T


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
    volumes = (PLANES, FEATURES, SLICES)
    return Fused((coarse * share).unflatten(0, volumes), (fine * share).unflatten(0, volumes), margin, side)
