"""`retarget`: the only bridge from a clip to a rig."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.heads.rig import Rig
from pipeline.motion.motion import Motion
from pipeline.motion.onto_actions import drive_actions
from pipeline.motion.onto_coefficients import drive_coefficients


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

    Expression, jaw and eyes go to a rig of ARKit actions by `drive_actions`, to one of FLAME's or SMPL-X's coefficients
    by `drive_coefficients`. FLAME's global rotation turns the neck (spread evenly over joints named neck…) and FLAME's
    neck the head joint, as AnimPortrait3D does; a clip with a head joint of its own turns neck by neck and head by
    head, and its global rotation, the body's, is left out, as is every translation. With ``relative`` each starts from
    its first frame, which removes the camera's rotation from tracked clips.
    """
    notes = list(motion.notes)
    drive = drive_actions if rig.basis == "arkit52" else drive_coefficients
    expression, rotations = drive(motion, rig, notes)
    _turn_head(motion, rig, relative, rotations)
    return Retargeted(expression, rotations, tuple(notes))


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
