"""Front-to-back blending of the splats of a tile.

A tile of 32 x 32 pixels is 8 x 8 blocks of 4 x 4 pixels, one vector register each. For every splat, one 64-bit mask
says which blocks its ellipse can reach; only those are touched, so a long thin hair costs what it covers and not its
box. Blocks whose pixels are all opaque leave the mask, and a tile without live blocks is finished.

Cut-offs are gsplat's: a splat is skipped where alpha < 1/255, alpha is at most 0.999, and a pixel ends before the splat
that would bring its transmittance to 1e-4 or less. A finished pixel keeps its transmittance with a minus sign.
"""

from __future__ import annotations

import math

import numpy as np

from .projection import ALPHA_CUT, COLOR, TILE
from .simd import (
    absolute,
    atomic_next,
    ceil,
    floor,
    inlined,
    kernel,
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
BATCH = 64  # splats between two looks for finished blocks
ALL_LIVE = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)


@inlined
def exp2_negative(z):
    """2^z for z in [-8, 0], relative error 2e-5: the 8th power of a degree-4 minimax polynomial of 2^(z/8)."""
    p = 0.99999741 + z * (0.086628775 + z * (0.0037397042 + z * (0.00010366028 + z * 1.65211980e-6)))
    p = p * p
    p = p * p
    return p * p


@inlined
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


@inlined
def _ones8(like):
    return to_int(like * 0.0 + 255.0)


@inlined
def lane_grid():
    """x and y of the 16 pixels of a block, in pixels from its first."""
    lane = lane_numbers(splat16(f32(0)))
    y = floor(lane * 0.25)
    return lane - y * 4.0, y


@kernel
def list_blocks(visible, ids, begin, end, last, x, y, masks):
    """masks[q - begin] = `reachable_blocks` of entry q of `ids`, for begin <= q < end.

    A batch ahead of the blending: how many blocks a splat has is a branch that no processor foresees, and the whole
    computation of the mask would stand still at each one.
    """
    records, width = visible.records, visible.width
    for q in range(begin, end):
        prefetch(records, np.int64(ids[min(q + LOOK_AHEAD, last - 1)]) * width)
        masks[q - begin] = reachable_blocks(records, np.int64(ids[q]) * width, x, y)


@kernel
def finished_blocks(state, block_size):
    """Bits of the blocks in which every pixel is opaque (or outside the image)."""
    finished = np.uint64(0)
    for k in range(BLOCKS):
        if mask_bits(load16(state, k * block_size) > T_MIN) == 0:
            finished |= ONE << np.uint64(k)
    return finished


@kernel
def mark_outside(state, block_size, x0, y0, width, height):
    """Marks the pixels beyond the image's edge as finished."""
    if x0 + TILE <= width and y0 + TILE <= height:
        return
    for k in range(BLOCKS):
        for lane in range(PIXELS):
            if x0 + (k & 7) * 4 + (lane & 3) >= width or y0 + (k >> 3) * 4 + (lane >> 2) >= height:
                state[k * block_size + lane] = f32(-1)


@kernel
def _blend_tile(channels, visible, tiles, t, x0, y0, image_width, image_height, scratch):
    """Blends tile t with first pixel (x0, y0) to state[block, 0] = transmittance, state[block, 1 + c] = channel c."""
    records, width, ids, state = visible.records, visible.width, tiles.ids, scratch.state
    start, end = tiles.start[t], tiles.start[t + 1]
    size = (1 + len(channels)) * PIXELS
    for k in range(BLOCKS):
        store(state, k * size, splat16(f32(1)))
        for c in range(len(channels)):
            store(state, k * size + (1 + c) * PIXELS, splat16(f32(0)))
    mark_outside(state, size, x0, y0, image_width, image_height)
    live = ALL_LIVE & ~finished_blocks(state, size)
    lane_x, lane_y = lane_grid()
    first_x, first_y = f32(x0) + f32(0.5), f32(y0) + f32(0.5)
    for batch in range(start, end, BATCH):
        batch_end = min(batch + BATCH, end)
        list_blocks(visible, ids, batch, batch_end, end, first_x, first_y, scratch.masks)
        for q in range(batch, batch_end):
            blocks = scratch.masks[q - batch] & live
            o = np.int64(ids[q]) * width
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
        live &= ~finished_blocks(state, size)
        if live == 0:
            break


@kernel
def _over_background(channels, state, background, gain, offset):
    """Channels become gain * (channel + T * background) + offset, and T its magnitude."""
    size = (1 + len(channels)) * PIXELS
    for k in range(BLOCKS):
        T = absolute(load16(state, k * size))
        store(state, k * size, T)
        for c in range(background.shape[0]):
            at = k * size + (1 + c) * PIXELS
            store(state, at, (load16(state, at) + T * background[c]) * gain + offset)


@kernel
def blend_image(counter, channels, visible, tiles, background, scratch, picture):
    """Blends tiles to `picture` over `background` (D,) until `counter` runs out; several threads share one counter.

    channels: a tuple as long as the number of channels in a record, which the compiler so gets to know.
    """
    height, width, outputs = picture.color.shape
    state, size = scratch.state, (1 + len(channels)) * PIXELS
    while True:
        turn = atomic_next(counter)
        if turn >= tiles.turns.shape[0]:
            break
        t = tiles.turns[turn]
        x0, y0 = (t % tiles.columns) * TILE, (t // tiles.columns) * TILE
        _blend_tile(channels, visible, tiles, t, x0, y0, width, height, scratch)
        _over_background(channels, state, background, f32(1), f32(0))
        for y in range(min(TILE, height - y0)):
            for x in range(0, min(TILE, width - x0), 4):
                s = np.uint64(((y >> 2) * 8 + (x >> 2)) * size + (y & 3) * 4)
                for u in range(min(4, width - x0 - x)):
                    p = s + np.uint64(u)
                    picture.alpha[y0 + y, x0 + x + u] = f32(1) - state[p]
                    for c in range(outputs):
                        picture.color[y0 + y, x0 + x + u, c] = state[p + np.uint64((1 + c) * PIXELS)]


@kernel
def blend_rgb8(counter, channels, visible, tiles, background, scratch, out):
    """Like `blend_image` for three channels, rounded to bytes: out (H,W,3) uint8."""
    height, width = out.shape[0], out.shape[1]
    state, size = scratch.state, (1 + len(channels)) * PIXELS
    while True:
        turn = atomic_next(counter)
        if turn >= tiles.turns.shape[0]:
            break
        t = tiles.turns[turn]
        x0, y0 = (t % tiles.columns) * TILE, (t // tiles.columns) * TILE
        _blend_tile(channels, visible, tiles, t, x0, y0, width, height, scratch)
        _over_background(channels, state, background, f32(255), f32(0.5))
        for y in range(min(TILE, height - y0)):
            for x in range(0, min(TILE, width - x0), 4):
                s = np.uint64(((y >> 2) * 8 + (x >> 2)) * size + (y & 3) * 4)
                for u in range(min(4, width - x0 - x)):
                    for c in range(3):
                        value = state[s + np.uint64(u + (1 + c) * PIXELS)]
                        out[y0 + y, x0 + x + u, c] = np.uint8(np.int32(min(max(value, f32(0)), f32(255))))
