"""Where a tri-grid has anything to see: a lattice of voxels, most of which a ray can pass without looking."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.priors.portrait3d.decoder import HIDDEN
from pipeline.priors.portrait3d.field_kernel import LANES, Field, decode, slices
from pipeline.priors.portrait3d.fused import Fused
from pipeline.priors.portrait3d.trigrid import AXES, CHANNELS, FEATURES, HALF_SIDE, PLANES
from pipeline.rendering.cpu.arrays import Floats
from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.simd import atomic_next, kernel, load16, store
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


def lattice_of(crop: float, voxels: int) -> tuple[Lattice, tuple[int, int, int]]:
    """The lattice and its voxels along x, y and z, for a portrait of half width ``crop`` in the grid's units."""
    half = crop / HALF_SIDE
    per_unit = voxels / (2 * half)
    tall = -(-math.ceil(2 * TALL * per_unit) // BLOCK) * BLOCK
    return Lattice(per_unit, half, tall / per_unit / 2), (voxels, tall, voxels)


def find_occupied(fused: Fused, field: Field, crop: float, voxels: int, threshold: float) -> Cells:
    """The lattice of what has raw density above ``threshold`` at the middle of a voxel or of one of its neighbours.

    ``crop`` half the width and depth of the portrait in the grid's units, ``voxels`` per width, a multiple of 8.
    """
    lattice, shape = lattice_of(crop, voxels)
    dense = np.empty(shape, np.uint8)
    axes = [_middles(lattice, count) for count in shape]
    tables = [_table(fused, plane, axes[AXES[plane][0]], axes[AXES[plane][1]]) for plane in range(PLANES)]
    places = [axis.numpy() for axis in axes]
    hidden = np.empty((WORKERS.threads, HIDDEN), np.float32)
    share(lambda counter, k: _probe(counter, *tables, *places, field.decoder, threshold, hidden[k], dense))
    grown = _grown(dense)
    x, y, z = (count // BLOCK for count in shape)
    return Cells(grown, grown.reshape(x, BLOCK, y, BLOCK, z, BLOCK).max((1, 3, 5)), lattice)


def _middles(lattice: Lattice, count: int) -> Tensor:
    """(count,) places of voxels' middles along an axis."""
    return (torch.arange(count, dtype=torch.float64) + 0.5 - count / 2) / lattice.per_unit


def _table(fused: Fused, plane: int, width: Tensor, height: Tensor) -> Floats:
    """What a plane's slices hold at all pairs of places along its width (W,) and height (H,): (W, H, 3 · 12), flat."""
    total = torch.zeros(CHANNELS, len(width), len(height))
    for grid in (fused.coarse, fused.fine):
        across = fused.side / (grid.shape[-1] - 1)
        places = torch.stack(torch.meshgrid(width, height, indexing="ij"), dim=-1)[None].float() * across
        maps = grid[plane].transpose(0, 1).flatten(0, 1)[None]
        total += functional.grid_sample(maps, places, padding_mode="zeros", align_corners=True)[0]
    return np.concatenate([total.movedim(0, -1).flatten().numpy(), np.zeros(LANES, np.float32)])


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
def _probe(counter, table0, table1, table2, xs, ys, zs, decoder, threshold, hidden, dense):
    """Fills ``dense`` (nx, ny, nz) slice by slice, from tables over (x, y), (x, z) and (y, z)."""
    nx, ny, nz = dense.shape
    while True:
        i = atomic_next(counter)
        if i >= nx:
            break
        s2, a2, b2 = slices(xs[i])
        for j in range(ny):
            s1, a1, b1 = slices(ys[j])
            upright = (i * ny + j) * CHANNELS
            for k in range(nz):
                s0, a0, b0 = slices(zs[k])
                p = upright + s0 * FEATURES
                q = (i * nz + k) * CHANNELS + s1 * FEATURES
                r = (j * nz + k) * CHANNELS + s2 * FEATURES
                features = load16(table0, p) * a0 + load16(table0, p + FEATURES) * b0
                features = features + load16(table1, q) * a1 + load16(table1, q + FEATURES) * b1
                features = features + load16(table2, r) * a2 + load16(table2, r + FEATURES) * b2
                store(hidden, 0, features)
                dense[i, j, k] = decode(decoder, hidden, 0) > threshold


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
