"""The pair of `.npy` files that AnimPortrait3D (Wu et al., 2025, `render_animation.py`) plays.

``exp`` (T, up to 100): FLAME expression coefficients. ``pose`` (T, 15): axis-angle radians of global rotation, neck,
jaw, left eye and right eye. The two come in any order, and either alone will do. Neither names its frame rate (25 is
that program's default) nor its FLAME release (its clips are tracked with FLAME 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.motion import MOST_FRAMES, Motion, still

NAME = "AnimPortrait3D expression and pose"
EXPECTS = "one or two .npy: expression (frames, up to 100) and pose (frames, 15)"
DEFAULT_FPS = 25.0
MOST_EXPRESSIONS = 100
POSE = ("global_rotation", "neck", "jaw", "left_eye", "right_eye")
POSE_WIDTH = 3 * len(POSE)
UNNAMED_ARKIT_WIDTHS = (51, 52)


def sniff(files: Sequence[ArrayFile]) -> bool:
    """Whether these are one or two bare arrays."""
    return 1 <= len(files) <= 2 and not any(file.compressed for file in files)


def read(files: Sequence[ArrayFile], fps: float | None) -> Motion:
    """The clip. Raises `UserError` naming the file and what does not fit."""
    for file in files:
        _check_header(file)
    poses = [file for file in files if _width(file) == POSE_WIDTH]
    expressions = [file for file in files if _width(file) != POSE_WIDTH]
    if len(poses) > 1 or len(expressions) > 1:
        kind = f"(frames, {POSE_WIDTH}) poses" if poses else "expressions"
        raise UserError(f"{files[0].name} and {files[1].name} are both {kind}; give one expression and one pose file")
    frames = {file.name: file.arrays[""].shape[0] for file in files}
    if len(set(frames.values())) > 1:
        told = " and ".join(f"{name} has {count} frames" for name, count in frames.items())
        raise UserError(f"{told}; both files of a clip need the same number")
    count = next(iter(frames.values()))
    notes = (
        [] if fps is not None else [f"The files name no frame rate; {DEFAULT_FPS:.0f} frames per second were assumed."]
    )
    if expressions:
        notes.append("The files name no FLAME release; the expression was taken as FLAME 2023.")
    rotations: dict[str, Any] = still(count)
    if poses:
        pose = _values(poses[0])
        rotations |= {name: pose[:, 3 * k : 3 * k + 3] for k, name in enumerate(POSE)}
    return Motion(
        fps=DEFAULT_FPS if fps is None else fps,
        basis="flame2023",
        expression=_values(expressions[0]) if expressions else torch.zeros(count, 0),
        **rotations,
        source=" + ".join(file.name for file in files),
        notes=tuple(notes),
    )


def _width(file: ArrayFile) -> int:
    return file.arrays[""].shape[1]


def _check_header(file: ArrayFile) -> None:
    header = file.arrays[""]
    shape = header.shape
    wanted = f"expression is (frames, up to {MOST_EXPRESSIONS}) and pose is (frames, {POSE_WIDTH})"
    if not header.is_number:
        raise UserError(f"{file.name} holds {header.dtype} values; {wanted}, of floats")
    if len(shape) != 2 or not shape[1]:
        raise UserError(f"{file.name} has shape {shape}; {wanted}")
    if shape[1] in UNNAMED_ARKIT_WIDTHS:
        raise UserError(
            f"{file.name} has {shape[1]} columns, which look like ARKit weights without names, not FLAME coefficients; "
            "give them as a motion clip (.npz) with the basis arkit52"
        )
    if shape[1] > MOST_EXPRESSIONS:
        turned = f"; it looks transposed, {shape[::-1]} would fit" if shape[0] in (POSE_WIDTH, MOST_EXPRESSIONS) else ""
        raise UserError(f"{file.name} has shape {shape}; {wanted}{turned}")
    if not 1 <= shape[0] <= MOST_FRAMES:
        raise UserError(f"{file.name} has {shape[0]} frames; a clip has 1 to {MOST_FRAMES}")


def _values(file: ArrayFile) -> torch.Tensor:
    with np.errstate(over="ignore"):
        values = torch.from_numpy(file.read().astype(np.float32))
    broken = ~values.isfinite().all(1)
    if bool(broken.any()):
        raise UserError(
            f"{file.name} holds {int(broken.sum())} of {len(values)} frames with a NaN or infinite value, "
            f"the first is frame {int(broken.nonzero()[0])}; every value must be a finite number"
        )
    return values
