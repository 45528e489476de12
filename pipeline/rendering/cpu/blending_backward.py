"""The derivative of blending.

The backward pass replays the forward pass front to back. With g the gradient of a pixel's channels, T the
transmittance in front of splat i, and S what is still to come of g . output,

    dL/dalpha_i = T g . c_i - S / (1 - alpha_i).

It needs no division chain to recover T and no record of where a pixel ended. Each (tile, splat) pair writes its own
sums, so there are no atomic additions and the result is the same for any number of threads.
"""

from __future__ import annotations

import numpy as np

from .blending import (
    ALL_LIVE,
    BATCH,
    BLOCKS,
    LOG2_ALPHA_MAX,
    ONE,
    PIXELS,
    T_MIN,
    exp2_negative,
    finished_blocks,
    lane_grid,
    list_blocks,
    mark_outside,
)
from .projection import ALPHA_CUT, COLOR, LOG2_E, TILE
from .simd import (
    absolute,
    atomic_next,
    kernel,
    load16,
    lowest_bit,
    minimum,
    reduce_sum,
    select,
    splat16,
    store,
)

f32 = np.float32
# What a (tile, splat) pair adds up, v being dL/d(ln alpha): v times 1, dx, dy, dx^2, dx dy, dy^2, the absolute gradient
# of the mean (x, y), then the gradient of every channel.
MOMENTS = 8


@kernel
def _load_tile(channels, x0, y0, picture, v_picture, state):
    """Per block: T, S, and the gradient of every channel."""
    height, width, outputs = picture.color.shape
    size = (2 + len(channels)) * PIXELS
    for k in range(BLOCKS * size):
        state[k] = f32(0)
    for k in range(BLOCKS):
        store(state, k * size, splat16(f32(1)))
    mark_outside(state, size, x0, y0, width, height)
    for y in range(min(TILE, height - y0)):
        for x in range(min(TILE, width - x0)):
            s = ((y >> 2) * 8 + (x >> 2)) * size + (y & 3) * 4 + (x & 3)
            to_come = v_picture.alpha[y0 + y, x0 + x] * (picture.alpha[y0 + y, x0 + x] - f32(1))
            for c in range(outputs):
                g = v_picture.color[y0 + y, x0 + x, c]
                state[s + (2 + c) * PIXELS] = g
                to_come += g * picture.color[y0 + y, x0 + x, c]
            state[s + PIXELS] = to_come


@kernel
def _replay_tile(channels, absgrad, visible, tiles, t, x0, y0, scratch, gradients):
    """gradients[q] = the sums of entry q of `tiles.ids`, for the entries of tile t."""
    records, width, ids = visible.records, visible.width, tiles.ids
    start, end = tiles.start[t], tiles.start[t + 1]
    state, sums = scratch.state, scratch.sums
    size = (2 + len(channels)) * PIXELS
    stride = MOMENTS + len(channels)
    live = ALL_LIVE & ~finished_blocks(state, size)
    lane_x, lane_y = lane_grid()
    first_x, first_y = f32(x0) + f32(0.5), f32(y0) + f32(0.5)
    zero = splat16(f32(0))
    for batch in range(start, end, BATCH):
        if live == 0:
            gradients[batch * stride : end * stride] = f32(0)
            break
        batch_end = min(batch + BATCH, end)
        list_blocks(visible, ids, batch, batch_end, end, first_x, first_y, scratch.masks)
        for q in range(batch, batch_end):
            g0 = q * stride
            blocks = scratch.masks[q - batch] & live
            if blocks == 0:
                for c in range(stride):
                    gradients[g0 + c] = f32(0)
                continue
            o = np.int64(ids[q]) * width
            dx0, dy0 = lane_x + (first_x - records[o]), lane_y + (first_y - records[o + 1])
            A, B, C, lo = records[o + 2], records[o + 3], records[o + 4], records[o + 5]
            v1, vx, vy, vxx, vxy, vyy, abs_x, abs_y = zero, zero, zero, zero, zero, zero, zero, zero
            for c in range(len(channels)):
                store(sums, c * PIXELS, zero)
            while blocks != 0:
                k = lowest_bit(blocks)
                blocks &= blocks - ONE
                s = k * size
                dx, dy = dx0 + f32((k & 7) * 4), dy0 + f32((k >> 3) * 4)
                z = lo - dx * (A * dx + B * dy) - C * dy * dy
                alpha = select(z >= -ALPHA_CUT, exp2_negative(minimum(z, LOG2_ALPHA_MAX)), 0.0)
                T = load16(state, s)
                weight = alpha * T
                rest = T - weight
                going = rest > T_MIN
                weight = select(going, weight, 0.0)
                store(state, s, select(going, rest, -absolute(T)))
                along = zero
                for c in range(len(channels)):
                    g = load16(state, s + (2 + c) * PIXELS)
                    along = along + g * records[o + COLOR + c]
                    store(sums, c * PIXELS, load16(sums, c * PIXELS) + weight * g)
                to_come = load16(state, s + PIXELS) - weight * along
                store(state, s + PIXELS, to_come)
                # alpha (T g.c - S / (1 - alpha)), nothing where alpha is held at its maximum
                v = weight * along - select(going, alpha, 0.0) * to_come / (1.0 - alpha)
                v = select(z < LOG2_ALPHA_MAX, v, 0.0)
                vdx, vdy = v * dx, v * dy
                v1, vx, vy = v1 + v, vx + vdx, vy + vdy
                vxx, vxy, vyy = vxx + vdx * dx, vxy + vdx * dy, vyy + vdy * dy
                if absgrad:
                    abs_x = abs_x + absolute(vdx * (2.0 * A) + vdy * B)
                    abs_y = abs_y + absolute(vdx * B + vdy * (2.0 * C))
            gradients[g0] = reduce_sum(v1)
            gradients[g0 + 1] = reduce_sum(vx)
            gradients[g0 + 2] = reduce_sum(vy)
            gradients[g0 + 3] = reduce_sum(vxx)
            gradients[g0 + 4] = reduce_sum(vxy)
            gradients[g0 + 5] = reduce_sum(vyy)
            gradients[g0 + 6] = reduce_sum(abs_x) / LOG2_E
            gradients[g0 + 7] = reduce_sum(abs_y) / LOG2_E
            for c in range(len(channels)):
                gradients[g0 + MOMENTS + c] = reduce_sum(load16(sums, c * PIXELS))
        live &= ~finished_blocks(state, size)


@kernel
def blend_image_backward(counter, channels, absgrad, visible, tiles, picture, v_picture, scratch, gradients):
    """Replays tiles until `counter` runs out and writes every entry's sums to `gradients` (entries * stride).

    picture: what the forward pass gave; v_picture: the loss's gradients to its colour and alpha.
    """
    while True:
        turn = atomic_next(counter)
        if turn >= tiles.turns.shape[0]:
            break
        t = tiles.turns[turn]
        if tiles.start[t] == tiles.start[t + 1]:
            continue
        x0, y0 = (t % tiles.columns) * TILE, (t // tiles.columns) * TILE
        _load_tile(channels, x0, y0, picture, v_picture, scratch.state)
        _replay_tile(channels, absgrad, visible, tiles, t, x0, y0, scratch, gradients)
