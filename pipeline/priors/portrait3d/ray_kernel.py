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
from pipeline.priors.portrait3d.sampling import FLOOR, SMALLEST, SPARED
from pipeline.rendering.cpu.arrays import Floats
from pipeline.rendering.cpu.simd import atomic_next, inlined, kernel, load16, splat16, store

f32 = np.float32
TILE = 16  # pixels per side that a thread takes at a time
OPAQUE = 3e-4
"""What passes through may be neglected from here on: less than a tenth of a grey level."""
OUTSIDE = -1000.0
EMPTY, MAYBE, KNOWN = 0, 1, 2
"""What is known of a sample: nothing is there; something may be; its density, and something may be."""
BESIDE = 4
"""Its density is known, and nothing is there, but beside it something may be."""

Doubles = NDArray[np.float64]


class Rays(NamedTuple):
    """One picture's rays; the grid spans −1..1."""

    origin: Doubles
    """(3,)"""
    directions: Doubles
    """(H · W, 3) per unit of depth."""
    width: int
    height: int


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

    features: Floats
    hidden: Floats
    """(N · 32)"""
    sigma: Doubles
    state: NDArray[np.uint8]
    depth: Doubles
    weights: Doubles
    cdf: Doubles
    collected: Floats
    """(32,)"""


class Collected(NamedTuple):
    """What the rays have met."""

    hidden: Floats
    """(H · W, 32) hidden units, weighted and added up."""
    total: Floats
    """(H · W)"""
    depth: Floats
    """(H · W)"""


def scratch_of(steps: Steps) -> Scratch:
    """Memory for one thread."""
    samples = steps.coarse + steps.fine
    return Scratch(
        np.empty(LANES, np.float32), np.empty(samples * HIDDEN, np.float32), np.empty(samples),
        np.empty(samples, np.uint8), np.empty(samples), np.empty(steps.coarse), np.empty(steps.coarse), np.empty(HIDDEN, np.float32),
    )  # fmt: skip


@kernel
def march(counter, field, cells, rays, steps, scratch, out):
    """All rays of a picture, tile by tile."""
    across, down = -(-rays.width // TILE), -(-rays.height // TILE)
    while True:
        tile = atomic_next(counter)
        if tile >= across * down:
            break
        x, y = tile % across * TILE, tile // across * TILE
        for j in range(y, min(y + TILE, rays.height)):
            for i in range(x, min(x + TILE, rays.width)):
                _follow(field, cells, rays, steps, scratch, out, j * rays.width + i)


@kernel
def _follow(field, cells, rays, steps, scratch, out, ray):
    """One ray: both passes."""
    met = 0
    for k in range(steps.coarse):
        scratch.depth[k] = steps.near + steps.step * (k + 0.5)
        met += _enter(cells, rays, scratch, ray, k)
    store(scratch.collected, 0, splat16(f32(0.0)))
    store(scratch.collected, LANES, splat16(f32(0.0)))
    total, depth = 0.0, 0.0
    if met:
        _weigh(field, rays, steps, scratch, ray)
        _place(cells, rays, steps, scratch, ray)
        total, depth = _collect(field, rays, steps, scratch, ray)
    for c in range(HIDDEN):
        out.hidden[ray, c] = scratch.collected[c]
    out.total[ray] = total
    out.depth[ray] = depth / total if total > 0 else scratch.depth[steps.coarse - 1]


@inlined
def _enter(cells, rays, scratch, ray, k):
    """Notes whether there may be something at sample ``k``, whose depth is set, and gives it."""
    t = scratch.depth[k]
    x, y, z = (
        rays.origin[0] + t * rays.directions[ray, 0],
        rays.origin[1] + t * rays.directions[ray, 1],
        rays.origin[2] + t * rays.directions[ray, 2],
    )
    scratch.state[k] = occupied(cells, x, y, z)
    return scratch.state[k]


@kernel
def _sigma(field, rays, steps, scratch, ray, k):
    """The raw density of sample ``k``, looked up at most once."""
    if scratch.state[k] < KNOWN:
        t = scratch.depth[k]
        x = rays.origin[0] + t * rays.directions[ray, 0]
        y = rays.origin[1] + t * rays.directions[ray, 1]
        z = rays.origin[2] + t * rays.directions[ray, 2]
        sigma = evaluate(field, x, y, z, scratch.features, scratch.hidden, k * HIDDEN)
        inside = max(abs(x), abs(z)) <= steps.half_width
        scratch.sigma[k] = sigma if inside else OUTSIDE
        scratch.state[k] = KNOWN if scratch.state[k] == MAYBE else BESIDE
    return scratch.sigma[k]


@inlined
def _dense(scratch, k):
    """Whether there may be something at sample ``k``."""
    return (scratch.state[k] == MAYBE) | (scratch.state[k] == KNOWN)


@inlined
def _alpha(low, high, length):
    """How much an interval hides between samples of these raw densities."""
    middle = (low + high) / 2 - 1
    density = max(middle, 0.0) + math.log1p(math.exp(-abs(middle)))
    return 1 - math.exp(-density * length)


@kernel
def _weigh(field, rays, steps, scratch, ray):
    """The weights of the first pass's intervals."""
    passed = 1.0
    for k in range(steps.coarse - 1):
        weight = 0.0
        if passed > OPAQUE and (_dense(scratch, k) or _dense(scratch, k + 1)):
            low, high = _sigma(field, rays, steps, scratch, ray, k), _sigma(field, rays, steps, scratch, ray, k + 1)
            alpha = _alpha(low, high, steps.step)
            weight = alpha * passed
            passed *= 1 - alpha + SPARED
        scratch.weights[k] = weight


@kernel
def _place(cells, rays, steps, scratch, ray):
    """The second pass's depths, ascending: `sampling.fine_depths` for places in the middles of equal shares."""
    weights, cdf = scratch.weights, scratch.cdf
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
        share = (u - low) / width if width >= SMALLEST * whole else (u - low) / whole
        scratch.depth[steps.coarse + k] = steps.near + steps.step * (above + share)
        _enter(cells, rays, scratch, ray, steps.coarse + k)


@kernel
def _collect(field, rays, steps, scratch, ray):
    """Adds up what the merged samples show, from the front: coverage, and depth times coverage."""
    samples = steps.coarse + steps.fine
    passed, total, depth = 1.0, 0.0, 0.0
    coarse, fine = 0, steps.coarse
    last = -1
    while passed > OPAQUE and (coarse < steps.coarse or fine < samples):
        if fine == samples or (coarse < steps.coarse and scratch.depth[coarse] <= scratch.depth[fine]):
            k, coarse = coarse, coarse + 1
        else:
            k, fine = fine, fine + 1
        if last >= 0 and (_dense(scratch, last) or _dense(scratch, k)):
            low, high = _sigma(field, rays, steps, scratch, ray, last), _sigma(field, rays, steps, scratch, ray, k)
            alpha = _alpha(low, high, scratch.depth[k] - scratch.depth[last])
            weight = alpha * passed
            passed *= 1 - alpha + SPARED
            total += weight
            depth += weight * (scratch.depth[k] + scratch.depth[last]) / 2
            half = f32(weight / 2)
            for at in range(0, HIDDEN, LANES):
                both = load16(scratch.hidden, last * HIDDEN + at) + load16(scratch.hidden, k * HIDDEN + at)
                store(scratch.collected, at, load16(scratch.collected, at) + both * half)
        last = k
    return total, depth
