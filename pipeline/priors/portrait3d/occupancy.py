"""Where a tri-grid has anything to see: a lattice of voxels, most of which a ray can pass without looking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.priors.portrait3d.decoder import HIDDEN
from pipeline.priors.portrait3d.field_kernel import Field, evaluate
from pipeline.priors.portrait3d.trigrid import HALF_SIDE
from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.simd import atomic_next, kernel
from pipeline.rendering.cpu.workers import WORKERS

BLOCK = 8
"""Voxels per side of a block, which is looked at first."""
TALL = 1.36
"""Half the lattice's height; beyond 4/3 nothing changes, for every level and slice has faded."""


class Lattice(NamedTuple):
    """Where the voxels lie, in coordinates where the grid spans −1..1."""

    per_unit: float
    """Voxels per unit."""
    half_width: float
    half_height: float


class Cells(NamedTuple):
    """The lattice and what is in it."""

    voxels: NDArray[np.uint8]
    """(nx, ny, nz) 1 where there may be something, or beside it."""
    blocks: NDArray[np.uint8]
    """(nx / 8, ny / 8, nz / 8) 1 where a voxel of the block is."""
    lattice: Lattice


def find_occupied(field: Field, crop: float, voxels: int, threshold: float) -> Cells:
    """The lattice of what has raw density above ``threshold`` at the middle of a voxel or of one of its neighbours.

    ``crop`` half the width and depth of the portrait in the grid's units, ``voxels`` per width, a multiple of 8.
    """
    half = crop / HALF_SIDE
    per_unit = voxels / (2 * half)
    tall = -(-int(np.ceil(2 * TALL * per_unit)) // BLOCK) * BLOCK
    dense = np.empty((voxels, tall, voxels), np.uint8)
    hidden = np.empty((WORKERS.threads, HIDDEN), np.float32)
    lattice = Lattice(per_unit, half, tall / per_unit / 2)
    share(lambda counter, k: _probe(counter, field, lattice, threshold, hidden[k], dense))
    grown = _grown(dense)
    blocks = grown.reshape(voxels // BLOCK, BLOCK, tall // BLOCK, BLOCK, voxels // BLOCK, BLOCK).max((1, 3, 5))
    return Cells(grown, blocks, lattice)


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
def _probe(counter, field, lattice, threshold, hidden, dense):
    """Fills ``dense`` (nx, ny, nz) slice by slice."""
    grids, decoder, shape = field
    nx, ny, nz = dense.shape
    size, half_width, half_height = 1 / lattice.per_unit, lattice.half_width, lattice.half_height
    while True:
        i = atomic_next(counter)
        if i >= nx:
            break
        x = (i + 0.5) * size - half_width
        for j in range(ny):
            y = (j + 0.5) * size - half_height
            for k in range(nz):
                z = (k + 0.5) * size - half_width
                dense[i, j, k] = evaluate(grids, decoder, shape, x, y, z, hidden, 0) > threshold


@kernel
def occupied(voxels, blocks, lattice, x, y, z):
    """1 where there may be something at a point in −1..1; above and below the lattice is what its ends are."""
    found = np.uint8(0)
    if (abs(x) < lattice.half_width) & (abs(z) < lattice.half_width):
        up = min(max((y + lattice.half_height) * lattice.per_unit, 0.0), voxels.shape[1] - 1.0)
        i = min(int((x + lattice.half_width) * lattice.per_unit), voxels.shape[0] - 1)
        k = min(int((z + lattice.half_width) * lattice.per_unit), voxels.shape[2] - 1)
        j = int(up)
        if blocks[i // BLOCK, j // BLOCK, k // BLOCK]:
            found = voxels[i, j, k]
    return found
