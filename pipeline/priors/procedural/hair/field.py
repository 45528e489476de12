"""How far hair is from the body, and which way is out: a grid of signed distances round head and shoulders."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.priors.procedural.splats import Floats, unit

CELL = 0.009
"""Metres; the distance is interpolated, so that it is good to half a millimetre over the skull."""
REACH = 0.036
"""Metres up to which the distance is known; farther out, and deeper inside, it stays at this value."""
MARGIN = 0.045
FACET = 0.006
"""Metres round a sample within which the surface counts as flat."""


class BodyField:
    """Signed distance (metres, positive outside) to the skin with its gradient.

    ``points`` (M, 3) samples of the skin, spaced by at most some 12 mm, with outward unit ``normals`` (M, 3).
    """

    def __init__(self, points: Floats, normals: Floats) -> None:
        self.low = (points.min(0) - MARGIN).astype(np.float32)
        shape = np.ceil((points.max(0) + MARGIN - self.low) / CELL).astype(np.int64) + 1
        self.grid = np.empty(tuple(shape), np.float32)
        _fill(points, normals, self.low, self.grid)
        _fill_inside(self.grid)

    def distance(self, points: Floats) -> tuple[Floats, Floats]:
        """Distance (N,) and outward unit direction (N, 3) at points (N, 3)."""
        distance, gradient = np.empty(len(points), np.float32), np.empty((len(points), 3), np.float32)
        _sample(self.grid, self.low, np.ascontiguousarray(points, np.float32), distance, gradient)
        return distance, unit(gradient)

    def push_out(self, points: Floats, clearance: Floats | float, passes: int = 2) -> Floats:
        """Points (..., 3) moved outwards until they keep ``clearance`` metres (scalar or (...)) from the skin."""
        flat = points.reshape(-1, 3)
        wanted = np.broadcast_to(np.asarray(clearance, np.float32), points.shape[:-1]).reshape(-1)
        for _ in range(passes):
            distance, out = self.distance(flat)
            flat = flat + out * np.maximum(wanted - distance, 0)[:, None]
        return flat.reshape(points.shape)


@njit(cache=True, nogil=True)
def _fill(points, normals, low, grid):
    """Each sample offers its plane to the cells in reach; the nearest sample wins."""
    nearest = np.full(grid.shape, REACH * REACH, np.float32)
    grid[:] = REACH
    span = int(np.ceil(REACH / CELL))
    for s in range(points.shape[0]):
        x, y, z = points[s, 0] - low[0], points[s, 1] - low[1], points[s, 2] - low[2]
        ci, cj, ck = int(x / CELL), int(y / CELL), int(z / CELL)
        for i in range(max(ci - span + 1, 0), min(ci + span + 1, grid.shape[0])):
            dx = i * CELL - x
            for j in range(max(cj - span + 1, 0), min(cj + span + 1, grid.shape[1])):
                dy = j * CELL - y
                for k in range(max(ck - span + 1, 0), min(ck + span + 1, grid.shape[2])):
                    dz = k * CELL - z
                    squared = dx * dx + dy * dy + dz * dz
                    if squared >= nearest[i, j, k]:
                        continue
                    nearest[i, j, k] = squared
                    height = dx * normals[s, 0] + dy * normals[s, 1] + dz * normals[s, 2]
                    aside = max(np.sqrt(max(squared - height * height, 0.0)) - FACET, 0.0)
                    far = np.sqrt(height * height + aside * aside)
                    grid[i, j, k] = far if height >= 0 else -far


@njit(cache=True, nogil=True)
def _fill_inside(grid):
    """What no sample reaches is inside where the next known cell above it is: the skin is open only at the bottom."""
    for i in range(grid.shape[0]):
        for k in range(grid.shape[2]):
            inside = False
            for j in range(grid.shape[1] - 1, -1, -1):
                if grid[i, j, k] < REACH:
                    inside = grid[i, j, k] < 0
                elif inside:
                    grid[i, j, k] = -REACH


@njit(cache=True, nogil=True)
def _sample(grid, low, points, distance, gradient):
    """Trilinear value and its derivative; outside the grid the distance is `REACH` and nothing points anywhere."""
    for p in range(points.shape[0]):
        x, y, z = (points[p, 0] - low[0]) / CELL, (points[p, 1] - low[1]) / CELL, (points[p, 2] - low[2]) / CELL
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        if not (0 <= i < grid.shape[0] - 1 and 0 <= j < grid.shape[1] - 1 and 0 <= k < grid.shape[2] - 1):
            distance[p] = REACH
            gradient[p, 0] = gradient[p, 1] = gradient[p, 2] = 0.0
            continue
        u, v, w = x - i, y - j, z - k
        a00 = grid[i, j, k] * (1 - w) + grid[i, j, k + 1] * w
        a01 = grid[i, j + 1, k] * (1 - w) + grid[i, j + 1, k + 1] * w
        a10 = grid[i + 1, j, k] * (1 - w) + grid[i + 1, j, k + 1] * w
        a11 = grid[i + 1, j + 1, k] * (1 - w) + grid[i + 1, j + 1, k + 1] * w
        low_x, high_x = a00 * (1 - v) + a01 * v, a10 * (1 - v) + a11 * v
        distance[p] = low_x * (1 - u) + high_x * u
        gradient[p, 0] = high_x - low_x
        gradient[p, 1] = (a01 - a00) * (1 - u) + (a11 - a10) * u
        b00 = grid[i, j, k + 1] - grid[i, j, k]
        b01 = grid[i, j + 1, k + 1] - grid[i, j + 1, k]
        b10 = grid[i + 1, j, k + 1] - grid[i + 1, j, k]
        b11 = grid[i + 1, j + 1, k + 1] - grid[i + 1, j + 1, k]
        gradient[p, 2] = (b00 * (1 - v) + b01 * v) * (1 - u) + (b10 * (1 - v) + b11 * v) * u
