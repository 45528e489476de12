"""The synthetic SMPL-X below its head: torso, four limbs, 55 joints and their weights."""

from __future__ import annotations

import numpy as np

from pipeline.heads.anny import AnnyHead
from tests.heads import bases
from tests.heads.topology import (
    EYEBALL,
    FLAME_SKIN,
    LIMB_RINGS,
    LIMB_SEGMENTS,
    SMPLX_SKIN,
    ball,
    body_skin_count,
    limb_count,
    topology,
)

SMPLX_ORIGIN = np.array([0.0, -0.3, -0.01])
"""From the free head's head joint: in the chest, as SMPL-X has it."""
FINGERS = 15
SMPLX_PARENTS = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
    *(20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38),
    *(21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53),
)
LIMBS: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float, tuple[int, int, int]], ...] = (
    ((0.09, -0.7, 0.0), (0.10, -1.5, 0.0), 0.07, (1, 4, 7)),
    ((-0.09, -0.7, 0.0), (-0.10, -1.5, 0.0), 0.07, (2, 5, 8)),
    ((0.20, -0.23, 0.0), (0.80, -0.23, 0.0), 0.05, (16, 18, 20)),
    ((-0.20, -0.23, 0.0), (-0.80, -0.23, 0.0), 0.05, (17, 19, 21)),
)
"""Legs and arms from the head joint: start, end, radius, and the joints along them."""
SPINE = {0: (0.0, -0.65, -0.01), 3: (0.0, -0.55, -0.02), 6: (0.0, -0.42, -0.03), 9: (0.0, -0.32, -0.02)}
COLLARS = {13: (0.06, -0.20, -0.02), 14: (-0.06, -0.20, -0.02)}


def smplx_points(vertices: np.ndarray) -> np.ndarray:
    """(10475, 3) in SMPL-X's placement from the free head's vertices."""
    head = bases.head_points(vertices)
    torso = topology().torso_mixture @ vertices
    limbs = [_limb(np.array(start), np.array(end), radius) for start, end, radius, _ in LIMBS]
    return np.concatenate([head[:FLAME_SKIN], torso, *limbs, head[FLAME_SKIN:]]) - SMPLX_ORIGIN


def smplx_skeleton(identity: bases.Identity) -> np.ndarray:
    """(55, 3) rest joints in SMPL-X's placement."""
    rig = AnnyHead(identity).rig
    at = {name: rig.joints[rig.joint_index(name)].numpy().astype(np.float64) for name in rig.joint_names}
    hinge, _ = bases.jaw_of(rig)
    joints = np.zeros((55, 3))
    for joint, place in (SPINE | COLLARS).items():
        joints[joint] = place
    joints[12], joints[15] = at["neck01"], at["neck03"]
    joints[22:25] = hinge, at["left_eye"], at["right_eye"]
    for start, end, _, chain in LIMBS:
        for joint, share in zip(chain, (0.02, 0.45, 0.85), strict=True):
            joints[joint] = (1 - share) * np.array(start) + share * np.array(end)
    joints[10], joints[11] = joints[7] + (0, 0, 0.08), joints[8] + (0, 0, 0.08)
    for wrist, first, side in ((20, 25, 1), (21, 40, -1)):
        for finger in range(FINGERS):
            reach, spread = 0.03 + 0.02 * (finger % 3), 0.015 * (finger // 3 - 2)
            joints[first + finger] = joints[wrist] + (side * reach, 0, spread)
    return joints - SMPLX_ORIGIN


def smplx_weights(identity: bases.Identity) -> np.ndarray:
    """(10475, 55)"""
    rig = AnnyHead(identity).rig
    _, jaw = bases.jaw_of(rig)
    mixtures = (topology().head_mixture, topology().torso_mixture)
    anny = np.concatenate([mixture @ rig.weights.numpy().astype(np.float64) for mixture in mixtures])
    body = dict(zip(rig.joint_names, anny.T, strict=True))
    skin = body_skin_count(topology())
    points = smplx_points(bases.anny_vertices(identity))[:skin] + SMPLX_ORIGIN
    weights = np.zeros((10475, 55))
    weights[:skin, 12] = body["neck01"] + 0.5 * body["neck02"]
    weights[:skin, 15] = 1 - weights[:skin, 12] - body["torso"]
    weights[:FLAME_SKIN, 22] = jaw[:FLAME_SKIN] * weights[:FLAME_SKIN, 15]
    weights[:FLAME_SKIN, 15] -= weights[:FLAME_SKIN, 22]
    outwards = np.clip(np.abs(points[:, 0]) / 0.2, 0, 1)
    low = np.clip((-0.28 - points[:, 1]) / 0.12, 0, 1)
    for collar, shoulder, side in ((13, 16, 1), (14, 17, -1)):
        mine = np.where(side * points[:, 0] > 0, outwards, 0)
        weights[:skin, collar] = body["torso"] * (1 - low) * mine * (1 - mine)
        weights[:skin, shoulder] = body["torso"] * (1 - low) * mine * mine
    weights[:skin, 9] = body["torso"] * (1 - low) * (1 - outwards)
    weights[:skin, 6] = body["torso"] * low
    for index, (_, _, _, chain) in enumerate(LIMBS):
        rows = slice(skin + index * limb_count(), skin + (index + 1) * limb_count())
        along = np.linspace(0, 2.999, limb_count()).astype(int)
        weights[rows][np.arange(limb_count()), np.array(chain)[along]] = 1
    weights[SMPLX_SKIN : SMPLX_SKIN + EYEBALL, 23] = 1
    weights[SMPLX_SKIN + EYEBALL :, 24] = 1
    return weights / weights.sum(1, keepdims=True)


def _limb(start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """An ellipsoid from start to end."""
    along = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along, [0, 0, 1.0])
    axes = np.stack([side * radius, np.cross(along, side) * radius, 0.5 * (end - start)])
    return 0.5 * (start + end) + ball(LIMB_RINGS, LIMB_SEGMENTS) @ axes
