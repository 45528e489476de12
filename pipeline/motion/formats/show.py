"""`all.pkl` of SHOW (Yi et al., CVPR 2023), the tracking that TalkSHOW was trained on: a pickle of arrays and tensors.

``expression`` (T, 100), ``jaw_pose``, ``leye_pose``, ``reye_pose`` (T, 3), ``body_pose_axis`` (T, 63) or (T, 21, 3),
``global_orient``, hands, ``betas``, camera. It is read by an allow-list in another process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import holds, only_arrays, read_numbers, read_optional, stored_number
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.rotations import per_joint
from pipeline.motion.formats.smplx_pose import BASIS, BODY_IGNORED, BODY_JOINTS, from_body_pose
from pipeline.motion.formats.sources import Source

NAME = "SHOW"
EXPECTS = "one .pkl with expression, jaw_pose, leye_pose and reye_pose"
USES = "expression, jaw, eyes, neck and head of the body"
HOW_TO_EXPORT = "<clip>/all.pkl of the SHOW data set, or of SHOW's main.py"
DEFAULT_FPS = 30.0
TURNS = {"jaw": ("jaw_pose",), "left_eye": ("leye_pose",), "right_eye": ("reye_pose",)}
BODY = ("body_pose_axis", "body_pose")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with SMPL-X's parameters by the names of the `smplx` package."""
    file = only_arrays(sources)
    return file is not None and holds(file, "expression", "jaw_pose") and holds(file, ("leye_pose", "reye_pose", *BODY))


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    file = only_arrays(sources)
    assert file is not None
    turns = {ours: rows for ours, names in TURNS.items() if (rows := read_optional(file, *names)) is not None}
    notes = []
    body = read_optional(file, *BODY)
    if body is not None:
        turns |= from_body_pose(per_joint(body, BODY_JOINTS, "body_pose"))
        notes.append(BODY_IGNORED)
    return Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS, stored_number(file, "fps")),
        basis=ask_basis(choices, BASIS),
        expression=np.asarray(read_numbers(file, "expression")),
        rotations=turns,
        notes=notes,
    )
