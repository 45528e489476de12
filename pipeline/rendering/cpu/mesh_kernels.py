"""Triangles to fragments, band by band of the picture, each band by one thread.

A face becomes one record of `RECORD` floats, all relative to the first pixel centre of its box, so that float32 is
enough: screen-space barycentrics b and inverse depth are affine in the pixel's place (inverse depth, and not depth, is
what perspective keeps straight).
  0..8    b_i = r[3i] dx + r[3i+1] dy + r[3i+2]
  9..11   1/z of the three corners
  12..14  1/z = r[12] dx + r[13] dy + r[14]
  15, 16  least and greatest 1/z of the corners, which slivers seen edge-on would overshoot by rounding
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arrays import Floats, Ints
from .simd import (
    atomic_next,
    inlined,
    kernel,
    lane_numbers,
    load16,
    mask_bits,
    maximum,
    minimum,
    select,
    splat16,
    store,
)

f32 = np.float32
RECORD = 17
BAND = 32  # rows
LANES = 16
CHUNK = 1024  # faces prepared at a time
SMALLEST_AREA = 1e-6  # twice the triangle's area in square pixels; what is smaller counts as degenerate
INSIDE = f32(-1e-6)  # least barycentric of a pixel inside: a pixel on a common edge is lost by neither triangle
MOST_FACES = 2**24  # numbers that float32 lanes tell apart


class Triangles(NamedTuple):
    """Prepared faces of one view."""

    boxes: Ints
    """(F, 4) first column and row, last column and row of the pixels that may be inside; last < first when none is."""
    records: Floats
    """(F * RECORD,)"""


class Output(NamedTuple):
    """The fragments of one view, as `Fragments` has them."""

    face: Ints
    """(H, W)"""
    barycentrics: Floats
    """(H, W, 3)"""
    depth: Floats
    """(H, W)"""


@kernel
def prepare(counter, screen, faces, width, height, near, triangles):
    """Boxes and records of all faces; ``screen`` (V, 3) float64 x and y in pixels, z in metres."""
    boxes, records = triangles.boxes, triangles.records
    count = faces.shape[0]
    while True:
        chunk = atomic_next(counter)
        if chunk * CHUNK >= count:
            break
        for f in range(chunk * CHUNK, min(count, chunk * CHUNK + CHUNK)):
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            boxes[f, 2], boxes[f, 0] = -1, 0
            z0, z1, z2 = screen[i, 2], screen[j, 2], screen[k, 2]
            if not (z0 >= near and z1 >= near and z2 >= near):
                continue
            x0, y0, x1, y1, x2, y2 = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1], screen[k, 0], screen[k, 1]
            area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
            if not (abs(area) > SMALLEST_AREA and math.isfinite(area)):
                continue
            left = math.ceil(max(min(x0, x1, x2) - 0.5, 0.0))
            top = math.ceil(max(min(y0, y1, y2) - 0.5, 0.0))
            right = math.floor(min(max(x0, x1, x2) - 0.5, width - 1.0))
            bottom = math.floor(min(max(y0, y1, y2) - 0.5, height - 1.0))
            if right < left or bottom < top:
                continue
            boxes[f, 0], boxes[f, 1], boxes[f, 2], boxes[f, 3] = left, top, right, bottom
            w0, w1, w2 = 1 / z0, 1 / z1, 1 / z2
            px, py, scale = left + 0.5, top + 0.5, 1 / area
            a0, b0 = (y1 - y2) * scale, (x2 - x1) * scale
            a1, b1 = (y2 - y0) * scale, (x0 - x2) * scale
            a2, b2 = (y0 - y1) * scale, (x1 - x0) * scale
            c0 = a0 * (px - x1) + b0 * (py - y1)
            c1 = a1 * (px - x2) + b1 * (py - y2)
            c2 = a2 * (px - x0) + b2 * (py - y0)
            r = records[f * RECORD : f * RECORD + RECORD]
            r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8] = a0, b0, c0, a1, b1, c1, a2, b2, c2
            r[9], r[10], r[11] = w0, w1, w2
            r[12] = a0 * w0 + a1 * w1 + a2 * w2
            r[13] = b0 * w0 + b1 * w1 + b2 * w2
            r[14] = c0 * w0 + c1 * w1 + c2 * w2
            r[15], r[16] = min(w0, w1, w2), max(w0, w1, w2)


@kernel
def count_bands(boxes, start):
    """start[b] … start[b + 1]: places of band b in the list that `list_bands` makes; their number is returned."""
    start[:] = 0
    for f in range(boxes.shape[0]):
        if boxes[f, 2] >= boxes[f, 0]:
            for band in range(boxes[f, 1] // BAND, boxes[f, 3] // BAND + 1):
                start[band + 1] += 1
    for band in range(1, start.shape[0]):
        start[band] += start[band - 1]
    return start[-1]


@kernel
def list_bands(boxes, start, places, members):
    """Faces of every band in ascending order; ``places`` is scratch."""
    places[:] = start[:-1]
    for f in range(boxes.shape[0]):
        if boxes[f, 2] >= boxes[f, 0]:
            for band in range(boxes[f, 1] // BAND, boxes[f, 3] // BAND + 1):
                members[places[band]] = f
                places[band] += 1


@inlined
def _draw_face(records, o, left, right, first, last, top, row_size, face, nearest, ids):
    """One face, with its record at ``o``, over rows first … last of the band that begins at row 0 of ``nearest`` and
    ``ids``; its box begins at column ``left`` and at row ``top`` of the band (perhaps above it)."""
    lane = lane_numbers(splat16(f32(0)))
    low, high = records[o + 15], records[o + 16]
    for x in range(left, right + 1, LANES):
        dx = lane + f32(x - left)
        base0 = dx * records[o] + records[o + 2]
        base1 = dx * records[o + 3] + records[o + 5]
        base2 = dx * records[o + 6] + records[o + 8]
        base = dx * records[o + 12] + records[o + 14]
        for y in range(first, last + 1):
            dy = f32(y - top)
            b0, b1, b2 = base0 + dy * records[o + 1], base1 + dy * records[o + 4], base2 + dy * records[o + 7]
            at = y * row_size + x
            behind = load16(nearest, at)
            inverse = minimum(maximum(base + dy * records[o + 13], low), high)
            inside = (minimum(minimum(b0, b1), b2) >= INSIDE) & (inverse > behind)
            if mask_bits(inside) != 0:
                store(nearest, at, select(inside, inverse, behind))
                store(ids, at, select(inside, f32(face), load16(ids, at)))


@kernel
def draw(counter, start, members, triangles, nearest, ids, output):
    """Draws bands until ``counter`` runs out; ``nearest`` and ``ids`` are this thread's scratch of one band each, whose
    rows have `LANES` columns to spare."""
    boxes, records = triangles.boxes, triangles.records
    height, width = output.face.shape
    row_size = width + LANES
    while True:
        band = atomic_next(counter)
        if band >= start.shape[0] - 1:
            break
        y0 = band * BAND
        rows = min(BAND, height - y0)
        for p in range(rows * row_size):
            nearest[p] = f32(0)
            ids[p] = f32(-1)
        for place in range(start[band], start[band + 1]):
            f = np.int64(members[place])
            left, top, right, bottom = boxes[f, 0], boxes[f, 1] - y0, boxes[f, 2], boxes[f, 3] - y0
            first, last = max(top, 0), min(bottom, rows - 1)
            _draw_face(records, f * RECORD, left, right, first, last, top, row_size, f, nearest, ids)
        _resolve(rows, y0, row_size, ids, triangles, output)


@kernel
def _resolve(rows, y0, row_size, ids, triangles, output):
    """Writes the fragments of a band whose nearest faces are in ``ids``."""
    boxes, records = triangles.boxes, triangles.records
    faces, barycentrics, depths = output.face, output.barycentrics, output.depth
    for row in range(rows):
        y = np.uint64(y0 + row)
        for column in range(faces.shape[1]):
            x = np.uint64(column)
            f = np.int32(ids[np.uint64(row * row_size + column)])
            faces[y, x] = f
            if f < 0:
                depths[y, x] = np.inf
                barycentrics[y, x, 0] = barycentrics[y, x, 1] = barycentrics[y, x, 2] = f32(0)
                continue
            o = np.uint64(f) * np.uint64(RECORD)
            dx, dy = f32(column - boxes[np.uint64(f), 0]), f32(y0 + row - boxes[np.uint64(f), 1])
            p0 = _share(records, o, dx, dy, 0)
            p1 = _share(records, o, dx, dy, 1)
            p2 = _share(records, o, dx, dy, 2)
            scale = f32(1) / (p0 + p1 + p2)
            inverse = records[o + np.uint64(12)] * dx + records[o + np.uint64(13)] * dy + records[o + np.uint64(14)]
            depths[y, x] = f32(1) / min(max(inverse, records[o + np.uint64(15)]), records[o + np.uint64(16)])
            barycentrics[y, x, 0], barycentrics[y, x, 1] = p0 * scale, p1 * scale
            barycentrics[y, x, 2] = p2 * scale


@inlined
def _share(records, o, dx, dy, corner):
    """A corner's screen-space barycentric over its depth, not yet divided by the sum of the three."""
    a = o + np.uint64(3 * corner)
    flat = records[a] * dx + records[a + np.uint64(1)] * dy + records[a + np.uint64(2)]
    return max(flat, f32(0)) * records[o + np.uint64(9 + corner)]


@kernel
def blend_corners(counter, face, barycentrics, faces, attributes, background, out):
    """Attributes (V, A) of the fragments of one view, over ``background`` (A,): out (H, W, A); a row at a time."""
    height, width, channels = out.shape
    while True:
        y = atomic_next(counter)
        if y >= height:
            break
        for x in range(width):
            f = face[y, x]
            if f < 0:
                for c in range(channels):
                    out[y, x, c] = background[c]
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            b0, b1, b2 = barycentrics[y, x, 0], barycentrics[y, x, 1], barycentrics[y, x, 2]
            for c in range(channels):
                out[y, x, c] = b0 * attributes[i, c] + b1 * attributes[j, c] + b2 * attributes[k, c]
