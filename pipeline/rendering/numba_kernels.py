"""One frame on the CPU: runs the kernels in order, on this machine's cores, in buffers that are used again.

    project -> sort_by_depth -> list_tiles, fill_tiles -> blend_image | blend_rgb8
                                             blend_image_backward -> project_backward

The kernels release the GIL and take their work from a shared counter, so any Python thread may render at any time; each
frame in flight has its own buffers. Results do not depend on the number of threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .binning import HISTOGRAM, allot_tiles, fill_tiles, list_tiles, sort_by_depth
from .blending import BLOCKS, PIXELS, blend_image, blend_rgb8
from .blending_backward import MOMENTS, blend_image_backward
from .projection import CHUNK, COLOR, COLUMNS, RECORD, TILE, WIDE_RECORD, project
from .projection_backward import BACKWARD_COLUMNS, project_backward

Floats = NDArray[np.float32]
KERNEL_WIDTHS = (3, 5, 9)  # channel counts that kernels are compiled for; others are padded with zeros
MAX_CHANNELS = KERNEL_WIDTHS[-1]
MAX_THREADS = 16
_PAIRS_PER_SPLAT = 3  # first guess of (tile, splat) pairs; grows when a frame needs more


def _available_cores() -> int:
    limit = os.environ.get("NUMBA_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(limit) if limit and limit.isdigit() else cores, MAX_THREADS))


class Workers:
    """The threads that share a frame's work with the caller."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def share(self, work: Callable[[int], None]) -> None:
        """Calls work(0) here and work(1) … work(threads - 1) beside it; helpers that come too late are let off."""
        helpers = [self._executor().submit(work, k) for k in range(1, self.threads)]
        try:
            work(0)
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._process != os.getpid():  # threads do not survive a fork
                self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="rasterize")
                self._process = os.getpid()
            return self._pool


WORKERS = Workers(_available_cores())


@dataclass(frozen=True)
class View:
    """One pinhole camera and the options that go with it."""

    viewmat: Floats
    """(4,4) world to camera, OpenCV axes."""
    K: Floats
    """(3,3) intrinsics in pixels."""
    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    eps2d: float = 0.3
    radius_clip: float = 0.0
    antialiased: bool = True

    def parameters(self) -> Floats:
        """The vector that the kernels read (layout in projection.py)."""
        rotation, translation, k = self.viewmat[:3, :3].ravel(), self.viewmat[:3, 3], self.K
        intrinsics = [k[0, 0], k[1, 1], k[0, 2], k[1, 2], self.width, self.height]
        options = [self.near_plane, self.far_plane, self.eps2d, self.radius_clip, float(self.antialiased)]
        return np.concatenate([rotation, translation, intrinsics, options]).astype(np.float32)


@dataclass(frozen=True)
class Splats:
    """Contiguous float32 arrays of N splats as the kernels take them."""

    means: Floats
    quats: Floats
    scales: Floats
    opacities: Floats
    colors: Floats
    """(N,D) display colours or features."""


