"""Rotations and triangle frames, in torch, differentiable, with any leading batch dimensions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

SMALLEST_EDGE = 1e-9
"""Metres below which a triangle's edge or height counts as collapsed (closed eyelids collapse some)."""


class TriangleFrames(NamedTuple):
    """One coordinate frame per triangle."""

    rotation: Tensor
    """(..., F, 3, 3) columns: first edge, normal, edge × normal."""
    scale: Tensor
    """(..., F) mean of the edge's length and the triangle's height, metres."""
    origin: Tensor
    """(..., F, 3) centroid, metres."""

    def local(self, face: Tensor, means: Tensor, quats: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Splats of the world as their triangles have them: means (N, 3), quats (N, 4) and log scales (N, 3).

        ``face`` (N,) long, ``means`` (N, 3) and ``scales`` (N, 3) or (3,) metres, ``quats`` (N, 4) wxyz; of one pose.
        """
        rotation, k, origin = self.rotation[face], self.scale[face, None].clamp_min(1e-9), self.origin[face]
        local = (rotation.transpose(-1, -2) @ (means - origin)[..., None]).squeeze(-1) / k
        turn_back = matrix_to_quaternion(self.rotation)[face] * torch.tensor([1.0, -1.0, -1.0, -1.0])
        return local, quaternion_multiply(turn_back, quats), torch.log(scales / k)


def triangle_frames(vertices: Tensor, faces: Tensor) -> TriangleFrames:
    """Frames of GaussianAvatars (Qian et al., CVPR 2024, `compute_face_orientation`), exactly.

    ``vertices`` (..., V, 3) metres, ``faces`` (F, 3) long. With v0, v1, v2 the corners: a0 = unit(v1 − v0),
    a1 = unit(a0 × (v2 − v0)), a2 = a0 × a1, scale = (|v1 − v0| + |a2 · (v2 − v0)|) / 2, origin = centroid.
    A collapsed triangle gets a finite frame instead of NaN.
    """
    v0, v1, v2 = (vertices.index_select(-2, corner) for corner in faces.unbind(1))
    edge, side = v1 - v0, v2 - v0
    length = edge.norm(dim=-1)
    a0 = normalize(edge, dim=-1, eps=SMALLEST_EDGE)
    a1 = normalize(torch.linalg.cross(a0, side), dim=-1, eps=SMALLEST_EDGE)
    a2 = torch.linalg.cross(a0, a1)
    scale = (length + (a2 * side).sum(-1).abs()) / 2
    return TriangleFrames(torch.stack([a0, a1, a2], dim=-1), scale, (v0 + v1 + v2) / 3)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """(..., 3) radians → (..., 3, 3) by Rodrigues' formula; smooth at zero."""
    angle = torch.sqrt((axis_angle * axis_angle).sum(-1) + 1e-24)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*axis_angle.shape[:-1], 3, 3)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    half = torch.sinc(angle / (2 * torch.pi))
    return eye + torch.sinc(angle / torch.pi) * cross + 0.5 * half * half * (cross @ cross)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) → (..., 3) radians, angle within [0, π]."""
    quaternion = matrix_to_quaternion(matrix)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    vector = quaternion[..., 1:]
    norm = vector.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(norm, quaternion[..., :1])
    return torch.where(norm > 1e-8, vector / norm.clamp_min(1e-12) * angle, 2 * vector)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """wxyz (..., 4), any length but zero → (..., 3, 3)."""
    w, x, y, z = normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*quaternion.shape[:-1], 3, 3)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) rotation → wxyz (..., 4), unit length, by the largest of the four candidate components."""
    m = matrix
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], dim=-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    candidates = torch.stack(
        [
            torch.stack([squares[..., 0], a, b, c], dim=-1),
            torch.stack([a, squares[..., 1], d, e], dim=-1),
            torch.stack([b, d, squares[..., 2], f], dim=-1),
            torch.stack([c, e, f, squares[..., 3]], dim=-1),
        ],
        dim=-2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)


def quaternion_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of wxyz quaternions (..., 4): the rotation b followed by a."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def random_barycentrics(count: int, draws: torch.Generator) -> Tensor:
    """(count, 3) places even over a triangle (Osada et al., Shape distributions, 2002, eq. 1)."""
    first, second = torch.rand(2, count, generator=draws)
    root = first.sqrt()
    return torch.stack([1 - root, root * (1 - second), root * second], dim=1)
