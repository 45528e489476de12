"""The peer of the CPU rasteriser: the usual one-thread-per-pixel splat kernel, in Taichi.

Only the blending is Taichi's to do: projection, sorting and the lists of 16 x 16 tiles are given to it ready-made and
are not timed, so the peer is measured at its best.
"""

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import taichi as ti
from numpy.typing import NDArray

TILE = 16
NAME = f"Taichi {version('taichi')}, blending alone"

ti.init(arch=ti.cpu, offline_cache=False, log_level=ti.ERROR)


@ti.kernel
def _blend(
    splats: ti.types.ndarray(dtype=ti.f32, ndim=2),
    ids: ti.types.ndarray(dtype=ti.i32, ndim=1),
    start: ti.types.ndarray(dtype=ti.i32, ndim=1),
    columns: ti.i32,
    out: ti.types.ndarray(dtype=ti.f32, ndim=3),
):
    for y, x in ti.ndrange(out.shape[0], out.shape[1]):
        tile = (y // TILE) * columns + x // TILE
        rest, red, green, blue = 1.0, 0.0, 0.0, 0.0
        for entry in range(start[tile], start[tile + 1]):
            i = ids[entry]
            dx, dy = x + 0.5 - splats[i, 0], y + 0.5 - splats[i, 1]
            power = 0.5 * (splats[i, 2] * dx * dx + splats[i, 4] * dy * dy) + splats[i, 3] * dx * dy
            if power < 5.55:  # beyond, alpha is below 1/255 whatever the opacity: spares the exponential
                alpha = ti.min(0.999, splats[i, 5] * ti.exp(-power))
                if alpha >= 1.0 / 255.0:
                    following = rest * (1.0 - alpha)
                    if following <= 1e-4:
                        break
                    red += alpha * rest * splats[i, 6]
                    green += alpha * rest * splats[i, 7]
                    blue += alpha * rest * splats[i, 8]
                    rest = following
        out[y, x, 0], out[y, x, 1], out[y, x, 2] = red, green, blue


def _tiles(
    means2d: NDArray, radii: NDArray, depths: NDArray, width: int, height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    """Splats of every tile by bounding box, nearest first: ids, where each tile starts, tiles in a row."""
    columns, rows = -(-width // TILE), -(-height // TILE)
    limit = np.array([columns, rows])
    seen = np.flatnonzero((radii > 0).all(1))
    first = np.clip((means2d[seen] - radii[seen]) // TILE, 0, limit).astype(int)
    last = np.clip((means2d[seen] + radii[seen]) // TILE + 1, 0, limit).astype(int)
    size = last - first
    count = size.prod(1)
    owner = np.repeat(np.arange(len(seen)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    tile = (first[owner, 1] + place // size[owner, 0]) * columns + first[owner, 0] + place % size[owner, 0]
    order = np.lexsort((depths[seen][owner], tile))
    start = np.searchsorted(tile[order], np.arange(columns * rows + 1))
    return seen[owner[order]].astype(np.int32), start.astype(np.int32), columns


def blender(
    means2d: NDArray, radii: NDArray, depths: NDArray, conics: NDArray, opacities: NDArray, colors: NDArray, width: int,
    height: int,
) -> Callable[[], NDArray[np.float32]]:  # fmt: skip
    """A call that blends these projected splats once and gives the picture (H,W,3)."""
    ids, start, columns = _tiles(means2d, radii, depths, width, height)
    splats = np.concatenate([means2d, conics, opacities[:, None], colors], 1).astype(np.float32)
    out = np.empty((height, width, 3), np.float32)

    def blend() -> NDArray[np.float32]:
        _blend(splats, ids, start, columns, out)
        return out

    return blend
