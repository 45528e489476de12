"""An avatar as a file for other programs: one pose of it, or AnimPortrait3D's own files."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.formats.animportrait3d import POINT_CLOUD, LocalSplats, write_local_ply
from pipeline.formats.fitted_params import FITTED_PARAMS, write_fitted_params
from pipeline.formats.interchange import write_interchange_glb
from pipeline.formats.ply import write_ply
from pipeline.formats.spz import write_spz
from pipeline.motion import load_motion, retarget

PROMPT = "prompt.txt"


@dataclass(frozen=True)
class Posed:
    """What is to be written."""

    avatar: SplatAvatar
    expression: Tensor
    """(1, E)"""
    rotations: Tensor
    """(1, J, 3)"""
    prompt: str

    @property
    def gaussians(self) -> Gaussians:
        """The splats of the pose."""
        return self.avatar.gaussians(self.avatar.rig.pose(self.expression, self.rotations)[0])


@torch.no_grad()
def export_pose(
    avatar: SplatAvatar, kind: str, path: Path, expression: Tensor, rotations: Tensor, prompt: str = ""
) -> None:
    """Write one pose, ``expression`` (1, E) and ``rotations`` (1, J, 3), as ``kind`` of `WRITERS`.

    AnimPortrait3D's files know no pose: they hold the avatar itself and its ``prompt``.
    Raises `UserError` for an unknown kind, an avatar that the kind cannot hold or a path that cannot be written.
    """
    if kind not in WRITERS:
        raise UserError(f"{kind!r} is no export format; choose from {', '.join(WRITERS)}")
    WRITERS[kind](Posed(avatar, expression, rotations, prompt), path)


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


def hangs_on_their_mesh(avatar: SplatAvatar) -> bool:
    """Whether the avatar can be written as ``animportrait3d``."""
    model = avatar.rig.model
    return model is not None and model.fit is not None


def _spz(posed: Posed, path: Path) -> None:
    write_spz(posed.gaussians, path, posed.avatar.config["rasterize_mode"] == "antialiased")


def _animportrait3d(posed: Posed, path: Path) -> None:
    """An archive as their gallery has it, or the PLY alone where the path says so."""
    avatar, model = posed.avatar, posed.avatar.rig.model
    if model is None or model.fit is None:
        raise UserError(
            "this avatar does not hang on AnimPortrait3D's own mesh; only avatars that were opened from "
            "AnimPortrait3D's files can be written as animportrait3d"
        )
    splats = LocalSplats(
        face=avatar.face, means=avatar.means, quats=avatar.quats, log_scales=avatar.log_scales,
        opacity_logits=avatar.opacity_logits, sh=avatar.sh, layer=avatar.layer,
    )  # fmt: skip
    if path.suffix.lower() == ".ply":
        write_local_ply(splats, path)
        return
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        place = Path(folder)
        write_local_ply(splats, place / POINT_CLOUD)
        write_fitted_params(model.shape, model.fit, place / FITTED_PARAMS)
        (place / PROMPT).write_text(posed.prompt, encoding="utf-8")
        _pack(place, path)


def _pack(folder: Path, path: Path) -> None:
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in (FITTED_PARAMS, POINT_CLOUD, PROMPT):
            archive.write(folder / name, name)


WRITERS: dict[str, Callable[[Posed, Path], None]] = {
    "ply": lambda posed, path: write_ply(posed.gaussians, path),
    "spz": _spz,
    "glb": lambda posed, path: write_interchange_glb(posed.gaussians, path),
    "animportrait3d": _animportrait3d,
}
"""Format → writer: the 3DGS PLY that splat viewers read, Niantic's SPZ, glTF with KHR_gaussian_splatting, and
AnimPortrait3D's files."""
SUFFIXES = {"ply": ".ply", "spz": ".spz", "glb": ".glb", "animportrait3d": ".zip"}
"""Format → how the name of its file ends."""
