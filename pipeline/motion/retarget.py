"""`retarget`: the only bridge from a clip to a rig."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.heads.rig import Rig
from pipeline.motion.jaw import measure_jaw
from pipeline.motion.motion import ARKIT_NAMES, Motion

SAME_EXPRESSIONS = frozenset({"flame2020", "smplx2020"})
"""SMPL-X 2020 was given the expression space of FLAME 2020."""
LOUD_WEIGHT = 1.05
"""An ARKit weight beyond this is worth a note; trackers overshoot 1 a little."""


@dataclass(frozen=True, eq=False)
class Retargeted:
    """A clip in one rig's own terms, ready for ``rig.pose``."""

    expression: Tensor
    """(T, E)."""
    rotations: Tensor
    """(T, J, 3) axis-angle, complete: what the rig's drivers turn is already in it."""
    notes: tuple[str, ...]
    """What could not be carried over, in sentences; the clip's own notes come first."""


def retarget(motion: Motion, rig: Rig, relative: bool = True) -> Retargeted:
    """Drive ``rig`` with ``motion``, frame by frame.

    FLAME's global rotation turns the neck (spread evenly over joints named neck…) and FLAME's neck the head joint, as
    AnimPortrait3D does; a clip with a head joint of its own turns neck by neck and head by head, and its global
    rotation, the body's, is left out. With ``relative`` each starts from its first frame, which removes the camera's
    rotation from tracked clips. The eyes end at exactly the asked angle, and the lids follow. On a rig without a jaw
    joint the jaw's angle becomes jaw actions (`pipeline.motion.jaw`). Expressions are copied where both sides mean the
    same by them.
    """
    notes = list(motion.notes)
    expression = _expression(motion, rig, notes)
    rotations = expression.new_zeros(len(motion), len(rig.joint_names), 3)
    _turn_head(motion, rig, relative, rotations)
    if "jaw" in rig.joint_names:
        rotations[:, rig.joint_index("jaw")] = motion.jaw
    else:
        _move_jaw(motion, rig, expression, notes)
    _close_lids(motion, rig, expression, notes)
    _turn_eyes(motion, rig, expression, rotations)
    return Retargeted(expression, rotations, tuple(notes))


def _expression(motion: Motion, rig: Rig, notes: list[str]) -> Tensor:
    """(T, E) of what can be copied."""
    expression = torch.zeros(len(motion), len(rig.expression_names))
    width = motion.expression.shape[1]
    if motion.basis == rig.basis == "arkit52":
        columns = [ARKIT_NAMES.index(name) for name in rig.expression_names]
        weights = motion.expression[:, columns]
        if float(weights.max()) > LOUD_WEIGHT or float(weights.min()) < 1 - LOUD_WEIGHT:
            notes.append(f"Weights from {float(weights.min()):.2f} to {float(weights.max()):.2f} were cut to 0..1.")
        return weights.clamp(0, 1)
    if not width or not bool(motion.expression.any()):
        return expression
    if motion.basis == rig.basis or {motion.basis, rig.basis} <= SAME_EXPRESSIONS:
        shared = min(width, expression.shape[1])
        expression[:, :shared] = motion.expression[:, :shared]
    elif rig.basis == "arkit52":
        model = "SMPL-X" if motion.basis.startswith("smplx") else "FLAME"
        notes.append(
            f"The clip's {width} expression coefficients belong to {model} and need a {model} file to be understood; "
            "jaw, eyes, neck and head are used."
        )
    else:
        told = f"The clip's expression is {motion.basis} and this head's is {rig.basis}"
        notes.append(f"{told}; jaw, eyes, neck and head are used.")
    return expression


def _turn_head(motion: Motion, rig: Rig, relative: bool, rotations: Tensor) -> None:
    """The two upper rotations of the clip onto the rig's neck and head, or root and neck where it has no head joint."""
    lower, upper = (motion.global_rotation, motion.neck) if motion.head is None else (motion.neck, motion.head)
    if relative:
        lower, upper = _from_first_frame(lower), _from_first_frame(upper)
    necks = [joint for joint, name in enumerate(rig.joint_names) if name.startswith("neck")]
    if "head" in rig.joint_names:
        rotations[:, necks] = (lower / max(len(necks), 1))[:, None]
        rotations[:, rig.joint_index("head")] = upper
    else:
        rotations[:, rig.parents.index(-1)] = lower
        rotations[:, necks] = (upper / max(len(necks), 1))[:, None]


def _from_first_frame(axis_angle: Tensor) -> Tensor:
    """R₀ᵀ·R of every frame: a camera's constant rotation in front of R falls out."""
    matrices = axis_angle_to_matrix(axis_angle)
    return matrix_to_axis_angle(matrices[0].T @ matrices)


def _move_jaw(motion: Motion, rig: Rig, expression: Tensor, notes: list[str]) -> None:
    """Jaw actions for the clip's jaw rotation, on top of what the expression already asks."""
    if not bool(motion.jaw.any()):
        return
    curve = measure_jaw(rig)
    if curve is None:
        notes.append("This head has no jaw; the clip's jaw rotation was left out.")
        return
    widest = float(motion.jaw[:, 0].max())
    if widest > curve.widest + math.radians(1):
        told = f"{math.degrees(widest):.0f}° in the clip, {math.degrees(curve.widest):.0f}° here"
        notes.append(f"The jaw opens wider than this head's can ({told}); it stops there.")
    for name, value in curve.actions(motion.jaw).items():
        channel = rig.expression_index(name)
        expression[:, channel] = (expression[:, channel] + value).clamp(0, 1)


def _close_lids(motion: Motion, rig: Rig, expression: Tensor, notes: list[str]) -> None:
    if motion.eyelids is None:
        return
    names = ("eyeBlinkLeft", "eyeBlinkRight")
    if not set(names) <= set(rig.expression_names):
        notes.append("This head has no blink; the clip's eyelids were left out.")
        return
    for side, name in enumerate(names):
        channel = rig.expression_index(name)
        expression[:, channel] = torch.maximum(expression[:, channel], motion.eyelids[:, side].clamp(0, 1))


def _turn_eyes(motion: Motion, rig: Rig, expression: Tensor, rotations: Tensor) -> None:
    """Eye joints, and the look actions that move the lids with them.

    An ARKit clip's eyes are turned by its own look actions. For another clip the actions are found from the asked angle
    through the drivers' gains, and the joint takes that angle itself, so that it is not turned twice.
    """
    asked = {
        rig.joint_index(name): getattr(motion, name) for name in ("left_eye", "right_eye") if name in rig.joint_names
    }
    if motion.basis == "arkit52":
        rotations += rig.driven_rotations(expression)
        for joint, turn in asked.items():
            rotations[:, joint] += turn
        return
    for driver in rig.drivers:
        if driver.joint in asked:
            along = asked[driver.joint] @ expression.new_tensor(driver.axis)
            expression[:, driver.expression] = (along / driver.radians).clamp(0, 1)
    for joint, turn in asked.items():
        rotations[:, joint] = turn
