"""Splats in 20 bytes: quantised triangle-local values, in chunks ordered by importance (viewer/FORMAT.md, "Chunks")."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.gltf import DamagedFile

CHUNK_SPLATS = 8192
"""Splats per chunk, about: 160 kB, a tenth of a second on a slow line."""
BYTES_PER_SPLAT = 20
WIDEST_LOG_SCALE = 10.0
"""Widest range of a layer's log scale: what is thinner than e^-10 of its layer's largest is drawn as if it were not."""


@dataclass(frozen=True)
class LayerRange:
    """How the integers of one layer's splats become numbers; each a triple, one entry per axis."""

    mean: tuple[float, ...]
    """Largest |mean|: mean = integer / 32767 · this."""
    log_scale: tuple[float, ...]
    """Log scale of byte 0."""
    log_step: tuple[float, ...]
    """Log scale per unit of the byte."""


@dataclass(frozen=True)
class QuantizedSplats:
    """N splats as the file holds them."""

    rotation: NDArray[np.uint32]
    """(N,) smallest three, see `pack_quaternions`."""
    mean: NDArray[np.int16]
    """(N, 3)."""
    face: NDArray[np.uint16]
    """(N,)."""
    layer: NDArray[np.uint8]
    """(N,) index into the list of layer ranges."""
    scale: NDArray[np.uint8]
    """(N, 3)."""
    color: NDArray[np.uint8]
    """(N, 3)."""
    opacity: NDArray[np.uint8]
    """(N,)."""
    sh: NDArray[np.uint8]
    """(N, 3·(K − 1)) higher harmonics, coefficient by coefficient."""

    def take(self, order: NDArray[np.intp]) -> QuantizedSplats:
        return QuantizedSplats(*(getattr(self, field.name)[order] for field in fields(self)))


def layer_ranges(mean: NDArray, log_scale: NDArray, layer: NDArray, count: int) -> list[LayerRange]:
    """The tightest ranges per layer and axis: hair hangs a hundred triangles away from its root, skin lies on its own.

    ``mean``, ``log_scale`` (N, 3), ``layer`` (N,) below ``count``.
    """
    ranges = []
    for index in range(count):
        chosen = layer == index
        if not chosen.any():
            ranges.append(LayerRange((1.0,) * 3, (0.0,) * 3, (0.0,) * 3))
            continue
        reach = np.maximum(np.abs(mean[chosen]).max(0), 1e-6)
        high = log_scale[chosen].max(0)
        low = np.maximum(log_scale[chosen].min(0), high - WIDEST_LOG_SCALE)
        ranges.append(LayerRange(_floats(reach), _floats(low), _floats((high - low) / 255)))
    return ranges


def quantize_means(mean: NDArray, layer: NDArray, ranges: list[LayerRange]) -> NDArray[np.int16]:
    """(N, 3) triangle units → signed 16 bits of the layer's range."""
    reach = np.array([entry.mean for entry in ranges])[layer]
    return np.round(mean / reach * 32767).astype("<i2")


def quantize_scales(log_scale: NDArray, layer: NDArray, ranges: list[LayerRange]) -> NDArray[np.uint8]:
    """(N, 3) log scales → a byte within the layer's range."""
    low = np.array([entry.log_scale for entry in ranges])[layer]
    step = np.array([entry.log_step for entry in ranges])[layer]
    return np.clip(np.round((log_scale - low) / np.where(step > 0, step, 1)), 0, 255).astype(np.uint8)


