"""Front-to-back blending of the splats of a tile.

A tile of 32 x 32 pixels is 8 x 8 blocks of 4 x 4 pixels, one vector register each. For every splat, one 64-bit mask says
which blocks its ellipse can reach; only those are touched, so a long thin hair costs what it covers and not its box. Blocks
whose pixels are all opaque leave the mask, and a tile without live blocks is finished.

Cut-offs are gsplat's: a splat is skipped where alpha < 1/255, alpha is at most 0.999, and a pixel ends before the splat
that would bring its transmittance to 1e-4 or less. A finished pixel keeps its transmittance with a minus sign.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .projection import ALPHA_CUT, COLOR, KERNEL, TILE
from .simd import (
    absolute,
    atomic_next,
    ceil,
    floor,
    lane_numbers,
    load16,
    low_bytes,
    lowest_bit,
    mask_bits,
    maximum,
    minimum,
    prefetch,
    select,
    splat8,
    splat16,
    sqrt,
    store,
    to_int,
)

f32 = np.float32
BLOCKS = 64
PIXELS = 16
LOG2_ALPHA_MAX = math.log2(0.999)
T_MIN = 1e-4
LOOK_AHEAD = 12  # splats whose records are fetched in advance
CHECK_EVERY = 16  # splats between two looks for finished blocks
ALL_LIVE = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)


@njit(inline="always", **KERNEL)
def exp2_negative(z):
    """2^z for z in [-8, 0], relative error 2e-5: the 8th power of a degree-4 minimax polynomial of 2^(z/8)."""
    p = 0.99999741 + z * (0.086628775 + z * (0.0037397042 + z * (0.00010366028 + z * 1.65211980e-6)))
    p = p * p
    p = p * p
    return p * p


@njit(inline="always", **KERNEL)
def reachable_blocks(records, o, x, y):
    """Bit 8 * row + column is set for every block of the tile with first pixel centre (x, y) that the ellipse can meet.

    For each of the 8 bands of 4 pixel rows: the ellipse's exact extent in x within the band.
    """
    mx, h, slope, y_right = records[o] - x, records[o + 6], records[o + 7], records[o + 8]
    low = lane_numbers(splat8(h)) * 4.0 + (y - records[o + 1])
    high = low + 3.0
    met = (low <= h) & (high >= -h)
    low, high = maximum(low, -h), minimum(high, h)
    at_right, at_left = minimum(maximum(low, y_right), high), minimum(maximum(low, -y_right), high)
    q0, q1 = records[o + 9], records[o + 10]
    right = slope * at_right + mx + sqrt(maximum(q0 - q1 * at_right * at_right, 0.0))
    left = slope * at_left + mx - sqrt(maximum(q0 - q1 * at_left * at_left, 0.0))
    first = minimum(maximum(ceil((left - 3.0) * 0.25), 0.0), 8.0)
    last = minimum(maximum(floor(right * 0.25), -1.0), 7.0)
    columns = (_ones8(first) << to_int(first)) & (_ones8(first) >> to_int(7.0 - last))
    return low_bytes(select(met, columns, 0))


@njit(inline="always", **KERNEL)
def _ones8(like):
    return to_int(like * 0.0 + 255.0)


@njit(inline="always", **KERNEL)
def lane_grid():
    """x and y of the 16 pixels of a block, in pixels from its first."""
    lane = lane_numbers(splat16(f32(0)))
    y = floor(lane * 0.25)
    return lane - y * 4.0, y


@njit(**KERNEL)
def finished_blocks(state, block_size):
    """Bits of the blocks in which every pixel is opaque (or outside the image)."""
    finished = np.uint64(0)
    for k in range(BLOCKS):
        if mask_bits(load16(state, k * block_size) > T_MIN) == 0:
            finished |= ONE << np.uint64(k)
    return finished


@njit(**KERNEL)
def mark_outside(state, block_size, x0, y0, width, height):
    """Marks the pixels beyond the image's edge as finished."""
    if x0 + TILE <= width and y0 + TILE <= height:
        return
    for k in range(BLOCKS):
        for lane in range(PIXELS):
            if x0 + (k & 7) * 4 + (lane & 3) >= width or y0 + (k >> 3) * 4 + (lane >> 2) >= height:
                state[k * block_size + lane] = f32(-1)


