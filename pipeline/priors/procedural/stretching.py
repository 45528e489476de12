"""The poses in which the skin must not tear, of any rig."""

from __future__ import annotations

import torch

from pipeline.heads.rig import Rig
from pipeline.priors.procedural.splats import Floats

ACTIONS: tuple[dict[str, float], ...] = (
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    {"jawOpen": 0.9},
    {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    {"mouthPucker": 1.0},
)
"""Where expressions are ARKit actions."""
JAW_ANGLE = 0.35
"""Radians: a wide open mouth."""
COEFFICIENT = 2.5
STRONGEST = 5
"""Of an unnamed basis, so many components, both ways, in standard deviations."""


def stretching_offsets(rig: Rig) -> Floats:
    """(P, V, 3) where the vertices go from rest: closed lids, an open mouth, a smile, pursed lips."""
    expression = _action_poses(rig) if rig.basis == "arkit52" else _coefficient_poses(rig)
    offsets = (expression @ rig.expressions.flatten(1)).reshape(len(expression), -1, 3)
    if "jaw" in rig.joint_names:
        still, rotations = rig.neutral()
        rotations[:, rig.joint_index("jaw"), 0] = JAW_ANGLE
        offsets = torch.cat([offsets, rig.pose(still, rotations) - rig.vertices])
    return offsets.numpy()


def _action_poses(rig: Rig) -> torch.Tensor:
    poses = torch.zeros(len(ACTIONS), len(rig.expression_names))
    for row, pose in enumerate(ACTIONS):
        for name, value in pose.items():
            poses[row, rig.expression_index(name)] = value
    return poses


def _coefficient_poses(rig: Rig) -> torch.Tensor:
    poses = torch.zeros(2 * STRONGEST + 1, len(rig.expression_names))
    for component in range(STRONGEST):
        poses[2 * component, component], poses[2 * component + 1, component] = COEFFICIENT, -COEFFICIENT
    lids = [index for index, name in enumerate(rig.expression_names) if name.startswith("eyelid_")]
    poses[-1, lids] = 1.0
    return poses
