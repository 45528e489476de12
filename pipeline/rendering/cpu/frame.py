"""One frame on the CPU, stage by stage.

    project -> sort_by_depth -> list_tiles, allot_tiles, fill_tiles -> blend_image | blend_rgb8
                                                                       blend_image_backward -> project_backward

Any Python thread may render at any time: each frame in flight has its own buffers. Results do not depend on the number
of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, Gradients, Ints, Pairs, Picture, Scratch, Splats, Tiles, Visible
from .binning import HISTOGRAM, allot_tiles, fill_tiles, list_tiles, sort_by_depth
from .blending import BATCH, BLOCKS, PIXELS, blend_image, blend_rgb8
from .blending_backward import MOMENTS, blend_image_backward
from .projection import CHUNK, COLOR, COLUMNS, RECORD, TILE, WIDE_RECORD, project
from .projection_backward import BACKWARD_COLUMNS, project_backward
from .workers import WORKERS, Buffers

KERNEL_CHANNELS = (3, 5, 9)  # channel counts that kernels are compiled for; others are padded with zeros
MAX_COLORS = KERNEL_CHANNELS[-1] - 1  # one is kept for the depth
_PAIRS_PER_SPLAT = 3  # first guess; grows when a frame needs more


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


class Frame:
    """One view of some splats. Call `project`, `bin`, one of the blends, and perhaps `backward`, in this order.

    depth_channel: None, or the channel after the colours that receives the camera-space depth.
    """

    def __init__(self, splats: Splats, view: View, buffers: Buffers, depth_channel: int | None = None) -> None:
        self.splats, self.view, self._buffers = splats, view, buffers
        self.camera = view.parameters()
        self._depth_channel = -1 if depth_channel is None else depth_channel
        channels = splats.colors.shape[1] + (depth_channel is not None)
        self._channels = (0,) * next(count for count in KERNEL_CHANNELS if count >= channels)
        n, get = len(splats.means), buffers.get
        width = RECORD if COLOR + len(self._channels) <= RECORD else WIDE_RECORD
        self.visible = Visible(
            get("records", n * width), width, get("depths", n), get("rects", (n, 4), np.uint16),
            get("source", n, np.int32), get("counts", -(-n // CHUNK), np.int32),
        )  # fmt: skip

    def project(self, screen: tuple[Floats, Ints, Floats] | None = None) -> None:
        """Projects the splats. screen: None, or (means2d (N,2), radii (N,2), depths (N,)) to fill."""
        columns = self._buffers.get("columns", (WORKERS.threads, COLUMNS * CHUNK))
        arguments = (self.splats, self._depth_channel, self.camera)
        _share(lambda counter, k: project(counter, *arguments, columns[k], self.visible, screen))

    def bin(self, for_backward: bool = False) -> None:
        """Sorts the visible splats by depth and lists them for every tile."""
        n, get = len(self.splats.means), self._buffers.get
        order = sort_by_depth(
            self.visible, get("key_a", n, np.uint32), get("id_a", n, np.int32), get("key_b", n, np.uint32),
            get("id_b", n, np.int32), get("histogram", 3 * HISTOGRAM, np.int32),
        )  # fmt: skip
        columns, rows = -(-self.view.width // TILE), -(-self.view.height // TILE)
        capacity = 1024 + _PAIRS_PER_SPLAT * len(order) // WORKERS.threads
        while not self._list_tiles(order, columns, columns * rows, capacity, for_backward):
            capacity = int(self._pairs.needed.max()) * 5 // 4
        start = get("tile_start", columns * rows + 1, np.int64)
        allot_tiles(self._pairs.histograms, start)
        ids = get("ids", int(start[-1]), np.int32)
        _share(lambda counter, k: fill_tiles(counter, capacity, self._pairs, ids))
        self._tiles = Tiles(np.argsort(-np.diff(start), kind="stable"), columns, start, ids)

    def _list_tiles(self, order: Ints, columns: int, tiles: int, capacity: int, spans: bool) -> bool:
        segments, get = WORKERS.threads, self._buffers.get
        self._pairs = pairs = Pairs(
            get("histograms", (segments, tiles), np.int32), get("needed", segments, np.int64),
            get("places", segments * capacity, np.int32), get("pair_splats", segments * capacity, np.int32),
            get("spans", (len(self.splats.means), 2), np.int32),
        )  # fmt: skip
        _share(lambda counter, k: list_tiles(counter, order, self.visible, columns, capacity, pairs, spans))
        return bool(pairs.needed.max() <= capacity)

    def _scratch(self, planes: int) -> list[Scratch]:
        """One for each thread, with so many planes of 16 pixels to a block."""
        get, threads = self._buffers.get, WORKERS.threads
        states = get("state", (threads, BLOCKS * PIXELS * planes))
        sums = get("channel_sums", (threads, PIXELS * len(self._channels)))
        masks = get("masks", (threads, BATCH), np.uint64)
        return [Scratch(*arrays) for arrays in zip(states, sums, masks, strict=True)]

    def blend(self, background: Floats, picture: Picture) -> None:
        """Writes the picture over `background` (D,)."""
        scratch = self._scratch(1 + len(self._channels))
        arguments = (self._channels, self.visible, self._tiles, background)
        _share(lambda counter, k: blend_image(counter, *arguments, scratch[k], picture))

    def blend_rgb8(self, background: Floats, out: NDArray[np.uint8]) -> None:
        """Writes three channels over `background` (3,) as bytes: out (H,W,3)."""
        scratch = self._scratch(1 + len(self._channels))
        arguments = (self._channels, self.visible, self._tiles, background)
        _share(lambda counter, k: blend_rgb8(counter, *arguments, scratch[k], out))

    def backward(
        self, picture: Picture, v_picture: Picture, gradients: Gradients, *, accumulate: bool, absgrad: bool
    ) -> None:
        """From what a loss asks of the picture to what it asks of the splats; bin(for_backward=True) has gone before.

        accumulate: add to the gradients of means, quats, scales and opacities instead of writing them.
        """
        stride = MOMENTS + len(self._channels)
        sums = self._buffers.get("gradient_sums", len(self._tiles.ids) * stride)
        scratch = self._scratch(2 + len(self._channels))
        replay = (self._channels, absgrad, self.visible, self._tiles, picture, v_picture)
        _share(lambda counter, k: blend_image_backward(counter, *replay, scratch[k], sums))
        columns = self._buffers.get("backward_columns", (WORKERS.threads, BACKWARD_COLUMNS * CHUNK))
        carry = (self.splats, self.camera, self._depth_channel, self.visible, self._pairs, sums, stride)
        _share(lambda counter, k: project_backward(counter, *carry, columns[k], accumulate, gradients))


def _share(kernel: Callable[[NDArray[np.int64], int], Any]) -> None:
    """Runs kernel(counter, thread) on all threads, with a fresh counter from which they take their pieces."""
    counter = np.zeros(1, np.int64)
    WORKERS.share(lambda thread: kernel(counter, thread))
