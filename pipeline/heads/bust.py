"""A body cut down to a bust: which joints stay, what becomes of the others, and arms that hang."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.licensed import Skeleton
from pipeline.heads.smplx_module import Body

KEPT = {
    "spine2": 6, "spine3": 9, "neck": 12, "left_collar": 13, "right_collar": 14, "head": 15,
    "jaw": 22, "left_eye": 23, "right_eye": 24,
}  # fmt: skip
"""Joints of a bust and their numbers in SMPL-X; the first is the root."""
OF_THE_BUST = tuple(KEPT.values())[1:]
LEAST_SHARE = 0.5
"""A vertex whose weights on the joints of the bust sum to less is cut off."""
SHOULDERS = {16: (0.0, 0.0, -math.pi / 3), 17: (0.0, 0.0, math.pi / 3)}
"""Axis-angle that lets the arms hang, as AnimPortrait3D has them."""

SKELETON = Skeleton(
    tuple(KEPT),
    (
        -1,
        *(list(KEPT).index(name) for name in ("spine2", "spine3", "spine3", "spine3", "neck", "head", "head", "head")),
    ),
)


def folded_weights(weights: Tensor, parents: tuple[int, ...]) -> Tensor:
    """(V, 55) → (V, 9): the weight of a joint that goes falls to the nearest that stays above it, else to the root."""
    numbers = list(KEPT.values())
    folded = weights.new_zeros(len(weights), len(numbers))
    for joint in range(weights.shape[1]):
        kept = joint
        while kept >= 0 and kept not in numbers:
            kept = parents[kept]
        folded[:, numbers.index(kept) if kept >= 0 else 0] += weights[:, joint]
    return folded


def kept_pose_dirs(pose_dirs: Tensor) -> Tensor:
    """(486, V, 3) → (72, V, 3): those of the joints that stay and have a parent."""
    rows = [9 * (joint - 1) + column for joint in OF_THE_BUST for column in range(9)]
    return pose_dirs[rows]


def bust_vertices(weights: Tensor) -> Tensor:
    """(V, 55) → (V,) bool"""
    return weights[:, OF_THE_BUST].sum(1) >= LEAST_SHARE


def hanging_arms(body: Body, person: Tensor) -> tuple[Body, Tensor]:
    """Body and person (V, 3) with the arms hanging at rest, its directions turned along.

    Of the pose correctives those of `kept_pose_dirs` are left.
    Where a vertex follows shoulder and neck at once, a turned neck then differs a little from the posed body.
    """
    transforms = _arm_transforms(body.regressor @ person, body.parents)
    blended = torch.einsum("vj,jab->vab", body.weights, transforms)
    turn, shift = blended[..., :3], blended[..., 3]

    def turned(directions: Tensor) -> Tensor:
        return torch.einsum("vab,kvb->kva", turn, directions)

    corrected = person + _arm_correctives(body)
    down = (turn @ corrected[..., None]).squeeze(-1) + shift
    return replace(body, expressions=turned(body.expressions), pose_dirs=turned(kept_pose_dirs(body.pose_dirs))), down


def _arm_correctives(body: Body) -> Tensor:
    """(V, 3) pose correctives of hanging arms."""
    total = torch.zeros_like(body.template)
    for joint, turn in SHOULDERS.items():
        feature = (axis_angle_to_matrix(torch.tensor([turn]))[0] - torch.eye(3)).flatten()
        total += torch.tensordot(feature, body.pose_dirs[9 * (joint - 1) : 9 * joint], 1)
    return total


def _arm_transforms(joints: Tensor, parents: tuple[int, ...]) -> Tensor:
    """(J, 3, 4): arms, with all that hangs on them, turned about the shoulders; the rest stays."""
    transforms = torch.cat([torch.eye(3), torch.zeros(3, 1)], 1).repeat(len(parents), 1, 1)
    for joint, parent in enumerate(parents):
        if joint in SHOULDERS:
            turn = axis_angle_to_matrix(torch.tensor([SHOULDERS[joint]]))[0]
            transforms[joint] = torch.cat([turn, (joints[joint] - turn @ joints[joint])[:, None]], 1)
        elif parent >= 0:
            transforms[joint] = transforms[parent]
    return transforms
