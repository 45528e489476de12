"""Synthetic model files in the exact schemas of FLAME and SMPL-X, shaped like heads: no licensed number is in them.

>>> write_flame(folder, "flame2020")            # generic_model.pkl with chumpy members, as downloaded
>>> write_smplx(folder)                         # SMPLX_NEUTRAL_2020.npz with its object arrays
"""

from __future__ import annotations

import pickle
import sys
import types
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from pipeline.heads.anny import AnnyHead
from tests.heads import bases
from tests.heads.smplx_body import SMPLX_PARENTS, smplx_points, smplx_skeleton, smplx_weights
from tests.heads.topology import EYEBALL, FLAME_SKIN, flame_faces, smplx_faces, topology

FLAME_FILES = {
    "flame2019": "generic_model.pkl",
    "flame2020": "generic_model.pkl",
    "flame2023": "flame2023.pkl",
    "flame2023_no_jaw": "flame2023_no_jaw.pkl",
    "flame2023_open": "flame2023_Open.pkl",
}
"""Release → name of the file as it is downloaded."""
SEEDS = {"flame2019": 19, "flame2020": 20, "flame2023": 23, "flame2023_no_jaw": 24, "flame2023_open": 25}
PEOPLE: dict[str, bases.Identity] = {
    "flame2019": {"gender": 0.2, "age": 0.66, "caucasian": 0.9},
    "flame2020": {"gender": 0.35, "age": 0.66},
    "flame2023": {"gender": 0.6, "age": 0.7, "asian": 0.8},
    "flame2023_no_jaw": {"gender": 0.6, "age": 0.7, "asian": 0.8},
    "flame2023_open": {"gender": 0.5, "age": 0.72, "african": 0.8},
    "smplx2020": {"gender": 0.5, "age": 0.66, "weight": 0.6},
}
FLAME_ORIGIN = np.array([0.0, 0.02, 0.045])
"""From the free head's head joint: between the ears, as FLAME has it."""
FLAME_PARENTS = (2**32 - 1, 0, 1, 1, 1)
ROOT = 2**32 - 1