def quantize_unit(values: NDArray, low: float, high: float) -> NDArray[np.uint8]:
    """Values between ``low`` and ``high`` → bytes."""
    return np.clip(np.round((values - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def pack_quaternions(quaternions: NDArray) -> NDArray[np.uint32]:
    """wxyz (N, 4) → 2 bits for the largest component's index, then the next three (cyclic), 10 bits each, high first.

    The largest is made positive and left out; the others lie within ±1/√2.
    """
    unit = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    rows = np.arange(len(unit))
    largest = np.abs(unit).argmax(1)
    unit = unit * np.where(unit[rows, largest] < 0, -1, 1)[:, None]
    rest = unit[rows[:, None], (largest[:, None] + np.arange(1, 4)) % 4]
    ten = np.clip(np.round((rest / np.sqrt(2) + 0.5) * 1023), 0, 1023).astype("<u4")
    return (largest.astype("<u4") << 30) | (ten[:, 0] << 20) | (ten[:, 1] << 10) | ten[:, 2]


def unpack_quaternions(packed: NDArray[np.uint32]) -> NDArray[np.float32]:
    """(N,) → wxyz (N, 4), unit length."""
    largest = (packed >> 30).astype(np.intp)
    rows = np.arange(len(packed))
    ten = (packed[:, None] >> np.array([20, 10, 0], "<u4")) & 1023
    rest = (ten / 1023 - 0.5) * np.sqrt(2)
    quaternions = np.zeros((len(packed), 4))
    quaternions[rows[:, None], (largest[:, None] + np.arange(1, 4)) % 4] = rest
    quaternions[rows, largest] = np.sqrt(np.maximum(0, 1 - (rest**2).sum(1)))
    return (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).astype(np.float32)


def chunk_order(
    positions: NDArray, importance: NDArray, layer: NDArray, face: NDArray, early: tuple[int, ...]
) -> list[NDArray[np.intp]]:
    """Which splats go into which chunk: all of the head in the first one, thinly, more of it in each that follows.

    Neighbours on a Morton curve form runs as long as there are chunks; the j-th most important of each run goes to
    chunk j, so every chunk covers the head evenly. The ``early`` layers, small and telling (eyes, teeth), fit into the
    first two. Within a chunk splats are sorted by face, which compresses well. ``positions`` (N, 3) in the world.
    """
    count = max(1, -(-len(positions) // CHUNK_SPLATS))
    is_early = np.isin(layer, early)
    chunk = np.zeros(len(positions), np.intp)
    for members, runs in ((~is_early, count), (is_early, min(2, count))):
        chosen = np.flatnonzero(members)
        if len(chosen):
            chunk[chosen] = _rank_in_runs(positions[chosen], importance[chosen], layer[chosen], runs)
    orders = [np.flatnonzero(chunk == index) for index in range(count)]
    return [order[np.argsort(face[order], kind="stable")] for order in orders]


def _rank_in_runs(positions: NDArray, importance: NDArray, layer: NDArray, length: int) -> NDArray[np.intp]:
    curve = np.lexsort((_morton(positions), layer))
    run = np.empty(len(curve), np.intp)
    run[curve] = np.arange(len(curve)) // length
    by_importance = np.lexsort((-importance, run))
    rank = np.empty(len(curve), np.intp)
    rank[by_importance] = np.arange(len(curve)) % length
    return rank


def _morton(positions: NDArray, bits: int = 10) -> NDArray[np.uint64]:
    """Interleaved bits of a grid over the bounding box."""
    extent = max(float(np.ptp(positions, 0).max()), 1e-9)
    grid = ((positions - positions.min(0)) / extent * (2**bits - 1)).astype(np.uint64)
    code = np.zeros(len(grid), np.uint64)
    for bit in range(bits):
        for axis in range(3):
            code |= ((grid[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return code


def encode_chunk(splats: QuantizedSplats) -> bytes:
    """Planes one after the other, widest integers first, so that each is aligned without padding."""
    steps = np.diff(splats.face.astype(np.int64), prepend=0).astype("<u2")
    planes = [splats.rotation.astype("<u4"), splats.mean.T.astype("<i2"), steps, splats.layer]
    planes += [splats.scale.T, splats.color.T, splats.opacity, splats.sh.T]
    return b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)


def decode_chunk(content: memoryview, count: int, sh_values: int) -> QuantizedSplats:
    """The inverse of `encode_chunk`; ``sh_values`` bytes of harmonics per splat. Raises `DamagedFile`."""
    if len(content) != count * (BYTES_PER_SPLAT + sh_values):
        raise DamagedFile(f"a chunk of {count} splats has {len(content)} bytes")
    at = 0

    def plane(kind: str, width: int) -> NDArray:
        nonlocal at
        values = np.frombuffer(content, kind, count * width, at)
        at += values.nbytes
        return values.reshape(width, count).T if width != 1 else values

    return QuantizedSplats(
        rotation=plane("<u4", 1),
        mean=plane("<i2", 3),
        face=np.cumsum(plane("<u2", 1), dtype=np.uint64).astype("<u2"),
        layer=plane("u1", 1),
        scale=plane("u1", 3),
        color=plane("u1", 3),
        opacity=plane("u1", 1),
        sh=plane("u1", sh_values) if sh_values else np.zeros((count, 0), np.uint8),
    )


def _floats(values: NDArray) -> tuple[float, ...]:
    """Numbers that float32 holds exactly, so that the browser computes with the same ranges."""
    return tuple(float(np.float32(value)) for value in values)
