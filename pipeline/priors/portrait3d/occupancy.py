"""Where a tri-grid has anything to see: a lattice of voxels, most of which a ray can pass without looking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.priors.portrait3d.field_kernel import LANES, Field, evaluate
from pipeline.priors.portrait3d.trigrid import HALF_SIDE
from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.simd import atomic_next, inlined, kernel
from pipeline.rendering.cpu.workers import WORKERS

BLOCK = 8
"""Voxels per side of a block, which is looked at first."""
TALL = 1.36
"""Half the lattice's height; beyond 4/3 nothing changes, for every level and slice has faded."""


class Cells(NamedTuple):
    """The lattice, in coordinates where the grid spans −1..1."""

    voxels: NDArray[np.uint8]
    """(nx, ny, nz) 1 where there may be something, or beside it."""
    blocks: NDArray[np.uint8]
    """(nx / 8, ny / 8, nz / 8) 1 where a voxel of the block is."""
    per_unit: float
    """Voxels per unit."""
    half_width: float
    half_height: float


def find_occupied(field: Field, crop: float, voxels: int, threshold: float) -> Cells:
    """The lattice of what has raw density above ``threshold`` at the middle of a voxel or of one of its neighbours.

    ``crop`` half the width and depth of the portrait in the grid's units, ``voxels`` per width, a multiple of 8.
    """
    half = crop / HALF_SIDE
    per_unit = voxels / (2 * half)
    tall = -(-int(np.ceil(2 * TALL * per_unit)) // BLOCK) * BLOCK
    dense = np.empty((voxels, tall, voxels), np.uint8)
    features, hidden = np.empty((WORKERS.threads, LANES), np.float32), np.empty((WORKERS.threads, 32), np.float32)
    half_height = tall / per_unit / 2
    share(lambda counter, k: _probe(counter, field, half, half_height, threshold, features[k], hidden[k], dense))
    grown = _grown(dense)
    blocks = grown.reshape(voxels // BLOCK, BLOCK, tall // BLOCK, BLOCK, voxels // BLOCK, BLOCK).max((1, 3, 5))
    return Cells(grown, blocks, per_unit, half, half_height)


def _grown(dense: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every voxel of which a neighbour, or it itself, is set."""
    for axis in range(3):
        lines = np.moveaxis(dense, axis, 0)
        wider = lines.copy()
        wider[1:] |= lines[:-1]
        wider[:-1] |= lines[1:]
        dense = np.ascontiguousarray(np.moveaxis(wider, 0, axis))
    return dense


@kernel
def _probe(counter, field, half_width, half_height, threshold, features, hidden, dense):
    """Fills ``dense`` (nx, ny, nz) slice by slice."""
    nx, ny, nz = dense.shape
    size = 2 * half_width / nx
    while True:
        i = atomic_next(counter)
        if i >= nx:
            break
        x = (i + 0.5) * size - half_width
        for j in range(ny):
            y = (j + 0.5) * size - half_height
            for k in range(nz):
                sigma = evaluate(field, x, y, (k + 0.5) * size - half_width, features, hidden, 0)
                dense[i, j, k] = 1 if sigma > threshold else 0


@inlined
def occupied(cells, x, y, z):
    """1 where there may be something at a point in −1..1; above and below the lattice is what its ends are."""
    found = np.uint8(0)
    if (abs(x) < cells.half_width) & (abs(z) < cells.half_width):
        up = min(max((y + cells.half_height) * cells.per_unit, 0.0), cells.voxels.shape[1] - 1.0)
        i, j, k = int((x + cells.half_width) * cells.per_unit), int(up), int((z + cells.half_width) * cells.per_unit)
        i, k = min(i, cells.voxels.shape[0] - 1), min(k, cells.voxels.shape[2] - 1)
        if cells.blocks[i // BLOCK, j // BLOCK, k // BLOCK]:
            found = cells.voxels[i, j, k]
    return found
