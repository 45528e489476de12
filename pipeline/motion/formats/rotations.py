"""Joint rotations in whatever form a file has them, as axis-angle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.geometry import matrix_to_axis_angle, quaternion_to_matrix
from pipeline.motion.assumptions import Choices

Numbers = NDArray[Any]
AXIS_ANGLE, QUATERNION, SIX, MATRIX = 3, 4, 6, 9
WIDTHS = (AXIS_ANGLE, QUATERNION, SIX, MATRIX)
"""Numbers of one rotation: axis-angle; quaternion; the first two rows or columns of a matrix; a matrix."""
TOLD = {QUATERNION: "quaternions", SIX: "the 6D form", MATRIX: "matrices"}
SHORTEST = 1e-3
"""Length below which a quaternion, or an axis of the 6D form, has no direction."""
MATRIX_TOLERANCE = 0.05


def per_joint(values: Numbers, joints: int, name: str) -> Numbers:
    """Rows (T, joints·n), (T, joints, n) or (T, joints, 3, 3) → (T, joints, n), n one of `WIDTHS`.

    Raises `MotionError` for other shapes.
    """
    numbers = int(np.prod(values.shape[1:]))
    if values.ndim < 2 or numbers % joints or numbers // joints not in WIDTHS:
        raise MotionError(
            f"{name} has shape {values.shape}; {joints} rotations a frame are {joints * AXIS_ANGLE} numbers "
            "(axis-angle), or 4, 6 or 9 for each"
        )
    return values.reshape(len(values), joints, numbers // joints)


def to_axis_angle(joints: Mapping[str, Numbers], choices: Choices, notes: list[str]) -> dict[str, Numbers]:
    """Rotations (T, 4 | 6 | 9) by joint → (T, 3) axis-angle in float64; rows with missing values become NaN.

    Raises `MotionError` for matrices and quaternions that are no rotations.
    """
    done = {}
    for name, values in joints.items():
        done[name] = _converted(name, values.astype(np.float64), choices)
        notes.append(f"{name} was converted from {TOLD[values.shape[1]]} to axis-angle.")
    return done


def _converted(name: str, values: Numbers, choices: Choices) -> Numbers:
    whole = np.isfinite(values).all(1)
    turned = np.full((len(values), 3), np.nan)
    if whole.any():
        matrix = _matrices(name, values[whole], choices)
        turned[whole] = matrix_to_axis_angle(torch.from_numpy(matrix)).numpy()
    return turned


def _matrices(name: str, values: Numbers, choices: Choices) -> Numbers:
    """(T, 4 | 6 | 9) → (T, 3, 3)."""
    if values.shape[1] == QUATERNION:
        return _from_quaternions(name, values, choices)
    if values.shape[1] == SIX:
        return _from_six(name, values, choices)
    matrix = values.reshape(-1, 3, 3)
    off = np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
    wrong = (off > MATRIX_TOLERANCE) | (np.linalg.det(matrix) < 0)
    if wrong.any():
        raise MotionError(f"{name} has 9 numbers a frame that are no rotation matrix in frame {int(wrong.argmax())}")
    return matrix


def _from_quaternions(name: str, values: Numbers, choices: Choices) -> Numbers:
    if (np.linalg.norm(values, axis=1) < SHORTEST).any():
        raise MotionError(f"{name} holds a quaternion of length zero; a rotation has length 1")
    # a head stays within half a turn of rest, so the real part is the largest
    real_last = np.abs(values[:, 3]).mean() > np.abs(values[:, 0]).mean()
    order = "xyzw" if real_last else "wxyz"
    told = f"Rotations are quaternions; their order was taken as {order}."
    if choices.option("quaternion", order, ("wxyz", "xyzw"), told) == "xyzw":
        values = np.roll(values, 1, axis=1)
    return quaternion_to_matrix(torch.from_numpy(np.ascontiguousarray(values))).numpy()


def _from_six(name: str, values: Numbers, choices: Choices) -> Numbers:
    """Gram-Schmidt on two axes (Zhou et al., On the Continuity of Rotation Representations, 2019)."""
    told = "Rotations have six numbers; they were taken as the first two rows of a matrix, as pytorch3d writes them."
    rows = choices.option("six", "rows", ("rows", "columns"), told) == "rows"
    a, b = (values[:, :3], values[:, 3:]) if rows else (values[:, ::2], values[:, 1::2])
    length = np.linalg.norm(a, axis=1, keepdims=True)
    x = a / np.maximum(length, SHORTEST)
    b = b - (x * b).sum(1, keepdims=True) * x
    rest = np.linalg.norm(b, axis=1, keepdims=True)
    if (np.minimum(length, rest) < SHORTEST).any():
        raise MotionError(f"{name} has 6 numbers a frame that are no rotation: its axes have no direction")
    y = b / rest
    matrix = np.stack([x, y, np.cross(x, y)], axis=1)
    return matrix if rows else matrix.transpose(0, 2, 1)
