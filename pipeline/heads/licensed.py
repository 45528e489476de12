"""What FLAME and SMPL-X heads share: registration with the free head, cached, and the rig that comes of it all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.files import whole_file
from pipeline.heads import anny_space, correspondence, registration, surface_match
from pipeline.heads.anatomy import anatomy
from pipeline.heads.anny_file import HEAD_FILE
from pipeline.heads.correspondence import Correspondence, correspond
from pipeline.heads.model_cache import cache_folder
from pipeline.heads.official_files import OfficialFiles
from pipeline.heads.rig import Rig

EYELID_NAMES = ("eyelid_left", "eyelid_right")


@dataclass(frozen=True)
class Skeleton:
    """The joints that a head keeps of its model."""

    names: tuple[str, ...]
    parents: tuple[int, ...]


@dataclass(frozen=True)
class Surface:
    """The mesh that a head keeps of its model, before any identity; V vertices, in the model's own placement."""

    template: Tensor
    """(V, 3)"""
    faces: Tensor
    """(F, 3)"""
    weights: Tensor
    """(V, J)"""
    pose_dirs: Tensor
    """(9·(J−1), V, 3)"""
    expressions: Tensor
    """(E, V, 3)"""
    regions: Mapping[str, Tensor]
    """Regions that the model's files say themselves: name → (F,) bool."""
    uv: Tensor | None = None


def registered(surface: Surface, skeleton: Skeleton, official: OfficialFiles) -> Correspondence:
    """The correspondence of a surface's template, kept beside the converted models and made once."""
    path = cache_folder() / f"registered-{_digest(surface, official)}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            return Correspondence(**{name: torch.from_numpy(stored[name]) for name in stored.files})
    marks = None
    if official.landmarks is not None:
        points = official.landmarks.positions(surface.template, surface.faces).numpy()
        marks = dict(zip(official.landmarks.names, points, strict=True))
    found = correspond(surface.template, surface.faces, surface.weights, skeleton.names, marks)
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez(file, **{field.name: getattr(found, field.name).numpy() for field in fields(found)})
    return found


def make_rig(
    basis: str,
    surface: Surface,
    skeleton: Skeleton,
    person: Tensor,
    joints: Tensor,
    joint_dirs: Tensor,
    origin: str,
    place: Correspondence,
    official: OfficialFiles,
) -> Rig:
    """The rig of one person.

    ``person`` (V, 3) is the shaped surface, ``joints`` (J, 3) and ``joint_dirs`` (E, J, 3) what the model regresses,
    ``origin`` the joint that the origin is moved to.
    """
    found = anatomy(person, surface.faces, surface.weights, skeleton.names, place, official.landmarks)
    eyelids = found.eyelids if official.eyelids is None else official.eyelids
    count, zero = len(surface.expressions), joints[skeleton.names.index(origin)]
    return Rig(
        vertices=person - zero,
        faces=surface.faces,
        expressions=torch.cat([surface.expressions, eyelids]),
        expression_names=(*(f"expression_{index:03d}" for index in range(count)), *EYELID_NAMES),
        basis=basis,
        joints=joints - zero,
        joint_names=skeleton.names,
        parents=skeleton.parents,
        weights=surface.weights,
        regions={**found.regions, **surface.regions},
        uv=surface.uv,
        landmarks=found.landmarks,
        pose_dirs=surface.pose_dirs,
        joint_dirs=torch.cat([joint_dirs, torch.zeros(len(EYELID_NAMES), len(joints), 3)]),
    )


def _digest(surface: Surface, official: OfficialFiles) -> str:
    """Of everything that a correspondence depends on."""
    digest = hashlib.sha256(_method())
    for tensor in (surface.template, surface.faces, surface.weights):
        digest.update(tensor.contiguous().numpy().tobytes())
    if official.landmarks is not None:
        digest.update(official.landmarks.faces.numpy().tobytes() + official.landmarks.barycentrics.numpy().tobytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _method() -> bytes:
    """The code that registers and the free head: what another version of them found is not used again."""
    modules = (correspondence, registration, surface_match, anny_space)
    files = [Path(str(module.__file__)) for module in modules]
    return b"".join(hashlib.sha256(file.read_bytes()).digest() for file in (*files, HEAD_FILE))
