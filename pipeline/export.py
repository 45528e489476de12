"""One pose of an avatar as a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.errors import UserError
from pipeline.formats.interchange import write_interchange_glb
from pipeline.formats.ply import write_ply
from pipeline.motion import load_motion, retarget

WRITERS: dict[str, Callable[[Gaussians, Path], None]] = {"ply": write_ply, "glb": write_interchange_glb}
"""Format → writer: the 3DGS PLY that splat viewers read, and glTF with KHR_gaussian_splatting."""


@torch.no_grad()
def export_pose(avatar: SplatAvatar, kind: str, path: Path, expression: Tensor, rotations: Tensor) -> None:
    """Write one pose, ``expression`` (1, E) and ``rotations`` (1, J, 3), as ``kind`` of `WRITERS`.

    Raises `UserError` for an unknown kind, an avatar that has no splats or a path that cannot be written.
    """
    if kind not in WRITERS:
        raise UserError(f"{kind!r} is no export format; choose from {', '.join(WRITERS)}")
    posed = avatar.gaussians(avatar.rig.pose(expression, rotations)[0])
    WRITERS[kind](posed, path)


def pose_of_clip(avatar: SplatAvatar, files: Sequence[Path] | None, frame: int) -> tuple[Tensor, Tensor]:
    """Expression (1, E) and rotations (1, J, 3) of one frame of a clip, or the rest pose where no clip is given.

    Raises `UserError` when the clip cannot be read or has no such frame.
    """
    if not files:
        return avatar.rig.neutral()
    driven = retarget(load_motion(files), avatar.rig)
    if not 0 <= frame < len(driven.expression):
        raise UserError(f"there is no frame {frame}; the clip has frames 0 to {len(driven.expression) - 1}")
    return driven.expression[frame, None], driven.rotations[frame, None]
