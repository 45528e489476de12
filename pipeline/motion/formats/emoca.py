"""A folder of EMOCA (Danecek et al., 2022): in it a folder for every frame, with ``exp.npy`` (50) and ``pose.npy`` (6).

The pose is global rotation and *jaw*; the expression is FLAME 2020's. The frames are in natural order of their folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import read_numbers
from pipeline.motion.formats.arrays import arrays_in
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.folder_file import FolderFile
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.sources import Source

NAME = "EMOCA"
EXPECTS = "a folder or zip of a folder for each frame with exp.npy and pose.npy"
USES = "expression, head, jaw"
HOW_TO_EXPORT = "EMOCA: demos/test_emoca_on_video.py --save_codes True; zip the folder of the frames' folders"
DEFAULT_FPS = 25.0
BASIS = "flame2020"
EXPRESSION, POSE = "exp.npy", "pose.npy"
MOST_FRAMES = 4096
MOST_NUMBERS = 400
POSE_WIDTH = 6


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one folder with an exp.npy and a pose.npy somewhere."""
    return (
        len(sources) == 1
        and isinstance(sources[0], FolderFile)
        and bool(sources[0].named(EXPRESSION))
        and bool(sources[0].named(POSE))
    )


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the member and what does not fit."""
    (folder,) = sources
    assert isinstance(folder, FolderFile)
    present = set(folder.members)
    frames = [str(PurePosixPath(member).parent) for member in folder.named(EXPRESSION)]
    whole = [frame for frame in frames if _inside(frame, POSE) in present]
    if not 1 <= len(whole) <= MOST_FRAMES:
        raise MotionError(
            f"{folder.name} has {len(whole)} frames with exp.npy and pose.npy; 1 to {MOST_FRAMES} are read"
        )
    notes = []
    if len(whole) < len(frames):
        notes.append(f"{len(frames) - len(whole)} of {len(frames)} frames have no pose.npy and were left out.")
    expression = _stack(folder, whole, EXPRESSION)
    pose = _stack(folder, whole, POSE)
    if pose.shape[1] != POSE_WIDTH:
        raise MotionError(f"pose.npy in {folder.name} has {pose.shape[1]} numbers; {POSE_WIDTH} are needed")
    return Draft(
        source=folder.name,
        fps=ask_fps(choices, DEFAULT_FPS),
        basis=ask_basis(choices, BASIS),
        expression=expression,
        rotations={"global_rotation": pose[:, :3], "jaw": pose[:, 3:]},
        notes=notes,
    )


def _inside(frame: str, name: str) -> str:
    return name if frame == "." else f"{frame}/{name}"


def _stack(folder: FolderFile, frames: Sequence[str], name: str) -> Numbers:
    """(T, N) of one file of every frame."""
    rows: list[Numbers] = []
    for frame in frames:
        member = _inside(frame, name)
        file = arrays_in(folder.content(member), member)
        if file.compressed:
            raise MotionError(f"{member} in {folder.name} is no NumPy array")
        row = read_numbers(file, "").astype(np.float64).reshape(-1)
        if len(row) > MOST_NUMBERS or (rows and len(row) != len(rows[0])):
            wanted = f"{len(rows[0])} as in the first frame" if rows else f"{MOST_NUMBERS} at most"
            raise MotionError(f"{member} in {folder.name} has {len(row)} numbers; {wanted} are needed")
        rows.append(row)
    return np.stack(rows)
