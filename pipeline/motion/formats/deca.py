"""Codes of DECA (Feng et al., 2021) and its kin, EMOCA and EMICA: FLAME 2020 expression, global rotation and jaw.

DECA's `.mat` of an image holds ``exp`` (1, 50) and ``pose`` (1, 6), which is global rotation and *jaw*. Others name the
same ``expcode`` and ``posecode``, or give ``globalpose`` and ``jawpose`` (3 each). One file or many, or a folder or zip
of `.mat` files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.folder_file import FolderFile
from pipeline.motion.formats.image_codes import are_codes, in_order, stacked
from pipeline.motion.formats.questions import ask_basis, ask_fps
from pipeline.motion.formats.sources import Source, open_source

NAME = "DECA, EMICA codes"
EXPECTS = "one or many .mat (.npz, .pkl) with exp and pose (6), or a folder or zip of them"
USES = "expression, head, jaw"
HOW_TO_EXPORT = "DECA: demo_reconstruct.py --saveMat True, with the codedict in what is saved; give all frames' files"
DEFAULT_FPS = 25.0
BASIS = "flame2020"
EXPRESSION = ("exp", "expcode", "expression_code")
POSE = ("pose", "posecode")
GLOBAL, JAW = ("globalpose", "global_pose", "globalposecode"), ("jawpose", "jaw_pose", "jawposecode")
POSE_WIDTH = 6
MOST_FILES = 4096


def sniff(sources: Sequence[Source]) -> bool:
    """Whether these are files of codes, or one folder of `.mat` files."""
    if len(sources) == 1 and isinstance(sources[0], FolderFile):
        return bool(sources[0].named("*.mat"))
    if are_codes(sources, EXPRESSION, POSE):
        return all(_is_short_pose(file) for file in sources)
    return are_codes(sources, EXPRESSION, JAW)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the file and what does not fit."""
    (first, *_) = sources
    with tempfile.TemporaryDirectory(prefix="animportrait3d-codes-") as workspace:
        files = _opened(first, Path(workspace)) if isinstance(first, FolderFile) else iter(in_order(sources))
        expression, pose, turn, jaw = stacked(files, EXPRESSION, POSE, GLOBAL, JAW)
    if expression is None or (pose is None and jaw is None):
        raise MotionError(f"{first.name} has no pose; exp and pose (global rotation and jaw) are needed")
    if pose is not None and pose.shape[1] != POSE_WIDTH:
        raise MotionError(f"pose has {pose.shape[1]} numbers; {POSE_WIDTH} are needed, global rotation and jaw")
    if pose is not None:
        turn, jaw = pose[:, :3], pose[:, 3:]
    rotations = {"global_rotation": turn, "jaw": jaw}
    return Draft(
        source=first.name if len(sources) == 1 else f"{in_order(sources)[0].name} and {len(sources) - 1} more",
        fps=ask_fps(choices, DEFAULT_FPS),
        basis=ask_basis(choices, BASIS),
        expression=expression,
        rotations={name: values for name, values in rotations.items() if values is not None},
    )


def _is_short_pose(file: Source) -> bool:
    """Whether a pose of six numbers is there: other tools call longer ones pose too."""
    assert isinstance(file, ArrayFile)
    poses = [header for name, header in file.arrays.items() if name.rpartition("/")[2] in POSE]
    return all(header.shape[-1:] == (POSE_WIDTH,) for header in poses)


def _opened(folder: FolderFile, workspace: Path) -> Iterator[ArrayFile]:
    members = folder.named("*.mat")
    if len(members) > MOST_FILES:
        raise MotionError(f"{folder.name} holds {len(members)} .mat files; a clip has at most {MOST_FILES}")
    for number, member in enumerate(members):
        place = workspace / str(number)
        place.mkdir()
        file = open_source(folder.fetch(member), place)
        if not isinstance(file, ArrayFile):
            raise MotionError(f"{member} in {folder.name} is no MATLAB file")
        yield file
