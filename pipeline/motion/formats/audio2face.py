"""NVIDIA Audio2Face's blendshape export: ``{"exportFps": …, "facsNames": [...], "weightMat": [[...], ...]}``.

Its optional joint rotations and translations move its own jaw, eyes and tongue, which ``jawOpen`` and the like say too.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import actions_from
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.json_file import JsonFile, number_of, numbers_of
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.sources import Source

NAME = "Audio2Face"
EXPECTS = 'one .json with "facsNames" and "weightMat"'
USES = "52 actions"
HOW_TO_EXPORT = "Audio2Face: blendshape solve with the ARKit set, Export as JSON; its csv is a table of ARKit actions"
DEFAULT_FPS = 60.0


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one JSON object with names and a weight matrix."""
    return (
        len(sources) == 1
        and isinstance(sources[0], JsonFile)
        and isinstance(sources[0].get("facsNames"), list)
        and isinstance(sources[0].get("weightMat"), list)
    )


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming what does not fit."""
    (file,) = sources
    assert isinstance(file, JsonFile)
    names = [str(name) for name in file.data["facsNames"]]
    values = numbers_of(file.data["weightMat"], "weightMat", file.name)
    if values.shape[1] != len(names):
        raise MotionError(f"{file.name} has {values.shape[1]} weights in a frame but {len(names)} names")
    weights, notes = actions_from(values, names, file.name)
    return Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS, number_of(file.get("exportFps"))),
        basis="arkit52",
        expression=weights,
        notes=notes,
    )
