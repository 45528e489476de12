"""`.npz` of BEAT2 and of EMAGE (Liu et al., CVPR 2024): SMPL-X as AMASS stores it, with a face.

``poses`` (T, 165), ``expressions`` (T, 100), ``trans`` (T, 3), ``betas`` (300,), ``model`` "smplx2020",
``mocap_frame_rate`` 30.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.amass import FPS_NAMES, full_pose
from pipeline.motion.formats.array_tools import first_name, holds, only_arrays, read_numbers, stored_number, stored_text
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.smplx_pose import BASIS, BODY_IGNORED
from pipeline.motion.formats.sources import Source

NAME = "EMAGE / BEAT2"
EXPECTS = "one .npz with poses and expressions"
USES = "expression, jaw, eyes, neck and head of the body"
HOW_TO_EXPORT = "the .npz files of the BEAT2 data set, or the result of EMAGE's test_emage_audio.py"
DEFAULT_FPS = 30.0
EXPRESSIONS = ("expressions", "expression")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with SMPL-X poses and expressions."""
    file = only_arrays(sources)
    return file is not None and holds(file, "poses", EXPRESSIONS)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    file = only_arrays(sources)
    assert file is not None
    name = first_name(file, EXPRESSIONS)
    assert name is not None
    return Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS, stored_number(file, *FPS_NAMES)),
        basis=ask_basis(choices, BASIS, stored_text(file, "model")),
        expression=read_numbers(file, name),
        rotations=full_pose(file, choices),
        notes=[BODY_IGNORED],
    )
