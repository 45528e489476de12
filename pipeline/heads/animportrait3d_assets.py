"""What AnimPortrait3D adds to SMPL-X, from its own asset folder: teeth, the bridge between them, eyelids and its crop.

Nothing of it is shipped here. Source of the construction: AnimPortrait3D, GSAvatar/smplx_model/smplx.py.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.heads.official_files import EYELIDS, FLAME_VERTICES, read_eyelids
from pipeline.safe_load import convert

FLAME_IDS, CROP, SEGMENTS, MASKS = (
    "SMPL-X__FLAME_vertex_ids.npy",
    "valid_vert_id.npy",
    "seg_in_cropped_mesh.pkl",
    "FLAME_masks_v2.pkl",
)
UPPER, LOWER = "upper_teeth.obj", "lower_teeth.obj"
NEEDED = (FLAME_IDS, CROP, SEGMENTS, MASKS, UPPER, LOWER, *EYELIDS)
BODY_VERTICES = 10475
TEETH_VERTICES = 1493
"""Of each row."""
LEFTMOST, RIGHTMOST, UPPER_FRONT, LOWER_FRONT = 97, 0, 1188, 1490
"""Vertices of the teeth that the rows are scaled and placed by."""
ROW_WIDTH = 1.2
"""Width of the upper row over the width of the lips."""
UPPER_OFFSET, LOWER_OFFSET = (0.45, -0.38), (-0.45, -0.35)
"""Up and forwards from the middle of the lip, in widths of the lips."""
MOST_FILES = 100_000
LARGEST_OBJ = 50_000_000


@dataclass(frozen=True)
class Assets:
    """The folder's content, checked."""

    flame_ids: NDArray[np.int64]
    """(5023,) the SMPL-X vertex of every FLAME vertex."""
    crop: NDArray[np.int64]
    """Sorted ids, of body and teeth, that stay."""
    faces: NDArray[np.int64]
    """(F, 3) of the crop, with their winding: counter-clockwise from inside."""
    teeth: tuple[Row, Row]
    """Upper and lower."""
    lip_rings: tuple[NDArray[np.int64], NDArray[np.int64]]
    """FLAME vertices round the upper and the lower lip."""
    eyelids: Tensor
    """(2, 5023, 3)"""
    face_ids: dict[str, NDArray[np.int64]]
    """Faces of the crop: ``all_teeth``, ``inner_mouth``, ``lips``."""
    content: str
    """SHA-256 of the files, hex: the same crop, teeth and eyelids wherever the folder lies."""


@dataclass(frozen=True)
class Row:
    """One row of teeth as its file has it."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def read_assets(folder: Path) -> Assets:
    """The assets below ``folder``: AnimPortrait3D's repository or its asset folder.

    Raises `UserError` naming what is missing or does not fit.
    """
    paths = _find(folder)
    segments, masks = _numbers(paths[SEGMENTS]), _numbers(paths[MASKS])
    eyelids = read_eyelids(paths[EYELIDS[0]].parent)
    if eyelids is None:
        raise UserError(f"{EYELIDS[0]} and {EYELIDS[1]} must lie in one folder")
    crop = np.unique(_ids(paths[CROP], BODY_VERTICES + 2 * TEETH_VERTICES))
    flame_ids = _ids(paths[FLAME_IDS], BODY_VERTICES)
    if len(flame_ids) != FLAME_VERTICES:
        raise UserError(f"{FLAME_IDS} holds {len(flame_ids)} numbers; there are {FLAME_VERTICES} vertices in FLAME")
    faces = _entry(segments, "valid_face", SEGMENTS, len(crop)).reshape(-1, 3)
    names = ("all_teeth", "inner_mouth", "lips")
    rings = tuple(_entry(masks, f"lip_outside_ring_{row}", MASKS, FLAME_VERTICES) for row in ("upper", "lower"))
    return Assets(
        flame_ids=flame_ids,
        crop=crop,
        faces=faces,
        teeth=(_row(paths[UPPER]), _row(paths[LOWER])),
        lip_rings=(rings[0], rings[1]),
        eyelids=eyelids,
        face_ids={name: _entry(segments, f"{name}_faces_id", SEGMENTS, len(faces)) for name in names},
        content=_content(paths),
    )


def holds_assets(folder: Path) -> bool:
    """Whether all that is `NEEDED` lies below ``folder``, by name."""
    return not _missing(_named(folder))


def teeth_points(assets: Assets, template: NDArray[Any]) -> NDArray[np.float32]:
    """Both rows (2986, 3) on the neutral template (10475, 3): they are placed once and follow no identity."""
    upper_lip, lower_lip = (template[assets.flame_ids[ring]].astype(np.float64) for ring in assets.lip_rings)
    upper, lower = (row.vertices for row in assets.teeth)
    width = max(
        lower_lip[:, 0].max() - upper_lip[:, 0].min(),
        lower_lip[:, 0].max() - lower_lip[:, 0].min(),
    )
    scale = ROW_WIDTH * width / np.linalg.norm(upper[LEFTMOST] - upper[RIGHTMOST])
    placed = [
        row * scale - row[front] * scale + lip.mean(0) + width * np.array([0.0, *offset])
        for row, front, lip, offset in (
            (upper, UPPER_FRONT, upper_lip, UPPER_OFFSET),
            (lower, LOWER_FRONT, lower_lip, LOWER_OFFSET),
        )
    ]
    return np.concatenate(placed).astype(np.float32)


def check_fits(assets: Assets, body_faces: NDArray[np.int64]) -> None:
    """Raise `UserError` unless the crop's faces are those of this model (F, 3) and these teeth, then the bridge."""
    upper, lower = (row.faces for row in assets.teeth)
    everything = np.concatenate([body_faces, upper + BODY_VERTICES, lower + BODY_VERTICES + TEETH_VERTICES])
    place = np.full(BODY_VERTICES + 2 * TEETH_VERTICES, -1)
    place[assets.crop] = np.arange(len(assets.crop))
    kept = place[everything]
    kept = kept[(kept >= 0).all(1)][:, [0, 2, 1]]
    if len(assets.faces) < len(kept) or not np.array_equal(assets.faces[: len(kept)], kept):
        raise UserError(
            f"{SEGMENTS} was made for another model than this one, or for other teeth; use SMPLX_NEUTRAL_2020"
        )


