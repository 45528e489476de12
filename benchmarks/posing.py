"""Posing one frame: rig, triangle frames and splats; the peer is smplx's own linear blend skinning on the same mesh."""

from __future__ import annotations

import torch
from smplx.lbs import batch_rigid_transform, batch_rodrigues, blend_shapes

from benchmarks.figure import Figure, best_ms
from benchmarks.heads import head
from pipeline.avatar import SplatAvatar
from pipeline.heads.rig import Rig


def run() -> list[Figure]:
    """Milliseconds per frame, no gradients."""
    avatar = head("afro")
    rig = avatar.rig
    expression = torch.rand(1, len(rig.expression_names)) * 0.3
    rotations = torch.randn(1, len(rig.joint_names), 3) * 0.1
    with torch.no_grad():
        ours = best_ms(lambda: _pose(avatar, expression, rotations))
        mesh = best_ms(lambda: rig.pose(expression, rotations))
        peer = best_ms(lambda: _smplx(rig, expression, rotations))
    per_100k = ours * 100_000 / len(avatar.face)
    return [
        Figure("pose one frame, rig and splats, per 100k splats", per_100k, "ms", 5.0),
        Figure("of that the mesh alone", mesh, "ms", 5.0, "smplx 0.1.28 (lbs)", peer),
    ]


def _pose(avatar: SplatAvatar, expression: torch.Tensor, rotations: torch.Tensor) -> None:
    avatar.gaussians(avatar.rig.pose(expression, rotations)[0])


def _smplx(rig: Rig, expression: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
    """The steps of `smplx.lbs.lbs` for a rig whose joints are given."""
    shaped = rig.vertices + blend_shapes(expression, rig.expressions.permute(1, 2, 0))
    matrices = batch_rodrigues(rotations.reshape(-1, 3)).reshape(1, -1, 3, 3)
    _, transforms = batch_rigid_transform(matrices, rig.joints[None], torch.tensor(rig.parents))
    blended = (rig.weights @ transforms.reshape(1, -1, 16)).reshape(1, -1, 4, 4)
    homogeneous = torch.nn.functional.pad(shaped, (0, 1), value=1.0)
    return (blended @ homogeneous[..., None])[..., :3, 0]
