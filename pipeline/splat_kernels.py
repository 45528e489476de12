"""Moving splats with their triangles, without gradients: the inner loop of every frame.

The same formulas as `pipeline.geometry.triangle_frames` and `SplatAvatar`'s torch path, which the tests compare.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from pipeline.geometry import SMALLEST_EDGE

ONE, HALF, THIRD, LEAST = np.array([1, 1 / 2, 1 / 3, SMALLEST_EDGE], np.float32)
FRAME_WIDTH = 17
"""Floats per triangle: 9 rotation (row by row), 4 quaternion wxyz, 3 origin, 1 scale."""


def pose_splats(
    vertices: Tensor, faces: Tensor, face: Tensor, means: Tensor, quats: Tensor, log_scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """World means (N, 3), quats (N, 4) wxyz and scales (N, 3) of triangle-local splats, on the CPU.

    ``vertices`` (V, 3) of the posed mesh, ``faces`` (F, 3) int32, ``face`` (N,) int32, the rest as `SplatAvatar`
    stores it.
    """
    frames = np.empty((len(faces), FRAME_WIDTH), np.float32)
    _frames(_array(vertices), _array(faces), frames)
    count = len(face)
    posed_means, posed_quats, posed_scales = torch.empty(count, 3), torch.empty(count, 4), torch.empty(count, 3)
    _pose(
        frames, _array(face), _array(means), _array(quats), _array(log_scales),
        posed_means.numpy(), posed_quats.numpy(), posed_scales.numpy(),
    )  # fmt: skip
    return posed_means, posed_quats, posed_scales


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


@njit(cache=True, nogil=True, error_model="numpy")
def _unit(x, y, z):
    length = math.sqrt(x * x + y * y + z * z)
    inverse = ONE / max(length, LEAST)
    return x * inverse, y * inverse, z * inverse, length


@njit(cache=True, nogil=True, error_model="numpy")
def _frames(vertices, faces, out):
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        sx, sy, sz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        ax, ay, az, edge = _unit(
            vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        )
        nx, ny, nz, _ = _unit(ay * sz - az * sy, az * sx - ax * sz, ax * sy - ay * sx)
        bx, by, bz = ay * nz - az * ny, az * nx - ax * nz, ax * ny - ay * nx
        out[f, 0], out[f, 1], out[f, 2] = ax, nx, bx
        out[f, 3], out[f, 4], out[f, 5] = ay, ny, by
        out[f, 6], out[f, 7], out[f, 8] = az, nz, bz
        w, x, y, z = _quaternion(ax, nx, bx, ay, ny, by, az, nz, bz)
        out[f, 9], out[f, 10], out[f, 11], out[f, 12] = w, x, y, z
        for c in range(3):
            out[f, 13 + c] = (vertices[i, c] + vertices[j, c] + vertices[k, c]) * THIRD
        out[f, 16] = HALF * (edge + abs(bx * sx + by * sy + bz * sz))


@njit(cache=True, nogil=True, error_model="numpy")
def _quaternion(m00, m01, m02, m10, m11, m12, m20, m21, m22):
    """Unit wxyz of a rotation, by its largest component."""
    ww, xx = ONE + m00 + m11 + m22, ONE + m00 - m11 - m22
    yy, zz = ONE - m00 + m11 - m22, ONE - m00 - m11 + m22
    best = max(max(ww, xx), max(yy, zz))
    if best == ww:
        w, x, y, z = ww, m21 - m12, m02 - m20, m10 - m01
    elif best == xx:
        w, x, y, z = m21 - m12, xx, m01 + m10, m02 + m20
    elif best == yy:
        w, x, y, z = m02 - m20, m01 + m10, yy, m12 + m21
    else:
        w, x, y, z = m10 - m01, m02 + m20, m12 + m21, zz
    inverse = ONE / math.sqrt(w * w + x * x + y * y + z * z)
    return w * inverse, x * inverse, y * inverse, z * inverse


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pose(frames, face, means, quats, log_scales, out_means, out_quats, out_scales):
    for i in range(face.shape[0]):
        f = face[i]
        k = frames[f, 16]
        x, y, z = means[i, 0], means[i, 1], means[i, 2]
        for c in range(3):
            turned = frames[f, 3 * c] * x + frames[f, 3 * c + 1] * y + frames[f, 3 * c + 2] * z
            out_means[i, c] = k * turned + frames[f, 13 + c]
            out_scales[i, c] = k * math.exp(log_scales[i, c])
        aw, ax, ay, az = frames[f, 9], frames[f, 10], frames[f, 11], frames[f, 12]
        bw, bx, by, bz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
        out_quats[i, 0] = aw * bw - ax * bx - ay * by - az * bz
        out_quats[i, 1] = aw * bx + ax * bw + ay * bz - az * by
        out_quats[i, 2] = aw * by - ax * bz + ay * bw + az * bx
        out_quats[i, 3] = aw * bz + ax * by - ay * bx + az * bw
