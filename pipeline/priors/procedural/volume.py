"""How much light gets through hair: a voxel grid of its density, marched towards the light and towards the sky."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

from pipeline.priors.procedural.hair.field import BodyField
from pipeline.priors.procedural.splats import Floats, Splats, unit

VOXEL = 0.006
"""Metres: about the width of a lock, so that locks shade each other and single hairs do not."""
BLUR = 0.7
"""Voxels."""
SHAPE_BLUR = 1.6
"""Voxels of further blur of the density whose slope is the shape that the light sees."""
MARGIN = 0.03
WIDTH_IN_DEVIATIONS = 2.5
"""Width of a solid ribbon that hides as much as a Gaussian of standard deviation 1."""
EXTINCTION = 0.16
"""Share of the geometric extinction that is taken: hair scatters light onwards more than it absorbs."""
SOLID = 400.0
"""Extinction per metre of the body, so that the head shades the hair behind it."""
SKY_STEPS, KEY_STEPS = 4, 12
SKY_STEP, KEY_STEP = 0.007, 0.009
START = 0.004
"""Metres from a point before the march starts, so that a hair does not shade itself."""


class HairVolume:
    """Density of some hair splats. ``body``: the skin as an obstacle to light."""

    def __init__(self, hair: Splats, body: BodyField | None = None) -> None:
        self.low = (hair.position.min(0) - MARGIN).astype(np.float32)
        shape = np.ceil((hair.position.max(0) + MARGIN - self.low) / VOXEL).astype(np.int64) + 1
        cell = ((hair.position - self.low) / VOXEL + 0.5).astype(np.int64)
        # the area that each splat hides, seen from its side
        area = np.prod(np.sort(hair.scale, axis=1)[:, 1:], axis=1) * WIDTH_IN_DEVIATIONS**2 * hair.opacity
        density = np.bincount(np.ravel_multi_index(tuple(cell.T), tuple(shape)), area, int(shape.prod()))
        density = (density / VOXEL**3).reshape(shape).astype(np.float32)
        self.hair = gaussian_filter(density, BLUR) * np.float32(EXTINCTION)
        self.shape = gaussian_filter(self.hair, SHAPE_BLUR)
        self.total = self.hair if body is None else self.hair + self._solid(body)

    def shade(self, points: Floats, normals: Floats, key: Floats) -> tuple[Floats, Floats]:
        """Shares of sky and key light (N,) that the hair leaves to points (N, 3) outside it; ``key`` (3,) unit."""
        sky = self._transmittance(self.hair, points, normals, SKY_STEPS, SKY_STEP)
        return sky, self._transmittance(self.hair, points, key, KEY_STEPS, KEY_STEP)

    def shade_hair(self, points: Floats, normals: Floats, key: Floats) -> tuple[Floats, Floats]:
        """The same for points of the hair itself, which the body shades too."""
        sky = self._transmittance(self.total, points, normals, SKY_STEPS, SKY_STEP)
        return sky, self._transmittance(self.total, points, key, KEY_STEPS, KEY_STEP)

    def normals(self, points: Floats) -> Floats:
        """Direction (N, 3) in which the hair gets thinner, zero length where it is even."""
        value, slope = np.empty(len(points), np.float32), np.empty((len(points), 3), np.float32)
        _slope(self.shape, self.low, np.ascontiguousarray(points, np.float32), value, slope)
        return unit(-slope)

    def _solid(self, body: BodyField) -> Floats:
        axes = [self.low[k] + VOXEL * np.arange(n, dtype=np.float32) for k, n in enumerate(self.hair.shape)]
        centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        inside = -body.distance(centres)[0].reshape(self.hair.shape)
        return (np.clip(inside / VOXEL, 0, 1) * SOLID).astype(np.float32)

    def _transmittance(self, density: Floats, points: Floats, direction: Floats, steps: int, step: float) -> Floats:
        toward = np.ascontiguousarray(np.broadcast_to(direction, points.shape), np.float32)
        depth = np.empty(len(points), np.float32)
        _march(density, self.low, np.ascontiguousarray(points, np.float32), toward, steps, step, depth)
        return np.exp(-depth)


@njit(cache=True, nogil=True, inline="always")
def _value(grid, x, y, z):
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    if not (0 <= i < grid.shape[0] - 1 and 0 <= j < grid.shape[1] - 1 and 0 <= k < grid.shape[2] - 1):
        return np.float32(0.0)
    u, v, w = np.float32(x - i), np.float32(y - j), np.float32(z - k)
    one = np.float32(1)
    near = (grid[i, j, k] * (one - w) + grid[i, j, k + 1] * w) * (one - v)
    near += (grid[i, j + 1, k] * (one - w) + grid[i, j + 1, k + 1] * w) * v
    far = (grid[i + 1, j, k] * (one - w) + grid[i + 1, j, k + 1] * w) * (one - v)
    far += (grid[i + 1, j + 1, k] * (one - w) + grid[i + 1, j + 1, k + 1] * w) * v
    return near * (one - u) + far * u


@njit(cache=True, nogil=True)
def _march(grid, low, points, direction, steps, step, depth):
    for p in range(points.shape[0]):
        total = np.float32(0)
        for s in range(steps):
            t = START + step * s
            total += _value(
                grid,
                (points[p, 0] + direction[p, 0] * t - low[0]) / VOXEL,
                (points[p, 1] + direction[p, 1] * t - low[1]) / VOXEL,
                (points[p, 2] + direction[p, 2] * t - low[2]) / VOXEL,
            )
        depth[p] = total * step


@njit(cache=True, nogil=True)
def _slope(grid, low, points, value, slope):
    for p in range(points.shape[0]):
        x, y, z = (points[p, 0] - low[0]) / VOXEL, (points[p, 1] - low[1]) / VOXEL, (points[p, 2] - low[2]) / VOXEL
        value[p] = _value(grid, x, y, z)
        slope[p, 0] = _value(grid, x + 1, y, z) - _value(grid, x - 1, y, z)
        slope[p, 1] = _value(grid, x, y + 1, z) - _value(grid, x, y - 1, z)
        slope[p, 2] = _value(grid, x, y, z + 1) - _value(grid, x, y, z - 1)
