"""Motions of ARTalk (2025): `*_motions.pt`, one tensor (T, 106) at 25 frames per second.

100 expression coefficients of FLAME 2020, global rotation (3) and jaw (3), of which only the opening is ever used.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import bare_name, bare_shape, read_numbers
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.sources import Source

NAME = "ARTalk"
EXPECTS = "one .pt (or .npy) with a tensor (frames, 106)"
USES = "expression, head, jaw"
HOW_TO_EXPORT = "ARTalk: inference.py writes *_motions.pt beside its video"
FPS = 25.0
BASIS = "flame2020"
WIDTH, EXPRESSIONS = 106, 100


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one array of 106 columns."""
    if len(sources) != 1:
        return False
    shape = bare_shape(sources[0])
    return shape is not None and shape[-1:] == (WIDTH,) and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 1))


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` for what is no array of numbers."""
    (file,) = sources
    assert isinstance(file, ArrayFile)
    values = read_numbers(file, bare_name(file) or "").reshape(-1, WIDTH)
    jaw = values[:, EXPRESSIONS + 3 :].copy()
    jaw[:, 1:] = 0
    return Draft(
        source=file.name,
        fps=ask_fps(choices, FPS),
        basis=ask_basis(choices, BASIS),
        expression=values[:, :EXPRESSIONS],
        rotations={"global_rotation": values[:, EXPRESSIONS : EXPRESSIONS + 3], "jaw": jaw},
    )
