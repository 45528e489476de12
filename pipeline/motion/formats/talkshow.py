"""`.npy` (T, 265) of TalkSHOW (Yi et al., CVPR 2023): SMPL-X with an order of its own.

Jaw 0:3, left eye 3:6, right eye 6:9, global 9:12, body 12:75, hands 75:165, expression 165:265. (SMPL-X's own 165
numbers start with the global rotation.) The global rotation is that of the camera, which is upside down. Files of
several samples hold 300 frames of each, one after the other.
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
from pipeline.motion.formats.rotations import per_joint
from pipeline.motion.formats.smplx_pose import BASIS, BODY_IGNORED, BODY_JOINTS, from_body_pose
from pipeline.motion.formats.sources import Source

NAME = "TalkSHOW"
EXPECTS = "one .npy (frames, 265)"
USES = "expression, jaw, eyes, neck and head of the body"
HOW_TO_EXPORT = "the .npy files that TalkSHOW's scripts/demo.py writes"
WIDTH = 265
JAW, LEFT_EYE, RIGHT_EYE = slice(0, 3), slice(3, 6), slice(6, 9)
BODY, EXPRESSION = slice(12, 75), slice(165, 265)
DEFAULT_FPS = 30.0
SAMPLE_FRAMES = 300
BREAK = 4.0
"""Times the usual change between frames that a new sample begins with."""
LEAST_BROKEN = 0.75


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one unnamed array of that width."""
    shape = bare_shape(sources[0]) if len(sources) == 1 else None
    return shape is not None and len(shape) in (2, 3) and WIDTH in shape[-2:] and 0 not in shape


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip, or the first sample of a file that holds several. Raises `MotionError` for another shape."""
    (file,) = sources
    name = bare_name(file)
    assert isinstance(file, ArrayFile)
    assert name is not None
    values = read_numbers(file, name)
    starts: tuple[int, ...] = ()
    if values.ndim == 3 and values.shape[2] == WIDTH:
        starts = tuple(range(0, values.shape[0] * values.shape[1], values.shape[1]))
        values = values.reshape(-1, WIDTH)
    if values.ndim == 2 and values.shape[1] != WIDTH == values.shape[0]:
        values = ask_upright(values, file.name, choices)
    if values.ndim != 2 or values.shape[1] != WIDTH:
        raise MotionError(f"{file.name} has shape {values.shape}; (frames, {WIDTH}) is needed")
    turns = {"jaw": values[:, JAW], "left_eye": values[:, LEFT_EYE], "right_eye": values[:, RIGHT_EYE]}
    return Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS),
        basis=ask_basis(choices, BASIS),
        expression=values[:, EXPRESSION],
        rotations=turns | from_body_pose(per_joint(values[:, BODY], BODY_JOINTS, file.name)),
        notes=[BODY_IGNORED] if (values[:, BODY] != 0).any() else ["A clip of the face only; the head stays still."],
        piece_starts=starts or _samples(values),
    )


def _samples(values: NDArray[Any]) -> tuple[int, ...]:
    """First frames of the samples, where most 300th frames break with the one before."""
    frames = len(values)
    if frames % SAMPLE_FRAMES or frames < 2 * SAMPLE_FRAMES:
        return ()
    change = np.linalg.norm(np.diff(values.astype(np.float64), axis=0), axis=1)
    joins = change[SAMPLE_FRAMES - 1 :: SAMPLE_FRAMES]
    broken = (joins > BREAK * np.median(change)).mean()
    return tuple(range(0, frames, SAMPLE_FRAMES)) if broken >= LEAST_BROKEN else ()
