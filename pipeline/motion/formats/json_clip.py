"""This project's motion clip as JSON: the same names, shapes and units as in its `.npz`
(`pipeline.motion.formats.npz`), arrays as lists of lists: ``{"motion_version": 1, "fps": 30, "basis": "arkit52",
"expression": [[…], …], "neck": [[…], …], …}``. For clips that are written by hand or by a program without NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.json_file import JsonFile, number_of, numbers_of
from pipeline.motion.formats.npz import OPTIONAL, REQUIRED, VERSION
from pipeline.motion.formats.sources import Source
from pipeline.motion.motion import ROTATIONS

NAME = "motion clip of this project as JSON"
EXPECTS = "one .json with motion_version, fps, basis and expression"
USES = "everything it holds"
HOW_TO_EXPORT = "write the arrays of a clip (.npz) as lists of lists, under the same names"


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one JSON object with the names that every clip has."""
    return len(sources) == 1 and isinstance(sources[0], JsonFile) and set(REQUIRED) <= set(sources[0].keys())


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming what does not fit."""
    (file,) = sources
    assert isinstance(file, JsonFile)
    data = file.data
    if number_of(data["motion_version"]) != VERSION:
        raise MotionError(
            f"{file.name} is a motion clip of version {str(data['motion_version'])[:32]}; this program reads version "
            f"{VERSION}"
        )
    fps, basis = number_of(data["fps"]), data["basis"]
    if fps is None or not isinstance(basis, str):
        raise MotionError(f"fps in {file.name} must be a number and basis a text")
    tracks = {name: numbers_of(data[name], name, file.name) for name in (*ROTATIONS, *OPTIONAL[:2]) if name in data}
    unknown = sorted(name[:32] for name in set(data) - {*REQUIRED, *OPTIONAL, *ROTATIONS})
    return Draft(
        source=data["source"] if isinstance(data.get("source"), str) and data["source"] else file.name,
        fps=choices.number("fps", fps) if fps > 0 else fps,
        basis=basis,
        expression=numbers_of(data["expression"], "expression", file.name),
        rotations={name: tracks[name] for name in ROTATIONS if name in tracks},
        eyelids=tracks.get("eyelids"),
        translation=tracks.get("translation"),
        notes=[f"Entries that this program does not know were left out: {', '.join(unknown[:12])}."] if unknown else [],
        exact=True,
    )
