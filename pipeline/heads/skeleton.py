"""Which joint of a rig does what: names differ from model to model, the joint tree does not."""

from __future__ import annotations

from torch import Tensor

from pipeline.heads.rig import Rig


def skull_joint(rig: Rig) -> int:
    """The joint that carries the eyes: ``head`` of Anny and SMPL-X, ``neck`` of FLAME."""
    return rig.parents[rig.joint_index("left_eye")]


def trunk_joint(rig: Rig) -> int:
    """The joint below the neck: ``torso`` of Anny, ``root`` of FLAME, the upper spine of SMPL-X."""
    joint = skull_joint(rig)
    while rig.parents[joint] >= 0 and (joint == skull_joint(rig) or rig.joint_names[joint].startswith("neck")):
        joint = rig.parents[joint]
    return joint


def neck_joint(rig: Rig) -> int:
    """The joint half way between skull and trunk; the trunk itself where there is none (FLAME)."""
    between = []
    joint = rig.parents[skull_joint(rig)]
    while joint >= 0 and joint != trunk_joint(rig):
        between.append(joint)
        joint = rig.parents[joint]
    return between[len(between) // 2] if between else trunk_joint(rig)


def trunk_share(rig: Rig) -> Tensor:
    """(V,) sum of the weights of all joints but those from the neck upwards: what stays when the head turns."""
    above = {joint for joint in range(len(rig.parents)) if _is_above(rig, joint)}
    return rig.weights[:, [joint for joint in range(len(rig.parents)) if joint not in above]].sum(1)


def _is_above(rig: Rig, joint: int) -> bool:
    """Whether a joint hangs on the trunk through the neck: neck, skull, jaw, eyes."""
    neck = skull_joint(rig)
    while rig.parents[neck] >= 0 and rig.parents[neck] != trunk_joint(rig):
        neck = rig.parents[neck]
    while joint >= 0 and joint != neck:
        joint = rig.parents[joint]
    return joint == neck
