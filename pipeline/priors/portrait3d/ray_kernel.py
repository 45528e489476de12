"""Rays through a tri-grid on the CPU: the samples of the plain renderer, of which only those are looked at that count.

An interval between two samples shows something only if one of them may be dense, and only while light passes: the
other samples keep their places, which decide where the second pass looks, and nothing else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.priors.portrait3d.decoder import HIDDEN
from pipeline.priors.portrait3d.field_kernel import LANES, evaluate
from pipeline.priors.portrait3d.occupancy import occupied
from pipeline.priors.portrait3d.rendering import OUTSIDE
from pipeline.priors.portrait3d.sampling import FLOOR, SMALLEST, SPARED
from pipeline.rendering.cpu.arrays import Floats
from pipeline.rendering.cpu.simd import atomic_next, inlined, kernel, load16, splat16, store

f32 = np.float32
TILE = 16  # pixels per side that a thread takes at a time
OPAQUE = 3e-4
"""What passes through may be neglected from here on: less than a tenth of a grey level."""
DEPTH, SIGMA, STATE = 0, 1, 2
"""What is noted of a sample."""
EMPTY, MAYBE, KNOWN_EMPTY, KNOWN = 0, 1, 2, 3
"""States: nothing is there; something may be; and the same with the density looked up."""


class Rays(NamedTuple):
    """One picture's rays; the grid spans −1..1."""

    origin: NDArray[np.float64]
    """(3,)"""
    directions: NDArray[np.float64]
    """(H · W, 3) per unit of depth."""
    width: int
    height: int


class Line(NamedTuple):
    """One ray: a point for each depth."""

    x: float
    y: float
    z: float
    dx: float
    dy: float
    dz: float


class Steps(NamedTuple):
    """Where the samples of the first pass lie, and how many follow."""

    near: float
    step: float
    coarse: int
    fine: int
    half_width: float
    """Of the portrait, where the grid spans −1..1."""


class Scratch(NamedTuple):
    """One thread's; N samples, the coarse ones first."""

    samples: NDArray[np.float64]
    """(3, N)"""
    hidden: Floats
    """(N · 32)"""
    weights: NDArray[np.float64]
    """(coarse,)"""
    cdf: NDArray[np.float64]
    """(coarse,)"""


class Collected(NamedTuple):
    """What the rays have met."""

    hidden: Floats
    """(H · W · 32) hidden units, weighted and added up."""
    total: Floats
    """(H · W)"""
    depth: Floats
    """(H · W)"""


def scratch_of(steps: Steps) -> Scratch:
    """Memory for one thread."""
    samples = steps.coarse + steps.fine
    return Scratch(
        np.empty((3, samples)), np.empty(samples * HIDDEN, np.float32), np.empty(steps.coarse), np.empty(steps.coarse)
    )