@njit(**KERNEL)
def _blend_tile(channels, records, width, ids, start, end, x0, y0, image_width, image_height, state):
    """state[block, 0, lane] = transmittance, state[block, 1 + c, lane] = channel c."""
    size = (1 + len(channels)) * PIXELS
    for k in range(BLOCKS):
        store(state, k * size, splat16(f32(1)))
        for c in range(len(channels)):
            store(state, k * size + (1 + c) * PIXELS, splat16(f32(0)))
    mark_outside(state, size, x0, y0, image_width, image_height)
    live = ALL_LIVE & ~finished_blocks(state, size)
    lane_x, lane_y = lane_grid()
    first_x, first_y = f32(x0) + f32(0.5), f32(y0) + f32(0.5)
    for q in range(start, end):
        prefetch(records, np.int64(ids[min(q + LOOK_AHEAD, end - 1)]) * width)
        o = np.int64(ids[q]) * width
        blocks = reachable_blocks(records, o, first_x, first_y) & live
        dx0, dy0 = lane_x + (first_x - records[o]), lane_y + (first_y - records[o + 1])
        A, B, C, lo = records[o + 2], records[o + 3], records[o + 4], records[o + 5]
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
            for c in range(len(channels)):
                at = s + (1 + c) * PIXELS
                store(state, at, load16(state, at) + weight * records[o + COLOR + c])
        if (q - start) % CHECK_EVERY == CHECK_EVERY - 1:
            live &= ~finished_blocks(state, size)
            if live == 0:
                break


@njit(**KERNEL)
def blend_image(
    counter, channels, tile_order, tiles_x, tile_start, records, width, ids, background, state, out, transmittance
):  # fmt: skip
    """Blends tiles until `counter` runs out: out (H,W,D) float32 over `background` (D,), transmittance (H,W)."""
    height, image_width = transmittance.shape
    size = (1 + len(channels)) * PIXELS
    while True:
        turn = atomic_next(counter)
        if turn >= tile_order.shape[0]:
            break
        t = tile_order[turn]
        x0, y0 = (t % tiles_x) * TILE, (t // tiles_x) * TILE
        _blend_tile(
            channels, records, width, ids, tile_start[t], tile_start[t + 1], x0, y0, image_width, height, state
        )
        for y in range(min(TILE, height - y0)):
            for x in range(min(TILE, image_width - x0)):
                s = ((y >> 2) * 8 + (x >> 2)) * size + (y & 3) * 4 + (x & 3)
                T = abs(state[s])
                transmittance[y0 + y, x0 + x] = T
                for c in range(out.shape[2]):
                    out[y0 + y, x0 + x, c] = state[s + (1 + c) * PIXELS] + T * background[c]


@njit(**KERNEL)
def blend_rgb8(
    counter, channels, tile_order, tiles_x, tile_start, records, width, ids, background, state, out
):  # fmt: skip
    """Like `blend_image` for three channels, written as bytes: out (H,W,3) uint8."""
    height, image_width = out.shape[0], out.shape[1]
    size = (1 + len(channels)) * PIXELS
    while True:
        turn = atomic_next(counter)
        if turn >= tile_order.shape[0]:
            break
        t = tile_order[turn]
        x0, y0 = (t % tiles_x) * TILE, (t // tiles_x) * TILE
        _blend_tile(
            channels, records, width, ids, tile_start[t], tile_start[t + 1], x0, y0, image_width, height, state
        )
        for y in range(min(TILE, height - y0)):
            for x in range(min(TILE, image_width - x0)):
                s = ((y >> 2) * 8 + (x >> 2)) * size + (y & 3) * 4 + (x & 3)
                T = abs(state[s])
                for c in range(3):
                    value = state[s + (1 + c) * PIXELS] + T * background[c]
                    out[y0 + y, x0 + x, c] = np.uint8(min(max(value, f32(0)), f32(1)) * f32(255) + f32(0.5))
