"""The same pictures in a fraction of the time, without gradients: what many views of one portrait are made with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.compact_rays import CompactRays
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.fused import fuse
from pipeline.priors.portrait3d.kernel_rays import KernelRays
from pipeline.priors.portrait3d.occupancy import BLOCK
from pipeline.priors.portrait3d.rendering import Rendering, RenderOptions, rendering_of
from pipeline.priors.portrait3d.trigrid import TriGrid

FEWEST_VOXELS = 64
FOG = 5e-4
"""What empty space may hide of all that lies behind it: less than an eighth of a grey level."""


class FastRenderer:
    """Draws one portrait from many cameras, to a grey level equal to `render` without draws.

    It looks only where a lattice of voxels says that there may be something, and until nothing shines through. On the
    CPU by our kernels, on a graphics card by torch. The painter stays on its device, which is the tri-grid's.
    """

    @torch.no_grad()
    def __init__(
        self, trigrid: TriGrid, painter: Painter, options: RenderOptions, *, voxels: int | None = None
    ) -> None:
        """``voxels`` of the lattice across the portrait, a multiple of 8; by default each has 1.6 pixels of the finest
        level. What is thinner, and more than a voxel away from anything else, may be missed.

        Raises `UserError` as `fuse` does.
        """
        self._painter, self._ws = painter, trigrid.ws
        rays = KernelRays if trigrid.ws.device.type == "cpu" else CompactRays
        fused = fuse(trigrid)
        across = voxels or max(FEWEST_VOXELS, -(-fused.side // (2 * BLOCK)) * BLOCK)
        self._rays = rays(fused, painter, options, across, _threshold(options))

    @torch.no_grad()
    def render(self, camera: Camera) -> Rendering:
        """A picture, as `render` makes it with samples in the middles of their intervals and no background."""
        hidden, alpha, depth = self._rays.collect(camera)
        features = self._painter.colors(hidden, alpha)
        return rendering_of(features, alpha, depth, self._painter.paint(features, self._ws), camera)

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Raw density (M,) at points (M, 3) in the grid's units, as `rendering.density`."""
        return self._rays.density(points)


def _threshold(options: RenderOptions) -> float:
    """Raw density that, all the way through the portrait, hides no more than `FOG`."""
    way = 2 * options.crop * options.scale
    return 1 + math.log(math.expm1(FOG / way))
