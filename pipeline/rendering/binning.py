"""Depth order, and which splats touch which coarse tile.

One radix sort of the visible splats by depth, then a counting sort into tiles that keeps that order, so that no
(tile, splat) pair is ever sorted. Ties keep the input order: the result does not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .projection import CHUNK, KERNEL, TILE
from .simd import atomic_next

f32 = np.float32
TWO_PASS_BITS, HISTOGRAM = 24, 4096
EXACT_FROM = 3  # tile columns plus rows beyond the first, from which the ellipse itself is followed and not its box


@njit(**KERNEL)
def sort_by_depth(keys, counts, total, key_a, id_a, key_b, id_b, histogram):
    """Record numbers of the visible splats, nearest first (int32 view of a scratch buffer).

    keys: depths as int32 bit patterns (they order like the positive floats they are); counts: visible per chunk.
    """
    low, high, visible = 0x7FFFFFFF, 0, 0
    for chunk in range((total + CHUNK - 1) // CHUNK):
        visible += counts[chunk]
        for i in range(chunk * CHUNK, chunk * CHUNK + counts[chunk]):
            low, high = min(low, keys[i]), max(high, keys[i])
    if visible == 0:
        return id_a[:0]
    span_bits = 0
    while (np.int64(high) - np.int64(low)) >> span_bits:
        span_bits += 1
    passes = 2 if span_bits <= TWO_PASS_BITS else 3
    bits = max(1, (span_bits + passes - 1) // passes)
    digits = np.uint32((1 << bits) - 1)
    for k in range(passes * HISTOGRAM):
        histogram[k] = 0
    n = 0
    for chunk in range((total + CHUNK - 1) // CHUNK):
        for i in range(chunk * CHUNK, chunk * CHUNK + counts[chunk]):
            key = np.uint32(keys[i] - low)
            key_a[n], id_a[n] = key, i
            n += 1
            for p in range(passes):
                histogram[p * HISTOGRAM + np.int64((key >> np.uint32(p * bits)) & digits)] += 1
    for p in range(passes):
        start = 0
        for k in range(p * HISTOGRAM, p * HISTOGRAM + (1 << bits)):
            size = histogram[k]
            histogram[k] = start
            start += size
        shift, base = np.uint32(p * bits), p * HISTOGRAM
        for i in range(n):
            digit = base + np.int64((key_a[i] >> shift) & digits)
            slot = histogram[digit]
            histogram[digit] = slot + 1
            key_b[slot], id_b[slot] = key_a[i], id_a[i]
        key_a, key_b, id_a, id_b = key_b, key_a, id_b, id_a
    return id_a[:n]


@njit(inline="always", **KERNEL)
def _tile_span(records, o, y, x_first, x_last):
    """First and last tile column that the ellipse of the record at `o` meets in tile row `y`."""
    my, h, slope, y_right = records[o + 1], records[o + 6], records[o + 7], records[o + 8]
    q0, q1, mx = records[o + 9], records[o + 10], records[o] - f32(0.5)
    low = max(f32(y * TILE) + f32(0.5) - my, -h)
    high = min(f32(y * TILE + TILE) - f32(0.5) - my, h)
    at_right, at_left = min(max(y_right, low), high), min(max(-y_right, low), high)
    right = mx + slope * at_right + math.sqrt(max(f32(0), q0 - q1 * at_right * at_right))
    left = mx + slope * at_left - math.sqrt(max(f32(0), q0 - q1 * at_left * at_left))
    first = max(x_first, int(max(left, f32(0))) // TILE)
    last = min(x_last, int(min(right, f32(1e6))) // TILE) if right >= f32(0) else -1
    return first, last


@njit(**KERNEL)
def bin_bands(
    counter, bands, order, records, width, rects, tiles_x, tiles_y, capacity,
    tile_start, tile_end, ids, stream, starts, needed,
):  # fmt: skip
    """Fills the tiles of horizontal bands of the image; bands are taken from `counter` by several threads.

    Band b owns ids[b * capacity:][:capacity]. Tile t holds ids[tile_start[t]:tile_end[t]], in depth order. Splat i of
    `order` has its places in ids at stream[starts[b, i]:starts[b, i + 1]], for the gradients' way back.
    needed[b] is the number of entries; where it exceeds `capacity` the band is incomplete: grow and run again.
    """
    n = order.shape[0]
    while True:
        band = atomic_next(counter)
        if band >= bands:
            break
        row_first, row_end = tiles_y * band // bands, tiles_y * (band + 1) // bands
        tile_first, tile_last = row_first * tiles_x, row_end * tiles_x
        for t in range(tile_first, tile_last):
            tile_end[t] = 0
        base = band * capacity
        e = base
        for i in range(n):
            starts[band, i] = e
            j = np.int64(order[i])
            top, bottom = max(row_first, np.int64(rects[j, 1])), min(row_end - 1, np.int64(rects[j, 3]))
            if top > bottom:
                continue
            x_first, x_last = np.int64(rects[j, 0]), np.int64(rects[j, 2])
            rows, columns = np.int64(rects[j, 3]) - np.int64(rects[j, 1]), x_last - x_first
            follow = rows > 0 and columns > 0 and rows + columns >= EXACT_FROM
            for y in range(top, bottom + 1):
                first, last = x_first, x_last
                if follow:
                    first, last = _tile_span(records, j * width, y, x_first, x_last)
                for t in range(y * tiles_x + first, y * tiles_x + last + 1):
                    if e - base < capacity:
                        tile_end[t] += 1
                        stream[e] = t
                    e += 1
        starts[band, n] = e
        needed[band] = e - base
        if e - base > capacity:
            continue
        position = base
        for t in range(tile_first, tile_last):
            tile_start[t] = position
            position += tile_end[t]
            tile_end[t] = tile_start[t]
        for i in range(n):
            for entry in range(starts[band, i], starts[band, i + 1]):
                t = stream[entry]
                place = tile_end[t]
                tile_end[t] = place + 1
                ids[place] = order[i]
                stream[entry] = place
