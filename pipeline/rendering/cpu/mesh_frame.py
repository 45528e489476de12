"""Meshes on the CPU: the kernels of `mesh_kernels`, shared out among threads; results do not depend on their number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Ints
from .mesh_kernels import BAND, LANES, RECORD, Output, Triangles, blend_corners, count_bands, draw, list_bands, prepare
from .workers import WORKERS, Lease


def rasterize_view(screen: NDArray[np.float64], faces: NDArray[np.int64], near: float, output: Output) -> None:
    """Fills ``output`` with the nearest faces; ``screen`` (V, 3) x and y in pixels, z in metres."""
    height, width = output.face.shape
    lease = Lease(1)
    get = lease.buffers[0].get
    triangles = Triangles(get("mesh_boxes", (len(faces), 4), np.int32), get("mesh_records", len(faces) * RECORD))
    share(lambda counter, _: prepare(counter, screen, faces, width, height, near, triangles))
    bands = -(-height // BAND)
    start, places = get("band_start", bands + 1, np.int64), get("band_places", bands, np.int64)
    members = get("band_members", int(count_bands(triangles.boxes, start)), np.int32)
    list_bands(triangles.boxes, start, places, members)
    size = BAND * (width + LANES)
    nearest, ids = get("band_nearest", (WORKERS.threads, size)), get("band_ids", (WORKERS.threads, size))
    share(lambda counter, k: draw(counter, start, members, triangles, nearest[k], ids[k], output))


def interpolate_view(
    face: Ints, barycentrics: Floats, faces: NDArray[np.int64], attributes: Floats, background: Floats, out: Floats
) -> None:
    """Fills ``out`` (H, W, A) with ``attributes`` (V, A) at a view's fragments, ``background`` (A,) elsewhere."""
    share(lambda counter, _: blend_corners(counter, face, barycentrics, faces, attributes, background, out))


def share(kernel: Callable[[NDArray[np.int64], int], object]) -> None:
    """Runs kernel(counter, thread) on all threads, which take their pieces from one counter."""
    counter = np.zeros(1, np.int64)
    WORKERS.share(lambda thread: kernel(counter, thread))
