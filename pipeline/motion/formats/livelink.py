"""Takes of Live Link Face (Epic Games' app) as it exports them: one csv, a line a frame.

``Timecode, BlendShapeCount``, 52 actions (``EyeBlinkLeft``, …) and nine angles (``HeadYaw``, ``HeadPitch``,
``HeadRoll``, ``LeftEyeYaw``, …), found by name, as other programs write the same in other orders. A line whose count is
0 is a frame in which no face was seen. Beside ``take.csv`` lie ``take_cal.csv``, the same relative to the person's
neutral face, which is taken where both are given, and ``take_neutral.csv``, that neutral face itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import action_named, actions_from, column_of, names_actions
from pipeline.motion.formats.arkit_draft import arkit_draft
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.head_turns import Turns
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.table_file import TableFile
from pipeline.motion.formats.timing import timecode_line

NAME = "Live Link Face"
EXPECTS = "the .csv of a take: Timecode, BlendShapeCount, 52 named actions, HeadYaw…RightEyeRoll"
USES = "52 actions, head"
HOW_TO_EXPORT = "Live Link Face: record a take, share it, and take the _cal.csv (or the .csv) out of its zip"
DEFAULT_FPS = 60.0
TIMECODE, COUNT = "Timecode", "BlendShapeCount"
MOST_FILES = 3
PLAIN_NUMBER = re.compile(r"[0-9.eE+-]+")
ANGLES = ("Yaw", "Pitch", "Roll")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether these are tables with a timecode and the names of facial actions."""
    return 1 <= len(sources) <= MOST_FILES and all(
        isinstance(file, TableFile) and names_actions(file.columns) and _has_timecodes(file) for file in sources
    )


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The take. Raises `MotionError` naming the line and what does not fit."""
    file, notes = _chosen([file for file in sources if isinstance(file, TableFile)])
    values, codes = file.read(text=column_of(file.columns, TIMECODE))
    seen = _seen(values, file.columns)
    if not seen.any():
        raise MotionError(f"{file.name} has no frame in which a face was seen")
    lost = int((~seen).sum())
    if lost:
        notes.append(f"No face was seen in {lost} of {len(seen)} frames; they were left out.")
    values = values[seen]
    line = timecode_line([code for code, kept in zip(codes, seen, strict=True) if kept], file.name)
    weights, told = actions_from(values, file.columns, file.name)
    return arkit_draft(file.name, weights, turns_in(values, file.columns), line, DEFAULT_FPS, choices, notes + told)


def turns_in(values: Numbers, columns: Sequence[str]) -> Turns:
    """Head and eyes of a table with columns named as Live Link Face names them."""

    def angles(joint: str) -> Numbers | None:
        places = [column_of(columns, joint + angle) for angle in ANGLES]
        known = [place for place in places if place is not None]
        return values[:, known] if len(known) == len(ANGLES) else None

    return Turns(angles("Head"), angles("LeftEye"), angles("RightEye"))


def _has_timecodes(file: TableFile) -> bool:
    """Whether the column of that name is there and does not hold plain numbers, as Audio2Face's does."""
    column = column_of(file.columns, TIMECODE)
    first = file.head[1] if len(file.head) > 1 else ()
    return column is not None and not (column < len(first) and PLAIN_NUMBER.fullmatch(first[column]))


def _chosen(files: list[TableFile]) -> tuple[TableFile, list[str]]:
    """The calibrated take where there is one, and never the neutral face beside a take."""
    kinds = {PurePath(file.name).stem.rpartition("_")[2].lower(): file for file in files}
    takes = [file for kind, file in kinds.items() if kind not in ("cal", "neutral")]
    if len(kinds) < len(files) or len(takes) > 1:
        raise MotionError(f"{files[0].name} and {files[1].name} are two takes; give one take at a time")
    chosen = kinds.get("cal") or (takes[0] if takes else files[0])
    others = [file.name for file in files if file is not chosen]
    notes = [f"{chosen.name} was played; {' and '.join(others)} belongs to it and was left out."] if others else []
    if chosen is kinds.get("neutral"):
        notes.append(f"{chosen.name} holds the neutral face of a calibration, not a take.")
    return chosen, notes


def _seen(values: Numbers, columns: Sequence[str]) -> Numbers:
    """(T,) whether a face was seen: actions are there and the count, where there is one, is not 0."""
    actions = [column for column, name in enumerate(columns) if action_named(name)]
    seen = np.isfinite(values[:, actions]).any(1)
    count = column_of(columns, COUNT)
    return np.asarray(seen if count is None else seen & (values[:, count] != 0))
