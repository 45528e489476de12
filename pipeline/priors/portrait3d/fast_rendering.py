"""The same pictures in a fraction of the time, without gradients: what many views of one portrait are made with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import HIDDEN, Painter
from pipeline.priors.portrait3d.field_kernel import LANES, evaluate_all, field_of
from pipeline.priors.portrait3d.fused import fuse
from pipeline.priors.portrait3d.occupancy import find_occupied
from pipeline.priors.portrait3d.ray_kernel import Collected, Rays, Steps, march, scratch_of
from pipeline.priors.portrait3d.rendering import Rendering, RenderOptions, rays, rendering_of
from pipeline.priors.portrait3d.trigrid import HALF_SIDE, TriGrid
from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.workers import WORKERS

VOXELS = 256
"""Voxels of the lattice across the portrait."""
FOG = 5e-4
"""What empty space may hide of all that lies behind it: less than an eighth of a grey level."""


class FastRenderer:
    """Draws one portrait from many cameras, to a grey level equal to `render` without draws."""

    @torch.no_grad()
    def __init__(self, trigrid: TriGrid, painter: Painter, options: RenderOptions, *, voxels: int = VOXELS) -> None:
        self.options = options
        self._painter, self._ws = painter.cpu(), trigrid.ws.cpu()
        self._field = field_of(fuse(trigrid), painter)
        self._cells = find_occupied(self._field, options.crop, voxels, self._threshold())

    def _threshold(self) -> float:
        """Raw density that, all the way through the portrait, hides no more than `FOG`."""
        way = 2 * self.options.crop * self.options.scale
        return 1 + float(np.log(np.expm1(FOG / way)))

    @torch.no_grad()
    def render(self, camera: Camera) -> Rendering:
        """A picture, as `render` makes it with samples in the middles of their intervals and no background."""
        options = self.options
        unit = options.scale * HALF_SIDE
        origin, directions = (t.numpy() / unit for t in rays(camera, torch.zeros(1, dtype=torch.float64)))
        steps = Steps(
            options.near, (options.far - options.near) / (options.coarse - 1), options.coarse, options.fine,
            options.crop / HALF_SIDE,
        )  # fmt: skip
        count = camera.width * camera.height
        out = Collected(np.empty((count, HIDDEN), np.float32), np.empty(count, np.float32), np.empty(count, np.float32))
        scratch = [scratch_of(steps) for _ in range(WORKERS.threads)]
        view = Rays(origin, directions, camera.width, camera.height)
        share(lambda counter, k: march(counter, self._field, self._cells, view, steps, scratch[k], out))
        hidden, alpha, depth = (torch.from_numpy(array) for array in out)
        features = self._painter.colors(hidden, alpha)
        return rendering_of(features, alpha, depth, self._painter.paint(features, self._ws), camera)

    def density(self, points: Tensor) -> Tensor:
        """Raw density (M,) at points (M, 3) in the grid's units, as `rendering.density`."""
        places = np.ascontiguousarray(points.cpu().double().numpy() / HALF_SIDE)
        sigma = np.empty(len(places), np.float32)
        features, hidden = (np.empty((WORKERS.threads, n), np.float32) for n in (LANES, HIDDEN))
        share(lambda counter, k: evaluate_all(counter, self._field, places, features[k], hidden[k], sigma))
        return torch.from_numpy(sigma)