@kernel
def march(counter, field, cells, rays, steps, scratch, out):
    """All rays of a picture, tile by tile."""
    grids, decoder, shape = field
    voxels, blocks, lattice = cells
    origin, directions, width, height = rays
    samples, hidden, weights, cdf = scratch
    collected, totals, depths = out
    across, down = -(-width // TILE), -(-height // TILE)
    while True:
        tile = atomic_next(counter)
        if tile >= across * down:
            break
        left, top = tile % across * TILE, tile // across * TILE
        for pixel in range(TILE * TILE):
            i, j = left + pixel % TILE, top + pixel // TILE
            if i >= width or j >= height:
                continue
            ray = j * width + i
            dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
            line = Line(origin[0], origin[1], origin[2], dx, dy, dz)
            at = ray * HIDDEN
            store(collected, at, splat16(f32(0.0)))
            store(collected, at + LANES, splat16(f32(0.0)))
            totals[ray], depths[ray] = 0.0, steps.near + steps.step * (steps.coarse - 0.5)
            if _spread(voxels, blocks, lattice, line, steps, samples):
                _weigh(grids, decoder, shape, line, steps, samples, hidden, weights)
                _place(voxels, blocks, lattice, line, steps, samples, weights, cdf)
                _collect(grids, decoder, shape, line, steps, samples, hidden, collected, totals, depths, ray)


@kernel
def _enter(voxels, blocks, lattice, line, samples, k, t):
    """Puts sample ``k`` at depth ``t`` and gives whether something may be there."""
    found = occupied(voxels, blocks, lattice, line.x + t * line.dx, line.y + t * line.dy, line.z + t * line.dz)
    samples[DEPTH, k] = t
    samples[STATE, k] = found
    return found


@kernel
def _spread(voxels, blocks, lattice, line, steps, samples):
    """Puts the first pass's samples into the middles of equal intervals; gives for how many something may be there."""
    met = 0
    for k in range(steps.coarse):
        met += _enter(voxels, blocks, lattice, line, samples, k, steps.near + steps.step * (k + 0.5))
    return met


@kernel
def _look(grids, decoder, shape, line, steps, samples, hidden, k):
    """The raw density of sample ``k``, looked up at most once."""
    if samples[STATE, k] < KNOWN_EMPTY:
        t = samples[DEPTH, k]
        x, y, z = line.x + t * line.dx, line.y + t * line.dy, line.z + t * line.dz
        sigma = evaluate(grids, decoder, shape, x, y, z, hidden, k * HIDDEN)
        samples[SIGMA, k] = sigma if max(abs(x), abs(z)) <= steps.half_width else OUTSIDE
        samples[STATE, k] += KNOWN_EMPTY
    return samples[SIGMA, k]


@kernel
def _maybe(samples, k):
    """Whether there may be something at sample ``k``."""
    return (samples[STATE, k] == MAYBE) | (samples[STATE, k] == KNOWN)


@inlined
def _alpha(low, high, length):
    """How much an interval hides between samples of these raw densities."""
    middle = (low + high) / 2 - 1
    density = max(middle, 0.0) + math.log1p(math.exp(-abs(middle)))
    return 1 - math.exp(-density * length)


@kernel
def _weigh(grids, decoder, shape, line, steps, samples, hidden, weights):
    """The weights of the first pass's intervals."""
    passed = 1.0
    for k in range(steps.coarse - 1):
        weight = 0.0
        if (passed > OPAQUE) & (_maybe(samples, k) | _maybe(samples, k + 1)):
            low = _look(grids, decoder, shape, line, steps, samples, hidden, k)
            high = _look(grids, decoder, shape, line, steps, samples, hidden, k + 1)
            alpha = _alpha(low, high, steps.step)
            weight = alpha * passed
            passed *= 1 - alpha + SPARED
        weights[k] = weight


@kernel
def _place(voxels, blocks, lattice, line, steps, samples, weights, cdf):
    """The second pass's depths, ascending: `sampling.fine_depths` for places in the middles of equal shares."""
    count = steps.coarse - 3
    cdf[0] = 0.0
    for k in range(count):
        before, here, after = weights[k], weights[k + 1], weights[k + 2]
        cdf[k + 1] = cdf[k] + (max(before, here) + max(here, after)) / 2 + FLOOR + SMALLEST
    whole = cdf[count]
    above = 0
    for k in range(steps.fine):
        u = (k + 0.5) / steps.fine * whole
        while above < count and cdf[above] <= u:
            above += 1
        low, width = cdf[above - 1], cdf[above] - cdf[above - 1]
        share = (u - low) / (width if width >= SMALLEST * whole else whole)
        _enter(voxels, blocks, lattice, line, samples, steps.coarse + k, steps.near + steps.step * (above + share))


@kernel
def _collect(grids, decoder, shape, line, steps, samples, hidden, collected, totals, depths, ray):
    """Adds up what the merged samples show, from the front."""
    passed, total, depth = 1.0, 0.0, 0.0
    one, other, end = 0, steps.coarse, steps.coarse + steps.fine
    last = -1
    while passed > OPAQUE and (one < steps.coarse or other < end):
        if other == end or (one < steps.coarse and samples[DEPTH, one] <= samples[DEPTH, other]):
            k, one = one, one + 1
        else:
            k, other = other, other + 1
        if last >= 0 and (_maybe(samples, last) | _maybe(samples, k)):
            low = _look(grids, decoder, shape, line, steps, samples, hidden, last)
            high = _look(grids, decoder, shape, line, steps, samples, hidden, k)
            alpha = _alpha(low, high, samples[DEPTH, k] - samples[DEPTH, last])
            weight = alpha * passed
            passed *= 1 - alpha + SPARED
            total += weight
            depth += weight * (samples[DEPTH, k] + samples[DEPTH, last]) / 2
            half = f32(weight / 2)
            for at in range(0, HIDDEN, LANES):
                both = load16(hidden, last * HIDDEN + at) + load16(hidden, k * HIDDEN + at)
                store(collected, ray * HIDDEN + at, load16(collected, ray * HIDDEN + at) + both * half)
        last = k
    if total > 0:
        totals[ray] = total
        depths[ray] = depth / total
