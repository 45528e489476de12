"""Output of SMIRK (Retsinas et al., 2024), saved as `.npz`, `.pkl` or `.pt`: one file of all frames, or one a frame.

``expression_params`` (B, 50) of FLAME 2020, ``jaw_params`` (B, 3), ``eyelid_params`` (B, 2) left and right, 0 open, 1
closed, ``pose_params`` (B, 3) global rotation. Identity (``shape_params``) and camera (``cam``) are not used.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.image_codes import are_codes, in_order, stacked
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.sources import Source

NAME = "SMIRK"
EXPECTS = "one or many .npz, .pkl or .pt with expression_params, jaw_params, eyelid_params, pose_params"
USES = "expression, eyelids, head, jaw"
HOW_TO_EXPORT = "SMIRK: in demo_video.py collect the encoder's outputs and torch.save (or numpy.savez) them"
DEFAULT_FPS = 25.0
BASIS = "flame2020"
EXPRESSION, JAW, EYELIDS, POSE = ("expression_params",), ("jaw_params",), ("eyelid_params",), ("pose_params",)


def sniff(sources: Sequence[Source]) -> bool:
    """Whether these are files with SMIRK's names."""
    return are_codes(sources, EXPRESSION, JAW)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the file and what does not fit."""
    files = in_order(sources)
    expression, jaw, eyelids, pose = stacked(iter(files), EXPRESSION, JAW, EYELIDS, POSE)
    if expression is None or jaw is None:
        raise MotionError(f"{files[0].name} lacks expression_params or jaw_params")
    rotations = {"jaw": jaw} | ({} if pose is None else {"global_rotation": pose})
    return Draft(
        source=files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more",
        fps=ask_fps(choices, DEFAULT_FPS),
        basis=ask_basis(choices, BASIS),
        expression=expression,
        rotations=rotations,
        eyelids=eyelids,
    )
