"""Hidden units and density of a tri-grid at a point, for the kernels that ask for millions of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from pipeline.priors.portrait3d.decoder import HIDDEN, Painter
from pipeline.priors.portrait3d.fused import TEXEL, Fused
from pipeline.priors.portrait3d.trigrid import FEATURES, SLICES
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
PIECE = 4096  # points that a thread takes at a time
LOG2_E, LN_2, SQRT_2 = f32(1.4426950408889634), f32(0.6931471805599453), f32(1.4142135623730951)


class Field(NamedTuple):
    """Fused grids and the decoder, flat."""

    coarse: Floats
    """With `LANES` numbers more than there are: 12 features are read as 16."""
    coarse_side: int
    fine: Floats
    fine_side: int
    half: float
    """Pixels of the finest level per unit of −1..1."""
    middle: float
    """Where the coarse grid has 0."""
    first: Floats
    """(12 · 32) weights of the first layer by feature."""
    first_bias: Floats
    density: Floats
    """(32,) weights of the density."""
    density_bias: float


def field_of(fused: Fused, painter: Painter) -> Field:
    """The arrays of a tri-grid and its decoder on the CPU."""
    first, second = painter.decoder.first, painter.second()
    weight = (first.weight * first.weight_gain).T

    def flat(tensor: Tensor, extra: int = 0) -> Floats:
        values = tensor.detach().to("cpu").float().flatten().numpy()
        return np.concatenate([values, np.zeros(extra, np.float32)]) if extra else np.ascontiguousarray(values)

    return Field(
        flat(fused.coarse, LANES), fused.coarse.shape[1], flat(fused.fine, LANES), fused.fine.shape[1],
        fused.side / 2, fused.side / 2 + fused.margin, flat(weight), flat(first.bias * first.lr_multiplier),
        flat(second[0][0]), float(second[1][0]),
    )  # fmt: skip


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
def blend4(grid, side, plane, u, v, start, w0, w1, total):
    """Adds what a plane has at column ``u`` and row ``v``, in two neighbouring slices from ``start``."""
    if (u >= 0.0) & (v >= 0.0) & (u < side - 1) & (v < side - 1):
        i, j = int(u), int(v)
        a, b = f32(u - i), f32(v - j)
        at = ((plane * side + j) * side + i) * TEXEL + start * FEATURES
        below = at + side * TEXEL
        one = f32(1.0)
        upper = load16(grid, at) * w0 + load16(grid, at + FEATURES) * w1
        upper_right = load16(grid, at + TEXEL) * w0 + load16(grid, at + TEXEL + FEATURES) * w1
        lower = load16(grid, below) * w0 + load16(grid, below + FEATURES) * w1
        lower_right = load16(grid, below + TEXEL) * w0 + load16(grid, below + TEXEL + FEATURES) * w1
        total = total + (upper * (one - a) + upper_right * a) * (one - b) + (lower * (one - a) + lower_right * a) * b
    return total


@kernel
def look_up(field, plane, u, v, d, features):
    """Adds to ``features`` (16,) what a plane has at −1..1 along its width, height and depth."""
    place = (d + 1.0) * (0.5 * SLICES) - 0.5
    start = 0 if place < 1.0 else 1
    w0, w1 = f32(max(0.0, 1.0 - abs(place - start))), f32(max(0.0, 1.0 - abs(place - start - 1)))
    total = load16(features, 0)
    u, v = u * field.half, v * field.half
    shift = field.half + 0.5
    total = blend4(field.coarse, field.coarse_side, plane, u + field.middle, v + field.middle, start, w0, w1, total)
    total = blend4(field.fine, field.fine_side, plane, u + shift, v + shift, start, w0, w1, total)
    store(features, 0, total)


@kernel
def evaluate(field, x, y, z, features, hidden, at):
    """Raw density at a point in −1..1; its hidden units go to ``hidden`` from ``at`` on; ``features`` (16,) scratch."""
    store(features, 0, splat16(f32(0.0)))
    look_up(field, 0, x, y, z, features)
    look_up(field, 1, x, z, y, features)
    look_up(field, 2, y, z, x, features)
    low, high = load16(field.first_bias, 0), load16(field.first_bias, LANES)
    for c in range(FEATURES):
        value = features[c]
        low = low + load16(field.first, c * HIDDEN) * value
        high = high + load16(field.first, c * HIDDEN + LANES) * value
    low, high = softplus16(low), softplus16(high)
    store(hidden, at, low)
    store(hidden, at + LANES, high)
    return reduce_sum(low * load16(field.density, 0) + high * load16(field.density, LANES)) + field.density_bias


@kernel
def evaluate_all(counter, field, points, features, hidden, sigma):
    """Raw density (M,) at points (M, 3) in −1..1, ``features`` (16,) and ``hidden`` (32,) scratch."""
    while True:
        first = atomic_next(counter) * PIECE
        if first >= points.shape[0]:
            break
        for k in range(first, min(first + PIECE, points.shape[0])):
            sigma[k] = evaluate(field, points[k, 0], points[k, 1], points[k, 2], features, hidden, 0)
