"""Hidden units and density of a tri-grid at a point, for the kernels that ask for millions of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.priors.portrait3d.decoder import HIDDEN, Painter
from pipeline.priors.portrait3d.fused import Fused
from pipeline.priors.portrait3d.trigrid import CHANNELS, FEATURES, PLANES, SLICES
from pipeline.rendering.cpu.arrays import Floats
from pipeline.rendering.cpu.simd import (
    absolute,
    atomic_next,
    bits_to_float,
    floor,
    inlined,
    kernel,
    load16,
    maximum,
    reduce_sum,
    splat16,
    store,
    to_int,
)

f32 = np.float32
LANES = 16
FIRST_BIAS = FEATURES * HIDDEN
DENSITY = FIRST_BIAS + HIDDEN
DENSITY_BIAS = DENSITY + HIDDEN
PIECE = 4096  # points that a thread takes at a time
LOG2_E, LN_2, SQRT_2 = f32(1.4426950408889634), f32(0.6931471805599453), f32(1.4142135623730951)


class Shape(NamedTuple):
    """Sizes of the two fused grids, the coarse one first."""

    sides: tuple[int, int]
    starts: tuple[int, int]
    """Where each begins in the array."""
    half: float
    """Pixels of the finest level per unit of −1..1."""
    middles: tuple[float, float]
    """Where each has 0."""


class Field(NamedTuple):
    """Fused grids and the decoder, flat, each with `LANES` numbers more than there are: 12 features are read as 16."""

    grids: Floats
    """Plane; row; column; slice; feature."""
    decoder: Floats
    """Weights of the first layer by feature, its bias, weights of the density, its bias."""
    shape: Shape


def field_of(fused: Fused, painter: Painter) -> Field:
    """The arrays of a tri-grid and its decoder on the CPU."""
    first, (weight, bias) = painter.decoder.first, painter.second()
    decoder = _flat((first.weight * first.weight_gain).T, first.bias * first.lr_multiplier, weight[0], bias[0])
    sides, half = (fused.coarse.shape[-1], fused.fine.shape[-1]), fused.side / 2
    shape = Shape(sides, (0, fused.coarse.numel()), half, (half + fused.margin, half + 0.5))
    grids = _flat(*(grid.permute(0, 3, 4, 2, 1) for grid in (fused.coarse, fused.fine)))
    return Field(grids, decoder, shape)


def _flat(*tensors: Tensor) -> Floats:
    values = [t.detach().to("cpu", torch.float32).flatten() for t in tensors]
    return torch.cat([*values, torch.zeros(LANES)]).numpy()


@inlined
def softplus16(x):
    """log(1 + eˣ) of 16 numbers to 3e-7: e^−|x| by a series about the half, the logarithm by that of artanh."""
    z = maximum(absolute(x) * -LOG2_E, f32(-126.0))
    whole = floor(z)
    y = (z - whole - f32(0.5)) * LN_2
    p = y * (y * (y * (y * f32(1 / 720) + f32(1 / 120)) + f32(1 / 24)) + f32(1 / 6)) + f32(0.5)
    p = ((p * y + f32(1.0)) * y + f32(1.0)) * SQRT_2
    t = p * bits_to_float((to_int(whole) + 127) << 23)
    s = t / (t + f32(2.0))
    q = s * s
    series = q * (q * (q * (q * (q * f32(1 / 11) + f32(1 / 9)) + f32(1 / 7)) + f32(1 / 5)) + f32(1 / 3)) + f32(1.0)
    return maximum(x, f32(0.0)) + s * series * f32(2.0)


@inlined
def slices(depth):
    """The first of two neighbouring slices at −1..1, and how much each counts; beyond the outermost they fade."""
    place = (depth + 1.0) * (0.5 * SLICES) - 0.5
    start = 0 if place < 1.0 else 1
    return start, f32(max(0.0, 1.0 - abs(place - start))), f32(max(0.0, 1.0 - abs(place - start - 1)))


@kernel
def decode(decoder, hidden, at):
    """Raw density of the 12 features in ``hidden`` from ``at`` on, where 32 hidden units take their place."""
    low, high = load16(decoder, FIRST_BIAS), load16(decoder, FIRST_BIAS + LANES)
    for c in range(FEATURES):
        value = hidden[at + c]
        low = low + load16(decoder, c * HIDDEN) * value
        high = high + load16(decoder, c * HIDDEN + LANES) * value
    low, high = softplus16(low), softplus16(high)
    store(hidden, at, low)
    store(hidden, at + LANES, high)
    return reduce_sum(low * load16(decoder, DENSITY) + high * load16(decoder, DENSITY + LANES)) + decoder[DENSITY_BIAS]


@kernel
def evaluate(grids, decoder, shape, x, y, z, hidden, at):
    """Raw density at a point in −1..1; its hidden units go to ``hidden`` from ``at`` on.

    The arrays of a `Field` come one by one: taken out of a tuple they would be counted in and out again at every point.
    """
    one = f32(1.0)
    features = splat16(f32(0.0))
    for plane in range(PLANES):
        column, row = (y if plane == 2 else x), (y if plane == 0 else z)
        depth = z if plane == 0 else (y if plane == 1 else x)
        start, w0, w1 = slices(depth)
        for grid in range(2):
            side, middle = shape.sides[grid], shape.middles[grid]
            u, v = column * shape.half + middle, row * shape.half + middle
            if not ((u >= 0.0) & (v >= 0.0) & (u < side - 1) & (v < side - 1)):
                continue  # beyond the last knot, which is zero
            i, j = int(u), int(v)
            a, b = f32(u - i), f32(v - j)
            p = shape.starts[grid] + ((plane * side + j) * side + i) * CHANNELS + start * FEATURES
            q = p + side * CHANNELS
            left, right = (one - a) * (one - b), a * (one - b)
            features = features + load16(grids, p) * (left * w0) + load16(grids, p + CHANNELS) * (right * w0)
            features = features + load16(grids, q) * ((one - a) * b * w0) + load16(grids, q + CHANNELS) * (a * b * w0)
            p, q = p + FEATURES, q + FEATURES
            features = features + load16(grids, p) * (left * w1) + load16(grids, p + CHANNELS) * (right * w1)
            features = features + load16(grids, q) * ((one - a) * b * w1) + load16(grids, q + CHANNELS) * (a * b * w1)
    store(hidden, at, features)
    return decode(decoder, hidden, at)


@kernel
def evaluate_all(counter, field, points, hidden, sigma):
    """Raw density (M,) at points (M, 3) in −1..1; ``hidden`` (32,) is scratch."""
    grids, decoder, shape = field
    while True:
        first = atomic_next(counter) * PIECE
        if first >= points.shape[0]:
            break
        for k in range(first, min(first + PIECE, points.shape[0])):
            sigma[k] = evaluate(grids, decoder, shape, points[k, 0], points[k, 1], points[k, 2], hidden, 0)
