"""Rays through a tri-grid by the kernels of the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import HIDDEN, Painter
from pipeline.priors.portrait3d.field_kernel import evaluate_all, field_of
from pipeline.priors.portrait3d.fused import Fused
from pipeline.priors.portrait3d.occupancy import find_occupied
from pipeline.priors.portrait3d.ray_kernel import Collected, Rays, Steps, march, scratch_of
from pipeline.priors.portrait3d.rendering import RenderOptions, rays
from pipeline.priors.portrait3d.trigrid import HALF_SIDE
from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.workers import WORKERS


class KernelRays:
    """One portrait."""

    def __init__(self, fused: Fused, painter: Painter, options: RenderOptions, voxels: int, threshold: float) -> None:
        self._options = options
        self._field = field_of(fused, painter)
        self._cells = find_occupied(fused, self._field, options.crop, voxels, threshold)

    def collect(self, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden units (H · W, 32), weighted and added up, coverage and depth (H · W)."""
        options = self._options
        unit = options.scale * HALF_SIDE
        origin, directions = (t.numpy() / unit for t in rays(camera, torch.zeros(1, dtype=torch.float64)))
        step = (options.far - options.near) / (options.coarse - 1)
        steps = Steps(options.near, step, options.coarse, options.fine, options.crop / HALF_SIDE)
        count = camera.width * camera.height
        out = Collected(np.empty(count * HIDDEN, np.float32), np.empty(count, np.float32), np.empty(count, np.float32))
        scratch = [scratch_of(steps) for _ in range(WORKERS.threads)]
        view = Rays(origin, directions, camera.width, camera.height)
        share(lambda counter, k: march(counter, self._field, self._cells, view, steps, scratch[k], out))
        hidden, total, depth = (torch.from_numpy(array) for array in out)
        return hidden.view(count, HIDDEN), total, depth

    def density(self, points: Tensor) -> Tensor:
        """Raw density (M,) at points (M, 3) in the grid's units."""
        places = np.ascontiguousarray(points.double().numpy() / HALF_SIDE)
        sigma = np.empty(len(places), np.float32)
        hidden = np.empty((WORKERS.threads, HIDDEN), np.float32)
        share(lambda counter, k: evaluate_all(counter, self._field, places, hidden[k], sigma))
        return torch.from_numpy(sigma)
