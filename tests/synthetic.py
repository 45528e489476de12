"""A small made-up head: an icosphere with eyes-like drivers, four expressions and seven joints."""

from __future__ import annotations

import torch
import trimesh

from pipeline.avatar import Layer, SplatAvatar
from pipeline.heads.rig import Driver, Landmarks, Rig

JOINTS = ("torso", "neck01", "neck02", "neck03", "head", "left_eye", "right_eye")


def synthetic_rig(subdivisions: int = 2) -> Rig:
    """A sphere of 10 cm radius round the head joint with the joints of the free head."""
    sphere = trimesh.creation.icosphere(subdivisions, 0.1)
    vertices = torch.tensor(sphere.vertices, dtype=torch.float32)
    faces = torch.tensor(sphere.faces, dtype=torch.long)
    generator = torch.Generator().manual_seed(1)
    names = ("eyeLookUpLeft", "eyeLookUpRight", "jawOpen", "mouthSmileLeft")
    expressions = torch.randn(len(names), len(vertices), 3, generator=generator) * 0.003
    expressions[2] = (vertices[:, 1:2] < 0) * torch.tensor([0.0, -0.02, 0.0])
    heights = torch.tensor([-0.15, -0.11, -0.08, -0.05, 0.0, 0.03, 0.03])
    joints = torch.stack([torch.tensor([0, 0, 0, 0, 0, 0.03, -0.03]), heights, torch.zeros(7)], dim=1)
    blend = ((vertices[:, 1] + 0.1) / 0.1).clamp(0, 1)
    weights = torch.zeros(len(vertices), len(JOINTS))
    weights[:, 4], weights[:, 0] = blend, 1 - blend
    centre = vertices[faces].mean(1)
    regions = {
        "face": (centre[:, 2] > 0.03) & (centre[:, 1].abs() < 0.06),
        "skin": torch.ones(len(faces), dtype=torch.bool),
    }
    landmarks = Landmarks(("front",), centre[:, 2].argmax()[None], torch.full((1, 3), 1 / 3))
    drivers = (Driver(0, 5, (-1.0, 0.0, 0.0), 0.4), Driver(1, 6, (-1.0, 0.0, 0.0), 0.4))
    return Rig(
        vertices=vertices, faces=faces, expressions=expressions, expression_names=names, basis="arkit52",
        joints=joints, joint_names=JOINTS, parents=(-1, 0, 1, 2, 3, 4, 4), weights=weights, regions=regions,
        landmarks=landmarks, drivers=drivers,
    )  # fmt: skip


def synthetic_avatar(count: int = 400) -> SplatAvatar:
    """Seeded splats on every part of `synthetic_rig`."""
    rig = synthetic_rig()
    generator = torch.Generator().manual_seed(2)
    avatar = SplatAvatar.from_parts(
        rig,
        face=torch.randint(0, len(rig.faces), (count,), generator=generator),
        means=torch.randn(count, 3, generator=generator) * 0.3,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        log_scales=torch.randn(count, 3, generator=generator) * 0.3 - 1.5,
        opacity_logits=torch.randn(count, generator=generator),
        sh=torch.randn(count, 1, 3, generator=generator) * 0.5,
        layer=torch.randint(0, len(Layer), (count,), generator=generator).to(torch.uint8),
    )
    return avatar
