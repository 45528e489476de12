"""Whether stored avatars are sound: a wrong size would ask for any memory, a wrong index crash the kernels."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from pipeline.avatar import Layer, SplatAvatar
from pipeline.motion import ARKIT_NAMES

NAME_LISTS = ("expression_names", "joint_names", "region_names", "landmark_names")
CHOICES = {
    "rasterize_mode": ("antialiased", "classic"),
    "sh_frame": ("rest", "world"),
    "sh_coefficients": (1, 4, 9, 16),
}
STORED_AS = {torch.float32: "F32", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}
"""Type of a tensor → what safetensors calls it."""


def check_stored(config_file: Path, weights_file: Path) -> None:
    """Compare the files with each other before anything is allocated.

    Raises `ValueError` naming what does not fit, and whatever reading broken files and building a `SplatAvatar` from a
    wrong configuration raise.
    """
    config = json.loads(config_file.read_text(encoding="utf-8"))
    check_config(config)
    with torch.device("meta"):  # shapes without memory
        wanted = SplatAvatar.from_config(config).state_dict()
    with safe_open(weights_file, framework="pt") as weights:
        missing = sorted(wanted.keys() - set(weights.keys()))
        if missing:
            raise ValueError(f"{missing[0]} is missing in the weights")
        for name, tensor in wanted.items():
            stored = weights.get_slice(name)
            told, needed = (stored.get_dtype(), *stored.get_shape()), (STORED_AS[tensor.dtype], *tensor.shape)
            if told != needed:
                raise ValueError(f"{name} is {_told(told)} in the weights, config.json asks for {_told(needed)}")


def check_config(config: Any) -> None:
    """Raise `ValueError` where names, the joint tree, the drivers or a choice cannot be right; `KeyError` for gaps."""
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    for name, allowed in CHOICES.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} is {config[name]!r}, not one of {', '.join(map(str, allowed))}")
    for name in NAME_LISTS:
        if not isinstance(config[name], list) or not all(isinstance(entry, str) for entry in config[name]):
            raise ValueError(f"{name} is no list of names")
    expressions, joints = config["expression_names"], config["joint_names"]
    if config["basis"] == "arkit52" and not set(expressions) <= set(ARKIT_NAMES):
        raise ValueError(f"{min(set(expressions) - set(ARKIT_NAMES))!r} is no ARKit action")
    parents = config["parents"]
    if len(parents) != len(joints) or not all(_whole(p, -1, joint) for joint, p in enumerate(parents)):
        raise ValueError("parents do not order the joints as a tree, parents first")
    for driver in config["drivers"]:
        if not (len(driver) == 6 and _whole(driver[0], 0, len(expressions)) and _whole(driver[1], 0, len(joints))):
            raise ValueError(f"the driver {driver} is not expression, joint, axis and angle of this rig")
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in driver[2:]):
            raise ValueError(f"the driver {driver} has an axis or angle that is no number")


def check_values(avatar: SplatAvatar) -> None:
    """Raise `ValueError` where an index points nowhere or a number is not finite."""
    faces, vertices = len(avatar.rig_faces), len(avatar.rig_vertices)
    limits = {"face": faces, "rig_faces": vertices, "rig_landmark_faces": faces, "layer": len(Layer)}
    for name, value in avatar.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ValueError(f"{name} is not finite")
        limit = limits.get(name)
        if limit is not None and value.numel() and not 0 <= int(value.min()) <= int(value.max()) < limit:
            raise ValueError(f"{name} holds {int(value.max())}, an index is not below {limit}")


def _whole(value: object, low: int, above: int) -> bool:
    return isinstance(value, int | float) and float(value).is_integer() and low <= value < above


def _told(stored: tuple[Any, ...]) -> str:
    return f"{stored[0]} {tuple(stored[1:])}"
