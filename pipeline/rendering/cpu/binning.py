"""Depth order, and which splats touch which coarse tile.

One radix sort of the visible splats by depth, then a counting sort into tiles that keeps that order, so that no
(tile, splat) pair is ever sorted. Ties keep the input order: the result does not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from .projection import CHUNK, TILE
from .simd import atomic_next, inlined, kernel, prefetch

f32 = np.float32
TWO_PASS_BITS, HISTOGRAM = 24, 4096
LOOK_AHEAD = 16  # splats whose rectangles are fetched in advance
EXACT_FROM = 3  # tile columns plus rows beyond the first, from which the ellipse itself is followed and not its box


@kernel
def sort_by_depth(visible, key_a, id_a, key_b, id_b, histogram):
    """Record numbers of the visible splats, nearest first (a view of id_a or id_b, which are scratch like the rest)."""
    keys, counts, chunks = visible.depths.view(np.int32), visible.counts, visible.counts.shape[0]
    low, high, found = 0x7FFFFFFF, 0, 0  # positive floats order like their bit patterns
    for chunk in range(chunks):
        found += counts[chunk]
        for i in range(chunk * CHUNK, chunk * CHUNK + counts[chunk]):
            low, high = min(low, keys[i]), max(high, keys[i])
    if found == 0:
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
    for chunk in range(chunks):
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


@inlined
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
    last = min(x_last, int(min(right, f32(2e6))) // TILE) if right >= f32(0) else -1
    return first, last


@kernel
def list_tiles(counter, order, visible, columns, capacity, pairs, keep_spans):
    """Lists which tiles each splat touches; segments of `order` are taken from `counter` by several threads.

    Fills `pairs` for an image of `columns` tiles in a row. Where needed[s] exceeds `capacity` the list is incomplete:
    grow and run again.
    """
    histograms, tiles, splats, spans = pairs.histograms, pairs.places, pairs.splats, pairs.spans
    records, width, rects = visible.records, visible.width, visible.rects
    segments, n = histograms.shape[0], order.shape[0]
    while True:
        segment = atomic_next(counter)
        if segment >= segments:
            break
        histogram = histograms[segment]
        histogram[:] = 0
        base = segment * capacity
        e = base
        last_splat = n * (segment + 1) // segments
        for i in range(n * segment // segments, last_splat):
            prefetch(rects, np.int64(order[min(i + LOOK_AHEAD, last_splat - 1)]) * 4)
            j = np.int64(order[i])
            begin = e
            x_first, top, x_last, bottom = (
                np.int64(rects[j, 0]), np.int64(rects[j, 1]), np.int64(rects[j, 2]), np.int64(rects[j, 3]),
            )  # fmt: skip
            follow = bottom > top and x_last > x_first and bottom - top + x_last - x_first >= EXACT_FROM
            for y in range(top, bottom + 1):
                first, last = x_first, x_last
                if follow:
                    first, last = _tile_span(records, j * width, y, x_first, x_last)
                for t in range(y * columns + first, y * columns + last + 1):
                    if e - base < capacity:
                        histogram[t] += 1
                        tiles[e], splats[e] = t, j
                    e += 1
            if keep_spans:
                spans[j, 0], spans[j, 1] = begin, e
        pairs.needed[segment] = e - base


@kernel
def allot_tiles(histograms, tile_start):
    """Counts to places: tile_start[t] is where tile t begins, histograms[s, t] where segment s writes in it."""
    position = 0
    for t in range(histograms.shape[1]):
        tile_start[t] = position
        for segment in range(histograms.shape[0]):
            count = histograms[segment, t]
            histograms[segment, t] = position
            position += count
    tile_start[histograms.shape[1]] = position


@kernel
def fill_tiles(counter, capacity, pairs, ids):
    """Writes every pair's splat to its place in `ids`, and the place over the pair's tile."""
    histograms, needed, tiles, splats = pairs.histograms, pairs.needed, pairs.places, pairs.splats
    while True:
        segment = atomic_next(counter)
        if segment >= histograms.shape[0]:
            break
        next_place = histograms[segment]
        for e in range(segment * capacity, segment * capacity + needed[segment]):
            t = tiles[e]
            place = next_place[t]
            next_place[t] = place + 1
            ids[place] = splats[e]
            tiles[e] = place