def _find(folder: Path) -> dict[str, Path]:
    found = _named(folder)
    if missing := _missing(found):
        raise UserError(f"{folder} is no asset folder of AnimPortrait3D: {', '.join(missing)} is missing")
    return found


def _missing(found: dict[str, Path]) -> list[str]:
    return [name for name in NEEDED if name not in found]


def _named(folder: Path) -> dict[str, Path]:
    """The first file of each name that is `NEEDED`."""
    found: dict[str, Path] = {}
    seen = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            if name in NEEDED:
                found.setdefault(name, Path(place) / name)
        seen += len(names)
        if len(found) == len(NEEDED) or seen > MOST_FILES:
            break
    return found


def _content(paths: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name in NEEDED:
        digest.update(hashlib.sha256(paths[name].read_bytes()).digest())
    return digest.hexdigest()


def _numbers(path: Path) -> dict[str, NDArray[Any]]:
    """A pickle's arrays, read by the allow-list in another process."""
    with tempfile.TemporaryDirectory(prefix="assets-") as folder:
        plain = Path(folder) / "plain.npz"
        convert(path, plain)
        with np.load(plain, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def _ids(path: Path, count: int) -> NDArray[np.int64]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path.name} cannot be read ({error}); get it again") from error
    return _checked_ids(np.asarray(array), path.name, count)


def _entry(arrays: dict[str, NDArray[Any]], key: str, name: str, count: int) -> NDArray[np.int64]:
    if key not in arrays:
        raise UserError(f"{name} has no {key}; get it again from AnimPortrait3D")
    return _checked_ids(arrays[key], f"{key} of {name}", count)


def _checked_ids(array: NDArray[Any], name: str, count: int) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu" or not array.size or array.min() < 0 or array.max() >= count:
        raise UserError(f"{name} does not hold whole numbers from 0 to {count - 1}")
    return array.astype(np.int64).ravel()


def _row(path: Path) -> Row:
    """Vertices and triangles of a Wavefront file; a polygon becomes a fan."""
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    with reading(path):
        if path.stat().st_size > LARGEST_OBJ:
            raise UserError(f"{path.name} is larger than {LARGEST_OBJ // 1_000_000} MB; the teeth are not")
        lines = path.read_text(errors="replace").splitlines()
    try:
        for line in lines:
            kind, *values = line.split() or [""]
            if kind == "v":
                vertices.append([float(value) for value in values[:3]])
            elif kind == "f":
                corners = [int(value.split("/")[0]) - 1 for value in values]
                faces += [[corners[0], a, b] for a, b in pairwise(corners[1:])]
    except ValueError as error:
        raise UserError(f"{path.name} is no Wavefront file ({error}); get it again") from error
    points = np.array(vertices)
    if points.shape != (TEETH_VERTICES, 3) or not np.isfinite(points).all() or not faces:
        raise UserError(f"{path.name} has {len(points)} vertices; a row of AnimPortrait3D's teeth has {TEETH_VERTICES}")
    return Row(points, _checked_ids(np.array(faces), f"the faces of {path.name}", TEETH_VERTICES).reshape(-1, 3))


def outward(faces: NDArray[np.int64]) -> Tensor:
    """Their faces counter-clockwise from outside."""
    return torch.from_numpy(np.ascontiguousarray(faces[:, [0, 2, 1]]))
