"""Tracking of the NeRSemble benchmark (`flame2023_tracking_v2.npz`, and `flame2023_tracking.npz` before it).

``expression`` (T, 100), ``jaw``, ``neck``, ``rotation``, ``translation`` (T, 3), ``eyes`` (T, 6), ``frames`` (T,),
``rotation_matrices``, ``scale``, ``shape``. The rotation is applied to the finished head, outside FLAME, which for a
head's motion is the same as FLAME's own. The recording has 73 frames per second; ``frames`` tells which were tracked.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import holds, only_arrays, read_optional, read_present
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.flame_arrays import NAMES, flame_draft
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timesteps import by_timestep, usual_step

NAME = "NeRSemble tracking"
EXPECTS = "one .npz with expression, jaw, neck, eyes and frames"
USES = "expression, head, neck, jaw, eyes"
HOW_TO_EXPORT = "sequences/<name>/tracking/flame2023_tracking_v2.npz of the NeRSemble benchmark"
CAPTURE_FPS = 73.0


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with FLAME's parameters by the names of that benchmark."""
    file = only_arrays(sources)
    if file is None or not holds(file, "expression", "jaw", ("eyes", "neck", "rotation")):
        return False
    return holds(file, ("frames", "rotation_matrices", "scale", "shape"))


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    file = only_arrays(sources)
    assert file is not None
    arrays = read_present(file, NAMES)
    matrices = read_optional(file, "rotation_matrices")
    if "rotation" not in arrays and matrices is not None:
        arrays["rotation"] = matrices
    notes: list[str] = []
    fps = CAPTURE_FPS
    frames = read_optional(file, "frames")
    if frames is not None and len(frames.reshape(-1)) == len(arrays["expression"]):
        steps = frames.reshape(-1)
        fps = CAPTURE_FPS / usual_step(steps)
        arrays = by_timestep(arrays, steps, notes)
    return flame_draft(file.name, arrays, choices, fps, notes=notes)
