"""`MotionPool`: the expressions and head poses that a refinement draws from.

AnimPortrait3D draws from 25,151 frames of tracked people, and for the mouth from 909 with an open one, which it ships
as FLAME coefficients; where those files are at hand, heads of that kind use them. Every other head gets a pool of its
own: frames of our clips and mixtures of actions (`pipeline.stages.mixtures`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.model_files import model_folders
from pipeline.heads.rig import Rig
from pipeline.motion.formats import load_motion
from pipeline.motion.jaw import measure_jaw
from pipeline.motion.motion import Motion
from pipeline.motion.retarget import retarget
from pipeline.stages.config import Phase
from pipeline.stages.gaze import Eyes
from pipeline.stages.mixtures import people

OPEN = 0.1
"""Radians that the jaw is turned down from which the teeth are seen."""
WIDE_OPEN, WIDE_OPEN_COPIES = 0.2, 10
"""Radians from which a pose is drawn that many times more often in a weighted pool."""
STRENGTH_OF_HALF = 3.0
"""Half of the poses are at least so many times as strong as the unit that their weight counts in."""
FOLDERS = {"all": "all_exp_pose", "open_mouth": "open_mouth_exp_pose"}
"""Where AnimPortrait3D's repository has its pools: ``exp.npy`` and ``pose.npy`` each."""
FILES = ("exp.npy", "pose.npy")
MOST_FOLDERS = 10_000


@dataclass(frozen=True)
class MotionPool:
    """P poses of one rig, gaze and lids at rest. On the CPU, where they are drawn."""

    expression: Tensor
    """(P, E)"""
    rotations: Tensor
    """(P, J, 3) axis-angle radians."""
    weights: Tensor
    """(P,) how often each is drawn, any positive numbers."""
    mouth_open: Tensor
    """(P,) bool: whether the teeth are seen."""
    head_joints: list[int]
    """Joints that turn neck and head."""

    def __len__(self) -> int:
        return len(self.expression)


def motion_pool(rig: Rig, phase: Phase) -> MotionPool:
    """The pool that a phase draws from on this rig, the same every time.

    Raises `UserError` when AnimPortrait3D's files are there and cannot be used.
    """
    rig = _on_cpu(rig)
    found = tracked_files(phase.pool) if rig.basis != "arkit52" else None
    motion = people(phase.pool) if found is None else _tracked(found)
    driven = retarget(motion, rig, relative=False)
    expression, rotations = driven.expression.clone(), driven.rotations.clone()
    Eyes(rig).rest(expression, rotations)
    angle = jaw_angle(rig, expression, rotations)
    weights = strength_weights(expression, angle) if phase.weighted_pool else torch.ones(len(expression))
    return MotionPool(expression, rotations, weights, angle > OPEN, _head_joints(rig))


def strength_weights(expression: Tensor, jaw: Tensor) -> Tensor:
    """(P,) of expressions (P, E) and jaw angles (P,): strong expressions and open jaws are drawn more often.

    AnimPortrait3D (train_all.py) takes int(‖e‖ / min ‖e‖)² copies, and 10 more where the jaw is wide open. The least
    expression is a tracker's noise floor there; a pool with a face at rest has none, so the unit is a share of the
    median.
    """
    strength = expression.norm(dim=1)
    least = float(strength.min())
    unit = max(least, float(strength.median()) / STRENGTH_OF_HALF, 1e-6)
    copies = (strength / unit).floor() ** 2
    return copies.clamp_min(1) + WIDE_OPEN_COPIES * (jaw > WIDE_OPEN)


def jaw_angle(rig: Rig, expression: Tensor, rotations: Tensor) -> Tensor:
    """(P,) radians that the jaw is open, by its joint or by the actions that stand for it, less what the lips close."""
    if "jaw" in rig.joint_names:
        return rotations[:, rig.joint_index("jaw"), 0]
    curve = measure_jaw(rig)
    if curve is None:
        return torch.zeros(len(expression))
    opened = expression[:, rig.expression_index("jawOpen")]
    if "mouthClose" in rig.expression_names:
        opened = opened - expression[:, rig.expression_index("mouthClose")]
    return torch.from_numpy(np.interp(opened.numpy(), curve.values, curve.angles)).float()


def tracked_files(pool: str) -> tuple[Path, Path] | None:
    """AnimPortrait3D's expressions and poses below a folder of the head models, if they are there."""
    seen = 0
    for folder in model_folders():
        for place, folders, names in os.walk(folder):
            folders.sort()
            seen += 1
            if Path(place).name == FOLDERS[pool] and set(FILES) <= set(names):
                return Path(place) / FILES[0], Path(place) / FILES[1]
            if seen > MOST_FOLDERS:
                return None
    return None


def _tracked(files: tuple[Path, Path]) -> Motion:
    motion = load_motion(list(files))
    if len(motion) < 2 or not bool(motion.expression.any()):
        raise UserError(f"{files[0].parent} holds no expressions; get it again from AnimPortrait3D, or remove it")
    return motion


def _head_joints(rig: Rig) -> list[int]:
    """All but the jaw and the eyes, which are parts of the face."""
    return [joint for joint, name in enumerate(rig.joint_names) if name not in ("jaw", "left_eye", "right_eye")]


def _on_cpu(rig: Rig) -> Rig:
    moved: dict[str, Any] = {
        field.name: value.detach().cpu()
        for field in fields(rig)
        if isinstance(value := getattr(rig, field.name), Tensor)
    }
    regions = {name: mask.cpu() for name, mask in rig.regions.items()}
    return replace(rig, **moved, regions=regions)
