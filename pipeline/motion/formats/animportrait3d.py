"""The pair of `.npy` files that AnimPortrait3D (Wu et al., 2025, `render_animation.py`) plays.

``exp`` (T, up to 100): FLAME expression coefficients. ``pose`` (T, 15): axis-angle radians of global rotation, neck,
jaw, left eye and right eye. The two come in any order, and either alone will do; so will the pose of 6 columns (global
rotation and jaw) that DECA's family writes, 3 (a jaw), 18 (15 and a translation), and 103 columns (100 of expression
and a jaw). Neither names its frame rate (25 is that program's default) nor its FLAME release (its clips are tracked
with FLAME 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import bare_name, bare_shape, read_numbers
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_basis, ask_fps, ask_upright
from pipeline.motion.formats.sources import Source

NAME = "AnimPortrait3D expression and pose"
EXPECTS = "one or two .npy: expression (frames, up to 100) and pose (frames, 15)"
USES = "expression, head, neck, jaw, eyes"
HOW_TO_EXPORT = "the files that AnimPortrait3D's render_animation.py takes as exp_path and pose_path"
DEFAULT_FPS = 25.0
BASIS = "flame2023"
MOST_EXPRESSIONS = 100
POSE = ("global_rotation", "neck", "jaw", "left_eye", "right_eye")
POSE_WIDTH = 3 * len(POSE)
POSE_WIDTHS = (POSE_WIDTH, 18, 6, 3)
WITH_JAW = MOST_EXPRESSIONS + 3
OTHER_READERS = (51, 52, 106, 156, 165, 265)
"""Widths of unnamed arrays that belong to other tools."""
WANTED = f"expression is (frames, up to {MOST_EXPRESSIONS}) and pose is (frames, {POSE_WIDTH})"


def sniff(sources: Sequence[Source]) -> bool:
    """Whether these are one or two unnamed arrays of a width that no other tool has."""
    shapes = [bare_shape(source) for source in sources]
    return 1 <= len(shapes) <= 2 and all(
        shape is not None and not (len(shape) in (2, 3) and shape[-1] in OTHER_READERS) for shape in shapes
    )


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the file and what does not fit."""
    named = [(source.name, _values(source, choices)) for source in sources]
    pose = _pose_index([values.shape[1] for _, values in named])
    expressions = [number for number in range(len(named)) if number != pose]
    if len(expressions) > 1:
        raise MotionError(
            f"{named[0][0]} and {named[1][0]} are both expressions; give one expression and one pose file"
        )
    if pose is not None and expressions and named[expressions[0]][1].shape[1] == POSE_WIDTH:
        raise MotionError(
            f"{named[0][0]} and {named[1][0]} are both poses, (frames, {POSE_WIDTH}); give one expression and one pose "
            "file"
        )
    fps = ask_fps(choices, DEFAULT_FPS)
    draft = Draft(" + ".join(name for name, _ in named), fps, BASIS, np.zeros((1, 0), np.float32))
    if expressions:
        draft.basis = ask_basis(choices, BASIS)
        draft.expression = named[expressions[0]][1][:, :MOST_EXPRESSIONS]
        jaw = named[expressions[0]][1][:, MOST_EXPRESSIONS:]
        if jaw.shape[1]:
            draft.rotations = {"jaw": jaw}
            draft.notes.append(f"{WITH_JAW} columns were taken as {MOST_EXPRESSIONS} of expression and a jaw rotation.")
    if pose is not None:
        _add_pose(draft, named[pose][1], choices)
    return draft


def _add_pose(draft: Draft, pose: NDArray[Any], choices: Choices) -> None:
    width = pose.shape[1]
    if width >= POSE_WIDTH:
        draft.rotations = {name: pose[:, 3 * number : 3 * number + 3] for number, name in enumerate(POSE)}
        if width > POSE_WIDTH:
            draft.translation = pose[:, POSE_WIDTH:]
            draft.notes.append(f"The last 3 of {width} columns of the pose were taken as a translation.")
    elif width == 3:
        told = "A pose of 3 columns was taken as the jaw."
        joint = choices.option("pose", "jaw", ("jaw", "head"), told)
        draft.rotations = {"jaw" if joint == "jaw" else "global_rotation": pose}
    else:
        draft.rotations = {"global_rotation": pose[:, :3], "jaw": pose[:, 3:]}
        draft.notes.append("A pose of 6 columns was taken as global rotation and jaw, as DECA and EMOCA write them.")


def _pose_index(widths: Sequence[int]) -> int | None:
    """Which of the files is the pose: the one of the surest width."""
    return next((widths.index(width) for width in POSE_WIDTHS if width in widths), None)


def _values(source: Source, choices: Choices) -> NDArray[Any]:
    """(T, N), turned upright where (N, T) would fit and it does not."""
    name = bare_name(source)
    assert isinstance(source, ArrayFile)
    assert name is not None
    header = source.arrays[name]
    if not header.is_number:
        raise MotionError(f"{source.name} holds {header.dtype} values; {WANTED}, of floats")
    shape = header.shape
    if len(shape) == 3 and 1 in shape[:2]:
        shape = (shape[0] * shape[1], shape[2])
    if len(shape) != 2 or not shape[1]:
        raise MotionError(f"{source.name} has shape {header.shape}; {WANTED}")
    turned = not _fits(shape[1]) and shape[0] in (*POSE_WIDTHS, MOST_EXPRESSIONS, 50)
    if not turned and not _fits(shape[1]):
        raise MotionError(f"{source.name} has shape {header.shape}; {WANTED}")
    values = read_numbers(source, name).reshape(shape)
    if turned:
        values = ask_upright(values, source.name, choices)
    if not _fits(values.shape[1]):
        raise MotionError(f"{source.name} has shape {values.shape}; {WANTED}")
    return values


def _fits(width: int) -> bool:
    return width <= MOST_EXPRESSIONS or width == WITH_JAW
