"""Small files of the models' makers that may lie beside a model: landmark embeddings and eyelid blendshapes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.rig import Landmarks
from pipeline.safe_load import convert, foreign_kind

IBUG_EMBEDDING = "flame_static_embedding.pkl"
MEDIAPIPE_EMBEDDING = "mediapipe_landmark_embedding.npz"
EYELIDS = ("l_eyelid.npy", "r_eyelid.npy")
FLAME_VERTICES = 5023
LARGEST_EYELID = 0.05
"""Metres."""


@dataclass(frozen=True)
class OfficialFiles:
    """What was found; it wins over what is carried over from the free head."""

    landmarks: Landmarks | None = None
    eyelids: Tensor | None = None
    """(2, V, 3)"""


def official_files(folder: Path, face_count: int) -> OfficialFiles:
    """Those for FLAME in ``folder``. Raises `UserError` naming a file that does not fit FLAME."""
    embeddings = [_embedding(folder / name, face_count) for name in (IBUG_EMBEDDING, MEDIAPIPE_EMBEDDING)]
    return OfficialFiles(_joined([part for part in embeddings if part is not None]), read_eyelids(folder))


def ibug_landmarks(faces: NDArray[Any], barycentrics: NDArray[Any]) -> Landmarks:
    """The 51 inner points of iBUG's 68, as SMPL-X files and FLAME's static embedding list them."""
    names = tuple(f"ibug_{index}" for index in range(17, 68))
    return Landmarks(names, torch.from_numpy(faces.astype(np.int64)), torch.from_numpy(barycentrics.astype(np.float32)))


def read_eyelids(folder: Path) -> Tensor | None:
    """(2, 5023, 3) lids closing at 1, left then right, when both files are there."""
    paths = [folder / name for name in EYELIDS]
    if not all(path.is_file() for path in paths):
        return None
    return torch.from_numpy(np.stack([_eyelid(path) for path in paths]))


def _eyelid(path: Path) -> NDArray[np.float32]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path.name} cannot be read ({error}); it should hold 5023 × 3 numbers") from error
    if not isinstance(array, np.ndarray) or array.shape != (FLAME_VERTICES, 3) or array.dtype.kind != "f":
        raise UserError(f"{path.name} does not hold 5023 × 3 numbers, one offset per vertex of FLAME")
    if not np.abs(array).max() <= LARGEST_EYELID:  # also for NaN
        raise UserError(
            f"{path.name} moves a vertex by more than {LARGEST_EYELID * 100:.0f} cm; it should be in metres"
        )
    return array.astype(np.float32)


def _embedding(path: Path, face_count: int) -> Landmarks | None:
    if not path.is_file():
        return None
    arrays = _arrays(path)
    faces, places = arrays.get("lmk_face_idx"), arrays.get("lmk_b_coords")
    if faces is None or places is None or places.shape != (*faces.shape, 3) or faces.ndim != 1 or not len(faces):
        raise UserError(f"{path.name} has no lmk_face_idx (N) and lmk_b_coords (N × 3)")
    if faces.min() < 0 or faces.max() >= face_count:
        raise UserError(f"{path.name} names face {faces.max()}; this model has {face_count}")
    if path.name == IBUG_EMBEDDING:
        if len(faces) != 51:
            raise UserError(f"{path.name} has {len(faces)} landmarks; FLAME's has 51")
        return ibug_landmarks(faces, places)
    indices = arrays.get("landmark_indices")
    if indices is None or indices.shape != faces.shape:
        raise UserError(f"{path.name} has no landmark_indices, one per landmark")
    names = tuple(f"mediapipe_{int(index)}" for index in indices)
    return Landmarks(names, torch.from_numpy(faces.astype(np.int64)), torch.from_numpy(places.astype(np.float32)))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The numbers of an npz or a pickle; nothing is unpickled in this process."""
    with tempfile.TemporaryDirectory(prefix="landmarks-") as folder:
        plain = path
        if foreign_kind(path) is not None:
            plain = Path(folder) / "plain.npz"
            convert(path, plain)
        try:
            with np.load(plain, allow_pickle=False) as stored:
                return {
                    name: stored[name]
                    for name in ("lmk_face_idx", "lmk_b_coords", "landmark_indices")
                    if name in stored
                }
        except (OSError, ValueError, EOFError, AttributeError) as error:
            raise UserError(f"{path.name} cannot be read ({error}); download it again") from error


def _joined(parts: list[Landmarks]) -> Landmarks | None:
    if not parts:
        return None
    names = tuple(name for part in parts for name in part.names)
    return Landmarks(names, torch.cat([part.faces for part in parts]), torch.cat([part.barycentrics for part in parts]))
