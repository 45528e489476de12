"""ARKit weights in a `.npz` (or a pickled dictionary) that names them: an array of names beside one of weights
(frames, names), or one array (frames) for every action. ``fps`` or ``timestamps`` may stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import action_named, actions_from, letters, names_actions
from pipeline.motion.formats.array_tools import only_arrays, read_numbers, stored_number
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timing import TimeLine, on_time_line, time_line

NAME = "named ARKit weights"
EXPECTS = "one .npz with names (52) and weights (frames, 52), or with an array for every action"
USES = "52 actions"
HOW_TO_EXPORT = "numpy.savez('face.npz', names=..., weights=..., fps=...), e.g. of MediaPipe's blendshapes"
DEFAULT_FPS = 30.0
NAMES = ("names", "blendshapenames", "blendshapes", "columns", "keys", "arkitnames", "categories", "facsnames")
FEWEST_NAMES, MOST_NAMES = 10, 128
FPS = ("fps", "frame_rate", "framerate", "mocap_frame_rate")
TIMES = ("timestamps", "timestamp", "time", "times", "timestamp_ms", "timestamps_ms")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file of named arrays with names of actions, as arrays or in one."""
    file = only_arrays(sources)
    return file is not None and (names_actions(file.arrays) or _listed(file) is not None)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming what does not fit."""
    file = only_arrays(sources)
    assert file is not None
    listed = _listed(file)
    names, values = _columns(file) if listed is None else _matrix(file, *listed)
    weights, notes = actions_from(values, names, file.name)
    line = _times(file, len(values))
    stored = stored_number(file, *FPS)
    draft = Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS, stored if stored is not None else line.fps if line else None),
        basis="arkit52",
        expression=weights,
        notes=notes,
    )
    return on_time_line(draft, line)


def _listed(file: ArrayFile) -> tuple[str, str] | None:
    """Names of the array of names and of the weights beside it."""
    for name, header in file.arrays.items():
        count = header.shape[0] if len(header.shape) == 1 else 0
        if letters(name) not in NAMES or header.dtype.kind != "U" or not FEWEST_NAMES <= count <= MOST_NAMES:
            continue
        for other, weights in file.arrays.items():
            if weights.is_number and len(weights.shape) == 2 and weights.shape[1] == count:
                return name, other
    return None


def _matrix(file: ArrayFile, names: str, weights: str) -> tuple[list[str], Numbers]:
    try:
        told = [str(name) for name in file.read(names).tolist()]
    except (UnicodeDecodeError, ValueError) as error:
        raise MotionError(f"{names} in {file.name} is not text") from error
    return told, read_numbers(file, weights).astype(np.float64)


def _columns(file: ArrayFile) -> tuple[list[str], Numbers]:
    names = [name for name in file.arrays if action_named(name)]
    columns = {name: read_numbers(file, name).reshape(-1).astype(np.float64) for name in names}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        told = " and ".join(f"{name} {len(column)}" for name, column in list(columns.items())[:4])
        raise MotionError(f"the arrays in {file.name} have different lengths ({told}); each needs one number a frame")
    return names, np.stack(list(columns.values()), axis=1)


def _times(file: ArrayFile, frames: int) -> TimeLine | None:
    known = (name for name in TIMES if name in file.arrays and prod(file.arrays[name].shape) == frames > 1)
    name = next(known, None)
    return None if name is None else time_line(read_numbers(file, name).reshape(-1).astype(np.float64), file.name)
