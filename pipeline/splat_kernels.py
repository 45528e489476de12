"""Moving splats with their triangles, without gradients: the inner loop of every frame."""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from pipeline.geometry import TriangleFrames


def pose_splats(
    frames: TriangleFrames, frame_quats: Tensor, face: Tensor, means: Tensor, quats: Tensor, log_scales: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """World means (N, 3), quats (N, 4) wxyz and scales (N, 3) of triangle-local splats.

    ``frames`` of F triangles with ``frame_quats`` (F, 4) the same rotations as quaternions, ``face`` (N,) int32, the
    rest as `SplatAvatar` stores it. All on the CPU.
    """
    count = len(face)
    posed_means, posed_quats, posed_scales = torch.empty(count, 3), torch.empty(count, 4), torch.empty(count, 3)
    _pose(
        _array(frames.rotation), _array(frames.scale), _array(frames.origin), _array(frame_quats), _array(face),
        _array(means), _array(quats), _array(log_scales),
        posed_means.numpy(), posed_quats.numpy(), posed_scales.numpy(),
    )  # fmt: skip
    return posed_means, posed_quats, posed_scales


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pose(rotation, scale, origin, frame_quats, face, means, quats, log_scales, out_means, out_quats, out_scales):
    for i in range(face.shape[0]):
        f = face[i]
        k = scale[f]
        x, y, z = means[i, 0], means[i, 1], means[i, 2]
        for c in range(3):
            turned = rotation[f, c, 0] * x + rotation[f, c, 1] * y + rotation[f, c, 2] * z
            out_means[i, c] = k * turned + origin[f, c]
            out_scales[i, c] = k * math.exp(log_scales[i, c])
        aw, ax, ay, az = frame_quats[f, 0], frame_quats[f, 1], frame_quats[f, 2], frame_quats[f, 3]
        bw, bx, by, bz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
        out_quats[i, 0] = aw * bw - ax * bx - ay * by - az * bz
        out_quats[i, 1] = aw * bx + ax * bw + ay * bz - az * by
        out_quats[i, 2] = aw * by - ax * bz + ay * bw + az * bx
        out_quats[i, 3] = aw * bz + ax * by - ay * bx + az * bw
