"""Spheres covered with splats, whose errors are known because they were built in."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.geometry import matrix_to_quaternion, triangle_frames
from pipeline.heads.rig import Landmarks, Rig
from pipeline.heads.rig_tools import append_mesh
from tests.synthetic import synthetic_rig

SIZE = 128
PER_FACE = 3
SLIDE = 0.05
"""Metres."""
THICKNESS = 5e-4
"""Metres across the surface; along it a splat reaches as far as its triangle."""


def sphere(subdivisions: int = 3) -> Rig:
    """`synthetic_rig` with every landmark in sight, and `jawLeft`, which slides all of it to its left by `SLIDE`."""
    rig = synthetic_rig(subdivisions)
    front = (rig.vertices[rig.faces].mean(1)[:, 2] > 0.085).nonzero()[:, 0]
    slide = torch.tensor([SLIDE, 0.0, 0.0]).expand(1, len(rig.vertices), 3)
    return replace(
        rig,
        regions={},
        drivers=(),
        expressions=torch.cat([rig.expressions, slide]),
        expression_names=(*rig.expression_names, "jawLeft"),
        landmarks=Landmarks(tuple(f"ibug_{i}" for i in range(len(front))), front, torch.full((len(front), 3), 1 / 3)),
    )


def with_a_still_twin(rig: Rig) -> Rig:
    """``rig`` and, out of sight, a copy of it that no expression moves; its faces come after those of ``rig``."""
    return append_mesh(rig, rig.vertices, rig.faces, rig.weights, "hair_cage")


def covered(
    rig: Rig,
    *,
    faces: Tensor | None = None,
    shift: tuple[float, float, float] = (0, 0, 0),
    outward: float = 0.0,
    bound_to: int = 0,
) -> SplatAvatar:
    """Opaque flat splats all over ``rig``, in the colours of a checkerboard; ``faces`` (F,) bool leaves some out.

    ``shift`` and ``outward`` (along the normal) move all of them, metres. Each hangs on the triangle ``bound_to``
    places after its own.
    """
    chosen = torch.arange(len(rig.faces)) if faces is None else faces.nonzero()[:, 0]
    face = chosen.repeat_interleave(PER_FACE)
    frames = triangle_frames(rig.vertices, rig.faces)
    corner = rig.vertices[rig.faces[face, torch.arange(len(face)) % 3]]
    means = (corner + 2 * frames.origin[face]) / 3 + outward * frames.rotation[face][:, :, 1] + torch.tensor(shift)
    reach = frames.scale[face] * 0.6
    scales = torch.stack([reach, torch.full_like(reach, THICKNESS), reach], dim=1)
    light = ((means / 0.02).floor().sum(1, keepdim=True) % 2) * 0.5 + 0.25
    return SplatAvatar.from_world(
        rig, face=face + bound_to, means=means, quats=matrix_to_quaternion(frames.rotation)[face], scales=scales,
        opacities=torch.full((len(face),), 0.999), colors=light.expand(-1, 3),
        layer=torch.zeros(len(face), dtype=torch.uint8),
    )  # fmt: skip
