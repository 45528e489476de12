"""From interpolated normals to the colours that a ControlNet sees, in place and in one pass over the picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pipeline.rendering.cpu.mesh_frame import share
from pipeline.rendering.cpu.simd import atomic_next, kernel

BORDER = 0.3
"""Length of an interpolated normal from which it is shown: normals shrink to nothing where the face ends."""

f32 = np.float32


def colour_normals(maps: Tensor) -> Tensor:
    """Maps (C, H, W, 4) of normals, of any length, and segments → n/2 + 1/2, white where the normal is too short, and
    segments, all in 0..1; ``maps`` itself, contiguous."""
    if maps.is_cuda:
        return _colour_in_torch(maps)
    rows = maps.numpy().reshape(-1, maps.shape[2], 4)
    share(lambda counter, _: _colour_rows(counter, rows, f32(BORDER)))
    return maps


def _colour_in_torch(maps: Tensor) -> Tensor:
    normals = maps[..., :3]
    length = normals.square().sum(-1, keepdim=True).sqrt_()
    shown = length > BORDER
    normals *= torch.where(shown, 0.5 / length, 0.0)
    normals += torch.where(shown, 0.5, 1.0)
    return maps.clamp_(0, 1)


@kernel
def _colour_rows(counter, rows, border):
    while True:
        y = atomic_next(counter)
        if y >= rows.shape[0]:
            break
        for x in range(rows.shape[1]):
            nx, ny, nz, segment = rows[y, x, 0], rows[y, x, 1], rows[y, x, 2], rows[y, x, 3]
            square = nx * nx + ny * ny + nz * nz
            scale, offset = f32(0), f32(1)
            if square > border * border:
                scale, offset = f32(0.5) / math.sqrt(square), f32(0.5)
            rows[y, x, 0] = min(max(nx * scale + offset, f32(0)), f32(1))
            rows[y, x, 1] = min(max(ny * scale + offset, f32(0)), f32(1))
            rows[y, x, 2] = min(max(nz * scale + offset, f32(0)), f32(1))
            rows[y, x, 3] = min(max(segment, f32(0)), f32(1))
