"""Recordings of Face Cap (Bannaflak), the .txt that the app exports.

Lines begin with what they are: ``info``, ``bs`` (names of the actions) and ``k`` (a frame): milliseconds, position of
the head (3), its Euler angles x, y, z in degrees (3), x and y of the left eye, x and y of the right eye, and a weight
for each name.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import actions_from
from pipeline.motion.formats.arkit_draft import arkit_draft
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.head_turns import Turns
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.table_file import TableFile
from pipeline.motion.formats.timing import time_line
from pipeline.motion.motion import MOST_FRAMES

NAME = "Face Cap"
EXPECTS = "one .txt with lines info, bs (names) and k (frames)"
USES = "52 actions, head, eyes"
HOW_TO_EXPORT = "Face Cap: record, then export as TXT"
DEFAULT_FPS = 60.0
KINDS = ("info", "bs", "k")
BEFORE_WEIGHTS = 11
"""Time, position (3), head (3), left eye (2), right eye (2)."""


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one table whose first lines are called info, bs and k."""
    if len(sources) != 1 or not isinstance(sources[0], TableFile):
        return False
    kinds = [row[0] for row in sources[0].head]
    return set(kinds) <= set(KINDS) and "bs" in kinds


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The recording. Raises `MotionError` naming the line and what does not fit."""
    (file,) = sources
    assert isinstance(file, TableFile)
    names, frames = _lines(file)
    weights, notes = actions_from(frames[:, BEFORE_WEIGHTS:], names, file.name)
    line = time_line(frames[:, 0], file.name)
    return arkit_draft(file.name, weights, _turns(frames), line, DEFAULT_FPS, choices, notes)


def _lines(file: TableFile) -> tuple[list[str], Numbers]:
    """Names (N) and frames (T, 11 + N)."""
    names: list[str] = []
    values, count = array("d"), 0
    for line, row in file.records():
        kind, cells = row[0].strip(), [cell.strip() for cell in row[1:]]
        while cells and not cells[-1]:
            cells.pop()
        if kind == "bs":
            names = cells
        if kind != "k":
            continue
        count += 1
        if count > MOST_FRAMES:
            raise MotionError(f"{file.name} has more than {MOST_FRAMES} frames; a clip has 1 to {MOST_FRAMES}")
        if len(cells) != BEFORE_WEIGHTS + len(names):
            raise MotionError(
                f"line {line} of {file.name} has {len(cells)} numbers; {BEFORE_WEIGHTS} and a weight for each of "
                f"{len(names)} names are needed"
            )
        values.extend(file.numbers(cells, line))
    if not count:
        raise MotionError(f"{file.name} has no frames (lines that begin with k)")
    return names, np.array(values, np.float64).reshape(count, -1)


def _turns(frames: Numbers) -> Turns:
    """Angles x, y, z as yaw, pitch, roll; the eyes have no roll."""
    x, y, z = frames[:, 4], frames[:, 5], frames[:, 6]
    rest = np.zeros(len(frames))
    left, right = (np.stack([frames[:, k + 1], frames[:, k], rest], axis=1) for k in (7, 9))
    return Turns(np.stack([y, x, z], axis=1), left, right)
