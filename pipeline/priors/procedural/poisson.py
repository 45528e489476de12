"""Even point sets on a surface: Poisson-disk elimination of random candidates."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.priors.procedural.splats import Floats

CELL = 2e-3
"""Edge of a hash cell, metres: a few points of face spacing per cell."""
SAME_SIDE = 0.2
"""Cosine between normals above which two points lie on the same side of a fold; lips and lids must not thin each
other out."""
TABLE_BITS = 18


def poisson_disk(points: Floats, normals: Floats, radius: Floats) -> NDArray[np.bool_]:
    """Which candidates to keep so that no two on the same side of the surface are closer than their radius.

    ``points`` (N, 3), unit ``normals`` (N, 3) and ``radius`` (N,) metres; earlier candidates win, so the caller
    shuffles. Dart throwing on a hash grid (Cook 1986), with the radius varying over the surface. → (N,) bool.
    """
    return _throw(points, normals, radius)


@njit(cache=True)
def _throw(points, normals, radius):  # type: ignore[no-untyped-def]
    count = points.shape[0]
    keep = np.zeros(count, np.bool_)
    head = np.full(1 << TABLE_BITS, -1, np.int32)
    following = np.full(count, -1, np.int32)
    mask = (1 << TABLE_BITS) - 1
    for i in range(count):
        x, y, z, r = points[i, 0], points[i, 1], points[i, 2], radius[i]
        free = True
        for cx in range(math.floor((x - r) / CELL), math.floor((x + r) / CELL) + 1):
            for cy in range(math.floor((y - r) / CELL), math.floor((y + r) / CELL) + 1):
                for cz in range(math.floor((z - r) / CELL), math.floor((z + r) / CELL) + 1):
                    j = head[(cx * 73856093 ^ cy * 19349663 ^ cz * 83492791) & mask]
                    while j >= 0 and free:
                        dx, dy, dz = points[j, 0] - x, points[j, 1] - y, points[j, 2] - z
                        reach = min(r, radius[j])
                        facing = (
                            normals[i, 0] * normals[j, 0]
                            + normals[i, 1] * normals[j, 1]
                            + normals[i, 2] * normals[j, 2]
                        )
                        if dx * dx + dy * dy + dz * dz < reach * reach and facing > SAME_SIDE:
                            free = False
                        j = following[j]
                if not free:
                    break
            if not free:
                break
        if free:
            keep[i] = True
            key = (math.floor(x / CELL) * 73856093 ^ math.floor(y / CELL) * 19349663 ^ math.floor(z / CELL) * 83492791)
            following[i] = head[key & mask]
            head[key & mask] = i
    return keep
