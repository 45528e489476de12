"""The PLY of AnimPortrait3D avatars: splats local to the triangles of its SMPL-X crop, 65 float32 each, bit for bit.

Source of the layout: AnimPortrait3D, GSAvatar/scene/gaussian_model.py, `construct_list_of_attributes` and `load_ply`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.avatar import Layer
from pipeline.errors import UserError
from pipeline.formats.ply import COEFFICIENTS, COLOR_NAMES, property_names, read_vertices, write_vertices

POINT_CLOUD = "point_cloud.ply"
"""Its name in an archive of their gallery."""
FACES = 17981
"""Triangles of the crop."""
MOST_SPLATS = 4_000_000
MEAN_NAMES = ("x", "y", "z")
OPACITY_NAMES = ("opacity",)
SCALE_NAMES = tuple(f"scale_{axis}" for axis in range(3))
QUAT_NAMES = tuple(f"rot_{axis}" for axis in range(4))
REST_NAMES = tuple(f"f_rest_{index}" for index in range(45))
BINDING = "binding_0"
MASKS = {
    "hair_points_mask": Layer.HAIR,
    "clothes_points_mask": Layer.CLOTH,
    "smplx_points_mask": Layer.SKIN,
    "teeth_points_mask": Layer.MOUTH,
    "eye_region_points_mask": Layer.EYE,
}
"""Their masks, in their order, and the layer that each is here."""
PROPERTIES = (
    *MEAN_NAMES,
    *COLOR_NAMES,
    *REST_NAMES,
    *OPACITY_NAMES,
    *SCALE_NAMES,
    *QUAT_NAMES,
    BINDING,
    *MASKS,
)
NO_MASKS = "the file has no masks of hair, clothes, teeth and eyes: everything is taken for skin"


@dataclass(frozen=True)
class LocalSplats:
    """N splats local to triangles, exactly as the file holds them; the names are those of `SplatAvatar`."""

    face: Tensor
    """(N,) int32."""
    means: Tensor
    """(N, 3) in units of the triangle's scale."""
    quats: Tensor
    """(N, 4) wxyz, of any length."""
    log_scales: Tensor
    """(N, 3)"""
    opacity_logits: Tensor
    """(N,)"""
    sh: Tensor
    """(N, K, 3)"""
    layer: Tensor
    """(N,) uint8."""


def is_local_ply(path: Path) -> bool:
    """Whether a PLY binds its splats to triangles. Raises `UserError` when it cannot be read."""
    return BINDING in property_names(path)


def read_local_ply(path: Path, faces: int = FACES) -> tuple[LocalSplats, tuple[str, ...]]:
    """The splats, bound to triangles 0 … ``faces`` − 1, and sentences on what the file lacks.

    Raises `UserError` when it is missing, damaged, of another kind, or holds a number that cannot be.
    """
    table = read_vertices(path)
    values = _Columns(table, path.name)
    quats = values.of(QUAT_NAMES)
    if not bool((quats != 0).any(1).all()):
        raise UserError(f"{path.name} has a splat without a rotation (a quaternion of zeros); get the file again")
    layer, notes = _layer(values)
    splats = LocalSplats(
        face=_binding(values, faces),
        means=values.of(MEAN_NAMES),
        quats=quats,
        log_scales=values.of(SCALE_NAMES),
        opacity_logits=values.of(OPACITY_NAMES)[:, 0],
        sh=_harmonics(values),
        layer=layer,
    )
    return splats, notes


