"""What a viewer offers a person to move: groups of expression sliders and named turns of the joints."""

from __future__ import annotations

import math
from typing import Any

from pipeline.heads.rig import Rig

GROUPS = {
    "Eyes": ("eye",),
    "Brows": ("brow",),
    "Jaw": ("jaw",),
    "Mouth": ("mouth",),
    "Cheeks and nose": ("cheek", "nose"),
    "Tongue": ("tongue",),
}
"""Group → first words of the ARKit actions that it holds, in the order of the panel."""
COEFFICIENT_RANGE = (-3.0, 3.0)
"""Principal components of FLAME and SMPL-X, in standard deviations; ARKit actions run from 0 to 1."""
TURNS = {"Nod": (1.0, 0.0, 0.0), "Turn": (0.0, 1.0, 0.0), "Tilt": (0.0, 0.0, 1.0)}
GAZE = {"Down": TURNS["Nod"], "Left": TURNS["Turn"]}
LARGEST_TURN = {"Neck": 40.0, "Head": 40.0, "Body": 90.0, "Jaw": 30.0}
"""Degrees either way; other joints get `LARGEST_GAZE`."""
LARGEST_GAZE = 30.0


def expression_groups(rig: Rig) -> list[dict[str, Any]]:
    """Every expression of the rig once: ``[{name, range, expressions: [index, …]}, …]``."""
    if not rig.basis.startswith("arkit"):
        lids = [index for index, name in enumerate(rig.expression_names) if name.startswith("eyelid_")]
        rest = [index for index in range(len(rig.expression_names)) if index not in lids]
        blink = [{"name": "Eyelids", "range": [0.0, 1.0], "expressions": lids}] if lids else []
        return [*blink, {"name": "Expression", "range": list(COEFFICIENT_RANGE), "expressions": rest}]
    groups: list[dict[str, Any]] = []
    left = list(range(len(rig.expression_names)))
    for name, starts in GROUPS.items():
        members = [index for index in left if rig.expression_names[index].startswith(starts)]
        left = [index for index in left if index not in members]
        if members:
            groups.append({"name": name, "range": [0.0, 1.0], "expressions": members})
    if left:
        groups.append({"name": "More", "range": [0.0, 1.0], "expressions": left})
    return groups


def joint_controls(rig: Rig) -> list[dict[str, Any]]:
    """Every joint of the rig: ``[{name, joints: [{joint, share}], turns: [{name, axis, range (radians)}]}, …]``.

    A chain of neck joints moves as one neck, each joint taking an equal share; two eyes also have a common gaze.
    """
    names = rig.joint_names
    neck = [index for index, name in enumerate(names) if name.startswith("neck")]
    eyes = [index for index, name in enumerate(names) if "eye" in name]
    controls = []
    for name in ("head", "neck", "eyes"):
        members = {"neck": neck, "eyes": eyes if len(eyes) > 1 else []}.get(name)
        members = [index for index, joint in enumerate(names) if joint == name] if members is None else members
        if members:
            share = 1.0 if name == "eyes" else 1.0 / len(members)
            controls.append(_control(name.capitalize(), members, share))
    for index, name in enumerate(names):
        if name != "head" and index not in neck:
            label = "Body" if rig.parents[index] < 0 else name.replace("_", " ").capitalize()
            controls.append(_control(label, [index], 1.0))
    return controls


def _control(name: str, joints: list[int], share: float) -> dict[str, Any]:
    turns = GAZE if "eye" in name.lower() else TURNS
    limit = math.radians(LARGEST_TURN.get(name, LARGEST_GAZE))
    return {
        "name": name,
        "joints": [{"joint": joint, "share": share} for joint in joints],
        "turns": [{"name": turn, "axis": list(axis), "range": [-limit, limit]} for turn, axis in turns.items()],
    }