class Buffers:
    """Grows and keeps the scratch arrays of one frame in flight."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray] = {}

    def get(self, name: str, shape: int | tuple[int, ...], dtype: type = np.float32) -> NDArray:
        """An array of at least this shape's size, with undefined contents, aligned to a cache line."""
        shape = (shape,) if isinstance(shape, int) else shape
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        array = self._arrays.get(name)
        if array is None or array.size < size:
            raw = np.empty(size + size // 4 + 64, np.uint8)
            array = self._arrays[name] = raw[-raw.ctypes.data % 64 :]
        return array[:size].view(dtype).reshape(shape)


class BufferPool:
    """Hands out `Buffers`, one to each frame in flight, and takes them back for the next."""

    def __init__(self) -> None:
        self._free: list[Buffers] = []  # append and pop are atomic

    def take(self) -> Buffers:
        try:
            return self._free.pop()
        except IndexError:
            return Buffers()

    def give_back(self, buffers: Buffers) -> None:
        self._free.append(buffers)

    @contextmanager
    def lend(self) -> Iterator[Buffers]:
        buffers = self.take()
        try:
            yield buffers
        finally:
            self.give_back(buffers)


POOL = BufferPool()


def kernel_width(channels: int) -> int:
    """The number of channels that the kernels blend when `channels` are wanted."""
    return next(width for width in KERNEL_WIDTHS if width >= channels)


class Frame:
    """One view of some splats, projected, sorted and binned; blend it, and blend it back.

    depth_channel: None, or the channel that receives the camera-space depth instead of a colour.
    """

    def __init__(self, splats: Splats, view: View, buffers: Buffers, depth_channel: int | None = None) -> None:
        self.splats, self.view, self.buffers = splats, view, buffers
        self.depth_channel = -1 if depth_channel is None else depth_channel
        self.channels = splats.colors.shape[1] + (depth_channel is not None)
        self.kernel_channels = (0,) * kernel_width(self.channels)  # its length is what the compiler sees
        self.stride = RECORD if COLOR + len(self.kernel_channels) <= RECORD else WIDE_RECORD
        self.camera = view.parameters()
        self.tiles_x, self.tiles_y = -(-view.width // TILE), -(-view.height // TILE)

    def _counter(self) -> NDArray[np.int64]:
        return np.zeros(1, np.int64)

    def project(self, screen: tuple[Floats, NDArray[np.int32], Floats] | None = None) -> None:
        """Projects the splats. screen: None, or (means2d (N,2), radii (N,2) int32, depths (N,)) to fill."""
        n, get = len(self.splats.means), self.buffers.get
        self.records = get("records", n * self.stride)
        self.keys, self.source = get("keys", n), get("source", n, np.int32)
        self.rects = get("rects", (n, 4), np.uint16)
        self.counts = get("counts", -(-n // CHUNK), np.int32)
        columns = get("columns", (WORKERS.threads, COLUMNS * CHUNK))
        counter, s = self._counter(), self.splats
        WORKERS.share(
            lambda k: project(
                counter, s.means, s.quats, s.scales, s.opacities, s.colors, self.depth_channel, self.camera, columns[k],
                self.stride, self.records, self.keys, self.rects, self.source, self.counts, screen,
            )  # fmt: skip
        )

    def bin(self, for_backward: bool = False) -> None:
        """Sorts the visible splats by depth and lists them for every tile."""
        n, get = len(self.splats.means), self.buffers.get
        keys = [get(f"key{k}", n, np.uint32) for k in "ab"]
        ids = [get(f"id{k}", n, np.int32) for k in "ab"]
        histogram = get("histogram", 3 * HISTOGRAM, np.int32)
        self.order = sort_by_depth(
            self.keys.view(np.int32), self.counts, n, keys[0], ids[0], keys[1], ids[1], histogram
        )
        tiles, segments = self.tiles_x * self.tiles_y, WORKERS.threads
        histograms = get("histograms", (segments, tiles), np.int32)
        self.spans = get("spans", (n, 2), np.int32)
        needed, capacity = np.zeros(segments, np.int64), 1024 + _PAIRS_PER_SPLAT * len(self.order) // segments
        while True:
            self.places, splats = (get(name, segments * capacity, np.int32) for name in ("places", "splats"))
            counter, room = self._counter(), capacity
            WORKERS.share(
                lambda k, counter=counter, room=room: list_tiles(
                    counter, self.order, self.records, self.stride, self.rects, self.tiles_x, room, histograms,
                    self.places, splats, self.spans, for_backward, needed,
                )  # fmt: skip
            )
            if needed.max() <= capacity:
                break
            capacity = int(needed.max()) * 5 // 4
        self.tile_start = get("tile_start", tiles + 1, np.int64)
        allot_tiles(histograms, self.tile_start)
        self.ids = get("ids", max(1, int(self.tile_start[-1])), np.int32)
        counter = self._counter()
        WORKERS.share(lambda k: fill_tiles(counter, capacity, histograms, needed, self.places, splats, self.ids))
        self.tile_order = np.argsort(-np.diff(self.tile_start), kind="stable")  # the heaviest first

    def _tiles(self) -> tuple:
        return (
            self.kernel_channels, self.tile_order, self.tiles_x, self.tile_start, self.records, self.stride,
            self.ids,
        )  # fmt: skip

    def blend(self, background: Floats, out: Floats, transmittance: Floats) -> None:
        """Writes the picture over `background` (D,) to out (H,W,D), and the transmittance (H,W)."""
        state = self.buffers.get("state", (WORKERS.threads, BLOCKS * PIXELS * (1 + len(self.kernel_channels))))
        counter = self._counter()
        WORKERS.share(lambda k: blend_image(counter, *self._tiles(), background, state[k], out, transmittance))

    def blend_rgb8(self, background: Floats, out: NDArray[np.uint8]) -> None:
        """Blends three channels over `background` (3,) into bytes: out (H,W,3)."""
        state = self.buffers.get("state", (WORKERS.threads, BLOCKS * PIXELS * (1 + len(self.kernel_channels))))
        counter = self._counter()
        WORKERS.share(lambda k: blend_rgb8(counter, *self._tiles(), background, state[k], out))

    def backward(
        self, out: Floats, transmittance: Floats, v_out: Floats, v_alpha: Floats, gradients: Gradients, absgrad: bool
    ) -> None:
        """Adds to `gradients` what v_out (H,W,D) and v_alpha (H,W) ask of this view."""
        get, channels = self.buffers.get, len(self.kernel_channels)
        stride = MOMENTS + channels
        sums = get("gradients", len(self.ids) * stride)
        state = get("state", (WORKERS.threads, BLOCKS * PIXELS * (2 + channels)))
        scratch = get("sums", (WORKERS.threads, PIXELS * channels))
        counter = self._counter()
        first, *tiles = self._tiles()
        WORKERS.share(
            lambda k: blend_image_backward(
                counter, first, absgrad, *tiles, out, transmittance, v_out, v_alpha, state[k], scratch[k], sums
            )
        )
        columns = get("columns", (WORKERS.threads, BACKWARD_COLUMNS * CHUNK))
        counter, s, g = self._counter(), self.splats, gradients
        WORKERS.share(
            lambda k: project_backward(
                counter, s.means, s.quats, s.scales, s.opacities, self.camera, self.depth_channel, self.counts, self.source,
                self.spans, self.places, sums, stride, columns[k], g.accumulate, g.means, g.quats, g.scales, g.opacities,
                g.colors, g.means2d, g.absolute,
            )  # fmt: skip
        )


class Gradients:
    """Gradient arrays of `splats`: the first camera writes them, every further one adds."""

    def __init__(self, splats: Splats) -> None:
        n = len(splats.means)
        self._splats = splats
        self.means, self.quats = np.empty((n, 3), np.float32), np.empty((n, 4), np.float32)
        self.scales, self.opacities = np.empty((n, 3), np.float32), np.empty(n, np.float32)
        self.accumulate = False
        self._new_camera()

    def next_camera(self) -> None:
        """The same splats, seen by another camera: colours and screen gradients begin anew."""
        self.accumulate = True
        self._new_camera()

    def _new_camera(self) -> None:
        n = len(self._splats.means)
        self.colors = np.empty_like(self._splats.colors)
        self.means2d, self.absolute = np.empty((n, 2), np.float32), np.empty((n, 2), np.float32)