def write_local_ply(splats: LocalSplats, path: Path) -> None:
    """Write the file; what `read_local_ply` read becomes the same bytes. Lower degrees of SH are filled with zeros,
    as AnimPortrait3D reads degree 3 only. Raises `UserError` for layers that its masks do not know."""
    count, coefficients = len(splats.face), splats.sh.shape[1]
    layer = splats.layer.numpy()
    if not np.isin(layer, list(MASKS.values())).all():
        raise UserError("AnimPortrait3D knows skin, hair, clothes, mouth and eyes only; this avatar has other layers")
    sh = splats.sh.detach().numpy()
    rest = np.zeros((count, 3, len(REST_NAMES) // 3), np.float32)
    rest[:, :, : coefficients - 1] = sh[:, 1:].transpose(0, 2, 1)
    rows = [
        splats.means.detach().numpy(),
        sh[:, 0],
        rest.reshape(count, -1),
        splats.opacity_logits.detach().numpy()[:, None],
        splats.log_scales.detach().numpy(),
        splats.quats.detach().numpy(),
        splats.face.numpy()[:, None],
        layer[:, None] == np.array(list(MASKS.values())),
    ]
    table = np.concatenate(rows, axis=1, dtype="<f4", casting="unsafe")
    write_vertices(table.view([(name, "<f4") for name in PROPERTIES])[:, 0], path)


class _Columns:
    """The file's numbers as (N, C) tensors, looked up by name."""

    def __init__(self, table: np.ndarray, file: str) -> None:
        self.file, self.names = file, table.dtype.names or ()
        if not 0 < len(table) <= MOST_SPLATS:
            raise UserError(f"{file} holds {len(table)} splats; 1 to {MOST_SPLATS} are read")
        needed = [name for name in PROPERTIES if name not in REST_NAMES and name not in MASKS]
        missing = [name for name in needed if name not in self.names]
        if missing:
            raise UserError(f"{file} is no avatar of AnimPortrait3D: it has no property {missing[0]}")
        other = [name for name in self.names if table.dtype[name] not in (np.dtype("<f4"), np.dtype(">f4"))]
        if other:
            raise UserError(f"{file} is no avatar of AnimPortrait3D: its property {other[0]} is not float32")
        self._values = np.asarray(table).astype([(name, "<f4") for name in self.names]).view("<f4")
        self._values = self._values.reshape(len(table), -1)
        if not np.isfinite(self._values).all():
            bad = self.names[int(np.flatnonzero(~np.isfinite(self._values).all(0))[0])]
            raise UserError(f"{file} holds numbers that are not finite, the first in {bad}; get the file again")

    def of(self, names: tuple[str, ...]) -> Tensor:
        """(N, len(names)) in that order."""
        columns = [self.names.index(name) for name in names]
        return torch.from_numpy(self._values[:, columns])

    def column(self, name: str) -> NDArray[np.float32]:
        return self._values[:, self.names.index(name)]


def _binding(values: _Columns, faces: int) -> Tensor:
    """(N,) int32; float32 holds all whole numbers that can occur."""
    bound = values.column(BINDING)
    wrong = (bound != np.floor(bound)) | (bound < 0) | (bound >= faces)
    if wrong.any():
        raise UserError(
            f"{values.file} binds a splat to triangle {float(bound[wrong][0]):g}; "
            f"the mesh has triangles 0 to {faces - 1}"
        )
    return torch.from_numpy(bound.astype(np.int32))


def _layer(values: _Columns) -> tuple[Tensor, tuple[str, ...]]:
    """(N,) `Layer` of every splat, and a note where the file does not say."""
    missing = [name for name in MASKS if name not in values.names]
    if len(missing) == len(MASKS):
        return torch.full((len(values.column(BINDING)),), Layer.SKIN, dtype=torch.uint8), (NO_MASKS,)
    if missing:
        raise UserError(f"{values.file} has masks but no {missing[0]}; all five are needed, or none")
    masks = np.stack([values.column(name) for name in MASKS], axis=1)
    if not (((masks == 0) | (masks == 1)).all() and (masks.sum(1) == 1).all()):
        raise UserError(f"the masks of {values.file} do not say of every splat that it is one of {', '.join(MASKS)}")
    kinds = np.array(list(MASKS.values()), np.uint8)
    return torch.from_numpy(kinds[masks.argmax(1)]), ()


def _harmonics(values: _Columns) -> Tensor:
    """(N, K, 3); the file has channel by channel."""
    count = sum(name.startswith("f_rest_") for name in values.names)
    if count % 3 or count // 3 + 1 not in COEFFICIENTS:
        raise UserError(f"{values.file} has {count} values f_rest; 0, 9, 24 or 45 make whole degrees")
    constant = values.of(COLOR_NAMES)[:, None]
    if not count:
        return constant
    rest = values.of(REST_NAMES[:count]).reshape(len(constant), 3, -1).transpose(1, 2)
    return torch.cat([constant, rest], dim=1)
