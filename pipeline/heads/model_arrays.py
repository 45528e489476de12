"""The arrays of a FLAME or SMPL-X file: which are needed, of which shape, brought to plain float32."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.safe_load import MODEL_LIMITS

Arrays = Mapping[str, NDArray[Any]]

COUNTS = {"flame": (5023, 9976, 5), "smplx": (10475, 20908, 55)}
"""Vertices, faces and joints."""
NEEDED = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
FLAME_PARENTS = (-1, 0, 1, 1, 1)
SHAPES, EXPRESSIONS = 300, 100
OLD_SHAPES, OLD_EXPRESSIONS = 10, 10
"""Of files with fewer than 400 directions: the first twenty are ten of each."""
LANDMARKS = {
    "lmk_faces_idx": (51,),
    "lmk_bary_coords": (51, 3),
    "dynamic_lmk_faces_idx": (79, 17),
    "dynamic_lmk_bary_coords": (79, 17, 3),
}
HANDS = {"hands_meanl": (45,), "hands_meanr": (45,), "hands_componentsl": (45, 45), "hands_componentsr": (45, 45)}
TEXTURE = ("vt", "ft")
OPEN_KEY = "supr_expression_metadata"
"""Only FLAME 2023 Open has it."""
INDICES = ("f", "kintree_table", "lmk_faces_idx", "dynamic_lmk_faces_idx", "ft")
MOST_MEMBERS = 200


def read_numeric(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz that a model needs; arrays of objects are passed over unread, sizes are checked first.

    Raises `UserError` when the archive is damaged or unpacks to more than a model can hold.
    """
    wanted = {*NEEDED, *LANDMARKS, *HANDS, *TEXTURE}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.removesuffix(".npy") in wanted]
            if len(archive.infolist()) > MOST_MEMBERS:
                raise UserError(f"{path.name} has {len(archive.infolist())} members; a model has about 20")
            if sum(info.file_size for info in members) > MODEL_LIMITS.memory_bytes:
                raise UserError(
                    f"{path.name} unpacks to more than {MODEL_LIMITS.memory_bytes >> 30} GiB; no model does"
                )
            return {
                info.filename.removesuffix(".npy"): array
                for info in members
                if (array := _read_member(archive, info)) is not None
            }
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path.name} is damaged or cut short ({error}); download it again") from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any] | None:
    with archive.open(info) as member:
        if _announced_bytes(member) > info.file_size:
            return None
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _announced_bytes(member: IO[bytes]) -> float:
    """Bytes that the header promises; infinite for an array of objects, which is never read."""
    version = np.lib.format.read_magic(member)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(member.read(width), "little")
    if length > 10_000:
        raise ValueError("header too long")
    header = ast.literal_eval(member.read(length).decode("latin1"))
    dtype = np.dtype(header["descr"])
    if dtype.hasobject:
        return float("inf")
    return float(np.prod(header["shape"], dtype=float)) * dtype.itemsize


def checked(arrays: Arrays, name: str) -> tuple[str, dict[str, NDArray[Any]], dict[str, float | bool]]:
    """Kind, the arrays that are used (float32 and int64), and facts about them.

    Raises `UserError` naming what is missing or of another shape than the model has.
    """
    missing = [key for key in NEEDED if key not in arrays]
    if missing:
        raise UserError(f"{name} is no FLAME or SMPL-X file: it has no {', '.join(missing)}")
    count = arrays["v_template"].shape[0] if arrays["v_template"].ndim else 0
    kinds = {vertices: kind for kind, (vertices, _, _) in COUNTS.items()}
    if count not in kinds:
        raise UserError(f"{name} has {count} vertices; FLAME has 5023 and SMPL-X 10475, without any added teeth")
    kind = kinds[count]
    _check_shapes(arrays, kind, name)
    if kind == "smplx" and (lacking := [key for key in (*LANDMARKS, *HANDS) if key not in _optional(arrays, kind)]):
        raise UserError(f"{name} lacks {', '.join(lacking)}, which every SMPL-X file has; download it again")
    used = {key: _plain(key, arrays[key]) for key in (*NEEDED, *_optional(arrays, kind))}
    used["kintree_table"][0, 0] = -1
    _check_values(used, kind, name)
    return kind, used, facts(used, arrays)


def facts(used: Arrays, arrays: Arrays) -> dict[str, float | bool]:
    """What tells releases apart: the jaw's largest weight, and whether the open release's key is there; and counts."""
    shapes, expressions = direction_counts(used["shapedirs"].shape[-1])
    return {
        "jaw_weight": float(used["weights"][:, 2].max()) if used["weights"].shape[1] == 5 else 1.0,
        "open": any(key.split("/")[0] == OPEN_KEY for key in arrays),
        "shapes": shapes,
        "expressions": expressions,
    }


def direction_counts(directions: int) -> tuple[int, int]:
    """Shape and expression directions among the columns of ``shapedirs``, as smplx divides them."""
    if directions < SHAPES + EXPRESSIONS:
        return min(OLD_SHAPES, directions), max(0, min(OLD_EXPRESSIONS, directions - OLD_SHAPES))
    return SHAPES, EXPRESSIONS


def _check_shapes(arrays: Arrays, kind: str, name: str) -> None:
    vertices, faces, joints = COUNTS[kind]
    wanted: dict[str, tuple[int | None, ...]] = {
        "v_template": (vertices, 3),
        "f": (faces, 3),
        "shapedirs": (vertices, 3, None),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "kintree_table": (2, joints),
    }
    for key, shape in wanted.items():
        actual = arrays[key].shape
        fits = len(actual) == len(shape) and all(b in (None, a) for a, b in zip(actual, shape, strict=True))
        if not fits or arrays[key].dtype.kind not in "fiu":
            expected = " × ".join("any" if size is None else str(size) for size in shape)
            given = " × ".join(map(str, actual)) or "no array"
            raise UserError(f"{key} of {name} is {given}; {kind.upper()} has {expected}")


def _optional(arrays: Arrays, kind: str) -> list[str]:
    if kind == "flame":
        return []
    fitting = [key for key, shape in (LANDMARKS | HANDS).items() if key in arrays and arrays[key].shape == shape]
    has_uv = all(key in arrays and arrays[key].ndim == 2 for key in TEXTURE)
    return fitting + (list(TEXTURE) if has_uv else [])


def _plain(key: str, array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.int64) if key in INDICES else np.ascontiguousarray(array, np.float32)


def _check_values(used: Arrays, kind: str, name: str) -> None:
    vertices = COUNTS[kind][0]
    for key, array in used.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{key} of {name} holds values that are no numbers (NaN); download it again")
    if used["f"].min() < 0 or used["f"].max() >= vertices:
        raise UserError(f"f of {name} names vertices up to {used['f'].max()}; there are {vertices}")
    parents = used["kintree_table"][0, 1:]
    if (parents < 0).any() or (parents >= np.arange(1, len(parents) + 1)).any():
        raise UserError(f"kintree_table of {name} is no tree: a parent comes after its child")
    sums = used["weights"].sum(1)
    if used["weights"].min() < -1e-4 or np.abs(sums - 1).max() > 1e-3:
        raise UserError(f"weights of {name} do not sum to 1 at every vertex; download it again")
