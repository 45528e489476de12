"""Any table that names ARKit's actions in its first line: MediaPipe scores, Audio2Face's, Unity's and other csv files.

Times, where a column is called time or timestamp (in whatever unit), give the frame rate; other columns are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats import livelink
from pipeline.motion.formats.arkit_columns import actions_from, column_of, names_actions
from pipeline.motion.formats.arkit_draft import arkit_draft
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.table_file import TableFile
from pipeline.motion.formats.timing import time_line

NAME = "table of ARKit actions"
EXPECTS = "one .csv or .tsv whose first line names the 52 actions (eyeBlinkLeft, jawOpen, …), with or without times"
USES = "52 actions, head and eyes where they are named"
HOW_TO_EXPORT = "write MediaPipe's or ARKit's blendshapes with their names as first line, then a line a frame"
DEFAULT_FPS = 30.0
TIMES = ("time", "timestamp", "timecode", "timestamp_ms", "time_ms", "timestamp_s", "time_s", "seconds", "milliseconds")
TEXTS = ("name", "file", "filename", "subject", "date", "datetime", "image")
"""Columns of words, of which a table may have one."""


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one table with the names of facial actions, but no take of Live Link Face."""
    table = len(sources) == 1 and isinstance(sources[0], TableFile) and names_actions(sources[0].columns)
    return table and not livelink.sniff(sources)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the line and what does not fit."""
    (file,) = sources
    assert isinstance(file, TableFile)
    words = next((column for text in TEXTS if (column := column_of(file.columns, text)) is not None), None)
    values, _ = file.read(text=words)
    times = next((column for name in TIMES if (column := column_of(file.columns, name)) is not None), None)
    line = time_line(values[:, times], file.name) if times is not None else None
    weights, notes = actions_from(values, file.columns, file.name)
    return arkit_draft(file.name, weights, livelink.turns_in(values, file.columns), line, DEFAULT_FPS, choices, notes)
