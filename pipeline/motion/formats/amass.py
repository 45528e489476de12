"""`.npz` of AMASS (Mahmood et al., ICCV 2019): bodies without expressions.

SMPL-X files (``*_stageii.npz``) have ``poses`` (T, 165) and the same split into ``root_orient``, ``pose_body``
(T, 63), ``pose_hand``, ``pose_jaw`` (T, 3), ``pose_eye`` (T, 6), and ``mocap_frame_rate``. The older SMPL+H files have
``poses`` (T, 156) without a jaw, and ``mocap_framerate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import (
    bare_name,
    bare_shape,
    holds,
    only_arrays,
    read_numbers,
    stored_number,
    unwrapped,
)
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_fps, ask_upright
from pipeline.motion.formats.rotations import WIDTHS, per_joint
from pipeline.motion.formats.smplx_pose import BASIS, BODY_JOINTS, from_body_pose, from_full_pose
from pipeline.motion.formats.sources import Source

NAME = "AMASS"
EXPECTS = "one .npz with poses (frames, 165 or 156), or pose_body and pose_jaw; or a .npy of poses alone"
USES = "jaw, eyes, neck and head of the body; no expression is in it"
HOW_TO_EXPORT = "the SMPL-X files *_stageii.npz, or the SMPL+H files *_poses.npz, of the AMASS site"
DEFAULT_FPS = 60.0
FPS_NAMES = ("mocap_frame_rate", "mocap_framerate", "fps")
JOINT_COUNTS = {55: "SMPL-X", 52: "SMPL+H", 24: "SMPL"}
BARE_WIDTHS = (165, 156)
"""Poses alone, in an array without a name."""
NO_FACE = "Body motion ignored; the file has no expression: head, jaw and eyes used."
ONLY_HEAD = "Body motion ignored; {} has no jaw, eyes or expression: only neck and head used."


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with poses of a body and no expression."""
    bare = bare_shape(sources[0]) if len(sources) == 1 else None
    if bare is not None:
        return len(bare) == 2 and 0 not in bare and bare[1] in BARE_WIDTHS
    file = only_arrays(sources)
    if file is None or holds(file, ("expressions", "expression")):
        return False
    return holds(file, "pose_body") or ("poses" in file.arrays and _joint_count(file.arrays["poses"].shape) is not None)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    (file,) = sources
    assert isinstance(file, ArrayFile)
    bare = bare_name(file)
    file = unwrapped(file) if bare is None else file
    poses = "poses" if bare is None else bare
    fps = ask_fps(choices, DEFAULT_FPS, stored_number(file, *FPS_NAMES))
    rotations = _split_pose(file) if "pose_body" in file.arrays else full_pose(file, choices, poses)
    joints = _joint_count(file.arrays[poses].shape) if poses in file.arrays else 55
    told = NO_FACE if "jaw" in rotations else ONLY_HEAD.format(JOINT_COUNTS[joints or 52])
    empty = np.zeros((1, 0), np.float32)
    return Draft(file.name, fps, BASIS, empty, rotations, notes=[told])


def full_pose(file: ArrayFile, choices: Choices, name: str = "poses") -> dict[str, NDArray[Any]]:
    """The head's joints of the array of that name. Raises `MotionError` when its width is no body's."""
    values = read_numbers(file, name)
    joints = _joint_count(values.shape)
    if joints is None:
        raise MotionError(f"poses in {file.name} has shape {values.shape}; (frames, 165) of SMPL-X is needed")
    if values.ndim == 2 and _joints_of(values.shape[1]) != joints:
        values = ask_upright(values, "poses", choices)
    return from_full_pose(per_joint(values, joints, "poses"))


def _split_pose(file: ArrayFile) -> dict[str, NDArray[Any]]:
    turns = from_body_pose(per_joint(read_numbers(file, "pose_body"), BODY_JOINTS, "pose_body"))
    if "pose_jaw" in file.arrays:
        turns["jaw"] = read_numbers(file, "pose_jaw")
    if "pose_eye" in file.arrays:
        eyes = per_joint(read_numbers(file, "pose_eye"), 2, "pose_eye")
        turns |= {"left_eye": eyes[:, 0], "right_eye": eyes[:, 1]}
    return turns


def _joint_count(shape: tuple[int, ...]) -> int | None:
    """How many joints poses of this shape have, (T, numbers), (T, J, n) or (numbers, T)."""
    if len(shape) < 2 or 0 in shape:
        return None
    joints = _joints_of(prod(shape[1:]))
    return joints if joints is not None or len(shape) > 2 else _joints_of(shape[0])


def _joints_of(numbers: int) -> int | None:
    return next((joints for joints in JOINT_COUNTS for width in WIDTHS if joints * width == numbers), None)
