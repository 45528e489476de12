"""`flame_param.npz` of GaussianAvatars (Qian et al., CVPR 2024), and any `.npz` with its names.

``expr`` (T, 100), ``rotation``, ``neck_pose``, ``jaw_pose``, ``translation`` (T, 3), ``eyes_pose`` (T, 6); the names
without ``_pose``, as its program holds them in memory, do as well, and so does a part of them. Offsets and the shape
belong to the tracked person and are never read.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.array_tools import only_arrays, read_present, stored_number
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.flame_arrays import NAMES, flame_draft
from pipeline.motion.formats.sources import Source

NAME = "GaussianAvatars flame_param"
EXPECTS = "one .npz with expr and jaw_pose, rotation, neck_pose, eyes_pose"
USES = "expression, head, neck, jaw, eyes"
HOW_TO_EXPORT = "flame_param.npz beside point_cloud.ply, or numpy.savez('motion.npz', expr=..., jaw_pose=...)"
DEFAULT_FPS = 25.0
"""Of its viewer."""
DISTINCT = ("expr", "neck_pose", "eyes_pose")
"""Names that no other tool writes."""


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with FLAME's parameters by those names."""
    file = only_arrays(sources)
    return file is not None and any(name in file.arrays for name in DISTINCT) and "timestep_id" not in file.arrays


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the array that does not fit."""
    file = only_arrays(sources)
    assert file is not None
    arrays = read_present(file, NAMES)
    return flame_draft(file.name, arrays, choices, DEFAULT_FPS, stored_number(file, "fps"))