@lru_cache(maxsize=8)
def flame_arrays(release: str) -> dict[str, Any]:
    """The dictionary of a FLAME pickle, with plain arrays (J_regressor sparse)."""
    identity, seed = PEOPLE[release], SEEDS[release]
    points = bases.head_points(bases.anny_vertices(identity)) - FLAME_ORIGIN
    joints, weights = flame_skeleton(release)
    shapes = bases.shape_basis(seed, bases.head_points)
    expressions = bases.expression_basis(seed, tuple(identity.items()))
    correctives = bases.pose_correctives(points, joints, {1: 0.05, 2: 0.04}, seed)
    if release == "flame2023_no_jaw":
        correctives[:, :, 9:18] = 0
    return {
        "v_template": points,
        "f": flame_faces(topology()).astype(np.uint32),
        "shapedirs": np.concatenate([shapes, expressions], 2),
        "posedirs": correctives,
        "J_regressor": bases.regressor(points, joints),
        "weights": weights,
        "kintree_table": np.array([FLAME_PARENTS, range(5)], dtype=np.uint32),
        "J": joints,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def flame_skeleton(release: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints (5, 3) in FLAME's placement and weights (5023, 5): root, neck, jaw, left eye, right eye."""
    identity = PEOPLE[release]
    rig = AnnyHead(identity).rig
    hinge, jaw = bases.jaw_of(rig)
    at = {name: rig.joints[rig.joint_index(name)].numpy().astype(np.float64) for name in rig.joint_names}
    joints = np.stack([at["neck01"], at["neck03"], hinge, at["left_eye"], at["right_eye"]]) - FLAME_ORIGIN
    body = dict(zip(rig.joint_names, (topology().head_mixture @ rig.weights.numpy().astype(np.float64)).T, strict=True))
    root = body["torso"] + body["neck01"] + 0.5 * body["neck02"]
    weights = np.zeros((FLAME_SKIN + 2 * EYEBALL, 5))
    weights[:FLAME_SKIN, 0] = root
    weights[:FLAME_SKIN, 1] = 1 - root
    if release != "flame2023_no_jaw":
        weights[:, 2] = jaw * weights[:, 1]
        weights[:, 1] -= weights[:, 2]
    weights[FLAME_SKIN : FLAME_SKIN + EYEBALL, 3] = 1
    weights[FLAME_SKIN + EYEBALL :, 4] = 1
    return joints, weights


@lru_cache(maxsize=2)
def smplx_arrays(release: str = "smplx2020") -> dict[str, Any]:
    """The arrays of SMPLX_NEUTRAL_2020.npz; its expressions are those of the synthetic FLAME 2020."""
    identity = PEOPLE[release]
    points, joints = smplx_points(bases.anny_vertices(identity)), smplx_skeleton(identity)
    expressions = np.zeros((len(points), 3, bases.EXPRESSIONS))
    expressions[flame_rows()] = flame_arrays("flame2020")["shapedirs"][:, :, bases.SHAPES :]
    weights = smplx_weights(identity)
    faces, places = landmark_embedding(identity)
    contour = np.arange(17)
    return {
        "v_template": points,
        "f": smplx_faces(topology()).astype(np.uint32),
        "shapedirs": np.concatenate([bases.shape_basis(33, smplx_points), expressions], 2),
        "posedirs": bases.pose_correctives(points, joints, {12: 0.05, 15: 0.05, 22: 0.04}, 33).astype(np.float32),
        "J_regressor": bases.regressor(points, joints).toarray(),
        "weights": weights,
        "kintree_table": np.array([(ROOT, *SMPLX_PARENTS[1:]), range(55)], dtype=np.int64),
        "hands_meanl": np.full(45, 0.1),
        "hands_meanr": np.full(45, -0.1),
        "hands_componentsl": np.eye(45),
        "hands_componentsr": np.eye(45),
        "hands_coeffsl": np.zeros((10, 45)),
        "hands_coeffsr": np.zeros((10, 45)),
        "lmk_faces_idx": faces[17:],
        "lmk_bary_coords": places[17:],
        "dynamic_lmk_faces_idx": np.tile(faces[contour], (79, 1)),
        "dynamic_lmk_bary_coords": np.tile(places[contour], (79, 1, 1)),
        "ft": smplx_faces(topology()).astype(np.int64),
        "vt": points[:, :2] - points[:, :2].min(0),
    }


def flame_rows() -> np.ndarray:
    """(5023,) the SMPL-X vertex of every FLAME vertex."""
    return np.concatenate([np.arange(FLAME_SKIN), np.arange(2 * EYEBALL) + 10475 - 2 * EYEBALL])


def landmark_embedding(identity: bases.Identity) -> tuple[np.ndarray, np.ndarray]:
    """Faces (68,) and barycentrics (68, 3) of ibug_0 … ibug_67 on the skin, found with the mouth a little open."""
    rig = AnnyHead(identity).rig
    opened = rig.vertices + 0.3 * rig.expressions[rig.expression_index("jawOpen")]
    assert rig.landmarks is not None
    wanted = rig.landmarks.positions(opened, rig.faces).numpy()
    rows = [rig.landmarks.names.index(f"ibug_{index}") for index in range(68)]
    triangles = (topology().head_mixture @ opened.numpy())[topology().head_faces]
    faces, places = zip(*(_nearest_on(triangles, point) for point in wanted[rows]), strict=True)
    return np.array(faces), np.array(places)


def _nearest_on(triangles: np.ndarray, point: np.ndarray) -> tuple[int, np.ndarray]:
    """Triangle and barycentrics (3,) of the surface's nearest point."""
    near = np.argsort(np.linalg.norm(triangles.mean(1) - point, axis=1))[:40]
    points = trimesh.triangles.closest_point(triangles[near], np.tile(point, (len(near), 1)))
    best = np.linalg.norm(points - point, axis=1).argmin()
    chosen = triangles[near[best : best + 1]]
    return int(near[best]), trimesh.triangles.points_to_barycentric(chosen, points[best : best + 1])[0].clip(0, 1)


def write_flame(folder: Path, release: str = "flame2023", name: str | None = None, chumpy: bool | None = None) -> Path:
    """A FLAME pickle of that release (protocol 2), named as downloaded; 2019 and 2020 have chumpy members."""
    arrays = dict(flame_arrays(release))
    if release == "flame2023_open":
        arrays["supr_expression_metadata"] = {"source": "SUPR", "components": 100}
    path = folder / (name or FLAME_FILES[release])
    with_chumpy = release in ("flame2019", "flame2020") if chumpy is None else chumpy
    write_pickle(path, arrays, ("v_template", "shapedirs", "posedirs", "weights", "J") if with_chumpy else ())
    return path


def write_smplx(folder: Path, name: str = "SMPLX_NEUTRAL_2020.npz", **changed: Any) -> Path:
    """SMPL-X as npz with its object arrays, or as a pickle where the name says so; ``changed`` replaces arrays."""
    arrays: dict[str, Any] = smplx_arrays() | changed
    arrays |= {"joint2num": {"Pelvis": 0}, "part2num": {"global": 0}}
    path = folder / name
    if path.suffix == ".pkl":
        write_pickle(path, arrays, ())
    else:
        objects = {key: np.array(arrays.pop(key), dtype=object) for key in ("joint2num", "part2num")}
        _savez(path, arrays | objects | {"allow_pickle": np.array(True, dtype=object)})
    return path


def write_pickle(path: Path, content: dict[str, Any], chumpy_keys: tuple[str, ...]) -> None:
    """As Python 2 with chumpy wrote it: protocol 2, the named members as ``chumpy.ch.Ch`` objects."""
    chumpy, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.x = x

        def __getstate__(self) -> dict[str, Any]:
            return {"x": self.x, "_dirty_vars": set(), "_cache_info": {}}

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    ch.Ch = Ch  # type: ignore[attr-defined]
    chumpy.ch = ch  # type: ignore[attr-defined]
    members = {key: Ch(value) if key in chumpy_keys else value for key, value in content.items()}
    sys.modules |= {"chumpy": chumpy, "chumpy.ch": ch}
    try:
        with open(path, "wb") as file:
            pickle.dump(members, file, protocol=2)
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]


def _savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """`numpy.savez`, which itself takes no array named ``allow_pickle``, as SMPL-X has one."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=True)
