"""Even point sets on a surface: Poisson-disk elimination of random candidates."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.priors.procedural.splats import Floats, Ints, unit

CELL = 2e-3
"""Edge of a hash cell, metres: a few points of face spacing per cell."""
SAME_SIDE = 0.2
"""Cosine between normals above which two points lie on the same side of a fold; lips and lids must not thin each
other out."""
TABLE_BITS = 18


def poisson_disk(triangles: Floats, row: Ints, barycentric: Floats, radius: Floats) -> NDArray[np.bool_]:
    """Which candidates to keep so that no two on the same side of the surface are closer than their radius.

    ``triangles`` (F, 3, 3) metres; each of the N candidates lies on triangle ``row`` (N,) at ``barycentric`` (N, 3)
    and wants ``radius`` (N,) metres. Earlier candidates win, so the caller shuffles. Dart throwing on a hash grid
    (Cook 1986), with the radius varying over the surface. → (N,) bool.
    """
    edges = triangles[:, 1:] - triangles[:, :1]
    return _throw(triangles, unit(np.cross(edges[:, 0], edges[:, 1])), row, barycentric, radius)


@njit(cache=True)
def _throw(triangles, normals, row, barycentric, radius):  # type: ignore[no-untyped-def]
    count = len(row)
    keep = np.zeros(count, np.bool_)
    kept = np.empty((count, 3), np.float32)
    mask = (1 << TABLE_BITS) - 1
    head = np.full(1 << TABLE_BITS, -1, np.int32)
    following = np.full(count, -1, np.int32)
    for i in range(count):
        f, r = row[i], radius[i]
        u, v, w = barycentric[i]
        x = u * triangles[f, 0, 0] + v * triangles[f, 1, 0] + w * triangles[f, 2, 0]
        y = u * triangles[f, 0, 1] + v * triangles[f, 1, 1] + w * triangles[f, 2, 1]
        z = u * triangles[f, 0, 2] + v * triangles[f, 1, 2] + w * triangles[f, 2, 2]
        if _is_free(x, y, z, r, normals[f], kept, head, following, normals, row, radius, mask):
            keep[i] = True
            kept[i, 0], kept[i, 1], kept[i, 2] = x, y, z
            key = _key(math.floor(x / CELL), math.floor(y / CELL), math.floor(z / CELL)) & mask
            following[i] = head[key]
            head[key] = i
    return keep


@njit(cache=True)
def _is_free(x, y, z, r, normal, kept, head, following, normals, row, radius, mask):  # type: ignore[no-untyped-def]
    for cx in range(math.floor((x - r) / CELL), math.floor((x + r) / CELL) + 1):
        for cy in range(math.floor((y - r) / CELL), math.floor((y + r) / CELL) + 1):
            for cz in range(math.floor((z - r) / CELL), math.floor((z + r) / CELL) + 1):
                j = head[_key(cx, cy, cz) & mask]
                while j >= 0:
                    dx, dy, dz = kept[j, 0] - x, kept[j, 1] - y, kept[j, 2] - z
                    reach = min(r, radius[j])
                    if dx * dx + dy * dy + dz * dz < reach * reach:
                        other = normals[row[j]]
                        if normal[0] * other[0] + normal[1] * other[1] + normal[2] * other[2] > SAME_SIDE:
                            return False
                    j = following[j]
    return True


@njit(cache=True)
def _key(x, y, z):  # type: ignore[no-untyped-def]
    return x * 73856093 ^ y * 19349663 ^ z * 83492791
