"""The pyramid tri-grid: a head as three stacks of feature maps at seven resolutions (Portrait3D, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

RESOLUTIONS = (8, 16, 32, 64, 128, 256, 512)
"""Side of every level's maps."""
PLANES = 3
FEATURES = 12
SLICES = 3
"""Maps that lie behind each other in a plane."""
CHANNELS = FEATURES * SLICES
LATENTS = 14
"""Rows of the latent code that colours depend on."""
HALF_SIDE = 0.35
"""The grid spans −HALF_SIDE..HALF_SIDE on each axis, in its own units."""
AXES = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
"""Which coordinate runs along each plane's width, height and depth: (x, y, z), (x, z, y), (y, z, x)."""


@dataclass(frozen=True)
class TriGrid:
    """One portrait."""

    levels: tuple[Tensor, ...]
    """Per level (1, 3, 36, R, R): plane; feature · 3 + slice; height; width."""
    ws: Tensor
    """(1, 14, 512) latent code of the generator."""

    def sample(self, points: Tensor) -> Tensor:
        """Features at points (M, 3) in the grid's units: (M, 3, 12) per plane, the mean over the levels.

        Trilinear; the middles of a map's pixels are its knots, and beyond the outermost ones features fade to 0.
        """
        places = (points / HALF_SIDE)[:, AXES].movedim(1, 0)[:, None, None]
        total = _look_up(self.levels[0], places)
        for level in self.levels[1:]:
            total = total + _look_up(level, places)
        return total.movedim(-1, 0) / len(self.levels)

    def to(self, *arguments: Any) -> TriGrid:
        """All tensors on another device, or of another type, as `Tensor.to` takes it."""
        return TriGrid(tuple(level.to(*arguments) for level in self.levels), self.ws.to(*arguments))


def _look_up(level: Tensor, places: Tensor) -> Tensor:
    """One level at places (3, 1, 1, M, 3) in −1..1 as width, height, depth: (3, 12, M)."""
    volume = level.reshape(PLANES, FEATURES, SLICES, *level.shape[-2:])
    found = functional.grid_sample(volume, places.to(volume.dtype), padding_mode="zeros", align_corners=False)
    return found[:, :, 0, 0]


def crop_mask(points: Tensor, half_width: float) -> Tensor:
    """(M,) true where points (M, 3) in the grid's units belong to the portrait; up and down it has no end."""
    return points[:, (0, 2)].abs().amax(dim=1) <= half_width
