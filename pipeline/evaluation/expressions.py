"""The poses in which an avatar is looked at: the jaw from shut to wide open, and a face that uses all of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.heads.rig import Rig
from pipeline.motion import Motion, retarget
from pipeline.motion.motion import ARKIT_NAMES, still

REST = "at rest"
JAW_OPENINGS = (0.25, 0.5, 0.75, 1.0)
FACES: dict[str, dict[str, float]] = {
    REST: {},
    **{f"jaw {opening:.0%} open": {"jawOpen": opening} for opening in JAW_OPENINGS},
    "jaw open to the left": {"jawOpen": 0.6, "jawLeft": 1.0},
    "jaw open to the right": {"jawOpen": 0.6, "jawRight": 1.0},
    "laugh": {"jawOpen": 0.6, "mouthSmile": 1.0, "mouthUpperUp": 0.6, "mouthLowerDown": 0.6, "cheekSquint": 0.7},
    "oh": {"jawOpen": 0.5, "mouthFunnel": 1.0},
    "smile": {"mouthSmile": 1.0, "cheekSquint": 0.5},
    "kiss": {"mouthPucker": 1.0},
    "frown": {"mouthFrown": 1.0, "browDown": 1.0},
    "blink": {"eyeBlink": 1.0},
    "eyes wide": {"eyeWide": 1.0, "browInnerUp": 1.0, "browOuterUp": 1.0},
    "nose wrinkled": {"noseSneer": 1.0, "eyeSquint": 1.0, "browDown": 1.0},
    "puffed cheeks": {"cheekPuff": 1.0},
}
"""ARKit actions by name; one without a side goes to both."""
TURNED = {"head turned": (0.0, 30.0, 0.0), "head bowed": (20.0, 0.0, 0.0)}
"""Degrees of the head about x (down), y (to the subject's left) and z."""


@dataclass(frozen=True, eq=False)
class Expression:
    """One pose to be looked at."""

    name: str
    expression: Tensor
    """(1, E)."""
    rotations: Tensor
    """(1, J, 3) axis-angle radians."""


def expressions(rig: Rig) -> list[Expression]:
    """Every pose of `FACES` and `TURNED` on this rig, whatever its basis: they go through `retarget` as a clip does."""
    clip = _clip()
    driven = retarget(clip, rig, relative=False)
    return [
        Expression(name, driven.expression[row : row + 1], driven.rotations[row : row + 1])
        for row, name in enumerate((*FACES, *TURNED))
    ]


def _clip() -> Motion:
    weights = torch.zeros(len(FACES) + len(TURNED), len(ARKIT_NAMES))
    for row, actions in enumerate(FACES.values()):
        for name, value in actions.items():
            for full in (name, f"{name}Left", f"{name}Right"):
                if full in ARKIT_NAMES:
                    weights[row, ARKIT_NAMES.index(full)] = value
    rotations = still(len(weights))
    for row, degrees in enumerate(TURNED.values(), start=len(FACES)):
        rotations["neck"][row] = torch.tensor([math.radians(angle) for angle in degrees])
    return Motion(fps=1.0, basis="arkit52", expression=weights, **rotations)
