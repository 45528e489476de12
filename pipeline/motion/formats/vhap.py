"""`tracked_flame_params.npz` of the VHAP tracker (Qian, 2024): one file for the whole clip.

``expr`` (T, 100), ``rotation``, ``translation``, ``neck_pose``, ``jaw_pose`` (T, 3), ``eyes_pose`` (T, 6),
``timestep_id`` (T,) and ``n_processed_frames``: a file written while tracking holds empty rows after those. Shape,
offsets, texture and lights belong to the tracked person and are never read.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import holds, only_arrays, read_numbers, read_present, stored_number
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.flame_arrays import NAMES, flame_draft
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timesteps import by_timestep

NAME = "VHAP tracking"
EXPECTS = "one .npz with expr, jaw_pose and timestep_id"
USES = "expression, head, neck, jaw, eyes"
HOW_TO_EXPORT = "tracked_flame_params_<epoch>.npz in the output folder of vhap/track.py"
DEFAULT_FPS = 25.0


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with FLAME's parameters and the time steps that VHAP numbers."""
    file = only_arrays(sources)
    return file is not None and holds(file, "expr", "timestep_id")


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    file = only_arrays(sources)
    assert file is not None
    arrays = read_present(file, NAMES)
    notes: list[str] = []
    processed, frames = stored_number(file, "n_processed_frames"), len(arrays["expr"])
    if processed is not None and 1 <= processed < frames:
        arrays = {name: rows[: int(processed)] if len(rows) == frames else rows for name, rows in arrays.items()}
        notes.append(f"Only {int(processed)} of {frames} frames were tracked when the file was written; they are used.")
    steps = read_numbers(file, "timestep_id").reshape(-1)[: len(arrays["expr"])]
    if len(steps) == len(arrays["expr"]):
        arrays = by_timestep(arrays, steps, notes)
    return flame_draft(file.name, arrays, choices, DEFAULT_FPS, stored_number(file, "fps"), notes)
