"""What the kernels hand to each other: plain arrays, grouped and named."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Splats(NamedTuple):
    """N splats as contiguous float32 arrays."""

    means: Floats
    """(N,3) world space."""
    quats: Floats
    """(N,4) wxyz, any length."""
    scales: Floats
    """(N,3) linear."""
    opacities: Floats
    """(N,)"""
    colors: Floats
    """(N,D) display colours or features; D may be 0."""


class Visible(NamedTuple):
    """What projection leaves: chunk k's visible splats, in input order, from place k * CHUNK on."""

    records: Floats
    """(N * width,) one record per splat, laid out as projection.py says."""
    width: int
    """Floats per record."""
    depths: Floats
    """(N,) camera-space depth."""
    rects: NDArray[np.uint16]
    """(N,4) first tile column, first row, last column, last row that the bounding box touches."""
    source: Ints
    """(N,) index of the splat in the input."""
    counts: Ints
    """(chunks,) visible splats of each chunk."""


class Pairs(NamedTuple):
    """The (tile, splat) pairs, in S segments of the depth order; segment s owns [s * capacity:][:needed[s]]."""

    histograms: Ints
    """(S, tiles) first how many pairs of the segment are in the tile, then where in Tiles.ids the next one goes."""
    needed: NDArray[np.int64]
    """(S,) number of pairs."""
    places: Ints
    """(S * capacity,) first the pair's tile, then its place in Tiles.ids."""
    splats: Ints
    """(S * capacity,) the pair's record number."""
    spans: Ints
    """(N,2) where a record's pairs begin and end; filled when a backward pass will come."""


class Tiles(NamedTuple):
    """The splats of every coarse tile; tile t lies at column t % columns, row t // columns."""

    turns: NDArray[np.int64]
    """(tiles,) the order of work: the heaviest first."""
    columns: int
    start: NDArray[np.int64]
    """(tiles + 1,) tile t holds ids[start[t]:start[t + 1]]."""
    ids: Ints
    """Record numbers, nearest first within a tile."""


class Picture(NamedTuple):
    """What blending gives; and, of the same shapes, what a loss asks of it."""

    color: Floats
    """(H,W,D) over the background."""
    alpha: Floats
    """(H,W)"""


class Scratch(NamedTuple):
    """One thread's working memory while it blends a tile."""

    state: Floats
    """Per block of 16 pixels: transmittance and channels, and what the backward pass adds."""
    sums: Floats
    """(channels * 16,) gradients of a splat's channels, before they are added up."""
    masks: NDArray[np.uint64]
    """(BATCH,) the blocks that each splat of a batch can reach."""


class Gradients(NamedTuple):
    """Gradients to Splats, and to the projected means."""

    means: Floats
    quats: Floats
    scales: Floats
    opacities: Floats
    colors: Floats
    means2d: Floats
    """(N,2)"""
    absolute: Floats
    """(N,2) the same with the absolute value taken of every pixel's part."""
