"""A folder or zip as VHAP exports it and LAM and GaussianAvatars read it: `transforms.json` and one `.npz` a frame.

``transforms.json`` (or ``_train``, ``_val`` and ``_test`` parts) lists frames with ``flame_param_path`` and
``timestep_index``, once for each camera. Each ``flame_param/*.npz`` holds ``expr`` (1, 100), ``rotation``,
``neck_pose``, ``jaw_pose``, ``translation`` (1, 3), ``eyes_pose`` (1, 6). ``canonical_flame_param.npz``, whose mouth is
open on purpose, is no frame.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import read_present
from pipeline.motion.formats.arrays import arrays_in
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.flame_arrays import NAMES, flame_draft
from pipeline.motion.formats.folder_file import FolderFile
from pipeline.motion.formats.json_file import open_json
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timesteps import by_timestep
from pipeline.motion.motion import MOST_FRAMES

NAME = "VHAP export folder"
EXPECTS = "a folder or zip with transforms.json and flame_param/*.npz"
USES = "expression, head, neck, jaw, eyes; one frame per timestep"
HOW_TO_EXPORT = "the output folder of vhap/export_as_nerf_dataset.py, or a motion folder of LAM; zipped or not"
DEFAULT_FPS = 25.0
FRAMES = "flame_param/*.npz"
LISTS = ("transforms.json",), ("transforms_train.json", "transforms_val.json", "transforms_test.json")
"""The whole list, or else its parts."""


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one folder with a file of FLAME parameters for each frame."""
    return len(sources) == 1 and isinstance(sources[0], FolderFile) and bool(sources[0].named(FRAMES))


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the file that does not fit."""
    (folder,) = sources
    assert isinstance(folder, FolderFile)
    notes: list[str] = []
    steps = _listed(folder, notes) or {member: number for number, member in enumerate(folder.named(FRAMES))}
    if len(steps) > MOST_FRAMES:
        raise MotionError(f"{folder.name} has {len(steps)} frames; a clip has 1 to {MOST_FRAMES}")
    frames = [_frame(folder, member) for member in steps]
    kept = [name for name in frames[0] if all(name in frame for frame in frames)]
    left = sorted({name for frame in frames for name in frame} - set(kept))
    if left:
        notes.append(f"{', '.join(left)} are not in every frame and were left out.")
    arrays = {name: _stacked(name, [frame[name] for frame in frames], folder) for name in kept}
    arrays = by_timestep(arrays, np.array(list(steps.values())), notes)
    return flame_draft(folder.name, arrays, choices, DEFAULT_FPS, notes=notes)


def _listed(folder: FolderFile, notes: list[str]) -> dict[str, int]:
    """Member → time step, of the frames in the lists; a path that several cameras share appears once."""
    steps: dict[str, int] = {}
    lost = 0
    for member in _lists(folder):
        data = open_json(folder.fetch(member)).data
        frames = data.get("frames") if isinstance(data, dict) else None
        if not isinstance(frames, list):
            raise MotionError(f"{member} in {folder.name} has no list of frames")
        for number, frame in enumerate(frames):
            path, step = _entry(frame, number, member, folder)
            place = _place(path, member, folder)
            if place is None:
                lost += 1
            else:
                steps.setdefault(place, step)
    if lost:
        notes.append(f"{lost} frames are listed but not in {folder.name}; they were left out.")
    return steps


def _lists(folder: FolderFile) -> list[str]:
    for names in LISTS:
        found = [member for name in names for member in folder.named(name)]
        if found:
            top = min(member.count("/") for member in found)
            return [member for member in found if member.count("/") == top]
    return []


def _entry(frame: Any, number: int, member: str, folder: FolderFile) -> tuple[str, int]:
    path = frame.get("flame_param_path") if isinstance(frame, dict) else None
    step = frame.get("timestep_index", number) if isinstance(frame, dict) else None
    if not isinstance(path, str) or not isinstance(step, int) or not 0 <= step < 2**31:
        raise MotionError(
            f"frame {number} of {member} in {folder.name} names no flame_param_path and timestep_index; both are needed"
        )
    return path, step


def _place(path: str, member: str, folder: FolderFile) -> str | None:
    """The member that a list means by a path; lists that join several exports point beside their own folder."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(member), path.replace("\\", "/")))
    return place if place in folder.known else None


def _frame(folder: FolderFile, member: str) -> dict[str, NDArray[Any]]:
    file = arrays_in(folder.content(member), member)
    arrays = read_present(file, NAMES)
    if not arrays:
        raise MotionError(f"{member} in {folder.name} holds {', '.join(file.arrays) or 'nothing'}; expr is needed")
    return arrays


def _stacked(name: str, rows: Sequence[NDArray[Any]], folder: FolderFile) -> NDArray[Any]:
    """(T, N) from one row a frame."""
    widths = {row.size for row in rows}
    if len(widths) > 1:
        raise MotionError(
            f"{name} in {folder.name} has {min(widths)} to {max(widths)} numbers a frame; all need as many"
        )
    return np.stack([row.reshape(-1) for row in rows])
