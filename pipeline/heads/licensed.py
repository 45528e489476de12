"""What FLAME and SMPL-X heads share: registration with the free head, cached, and the rig that comes of it all."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.files import whole_file
from pipeline.heads import anny_space, correspondence, registration, surface_match
from pipeline.heads.anatomy import anatomy
from pipeline.heads.anny_file import HEAD_FILE
from pipeline.heads.correspondence import Correspondence, correspond
from pipeline.heads.model_cache import cache_folder
from pipeline.heads.model_files import ModelFile, find_model, model_at
from pipeline.heads.official_files import OfficialFiles
from pipeline.heads.rig import Rig
from pipeline.heads.smplx_module import load_body, shape_coefficients

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


class LicensedHead(ABC):
    """One identity of a model that somebody brings a file of; see `FlameHead` and `SmplxHead` for the arguments."""

    kind: ClassVar[str]
    """``flame`` or ``smplx``."""

    def __init__(
        self,
        path: ModelFile | Path | str | None = None,
        shape: Sequence[float] | None = None,
        release: str | None = None,
    ) -> None:
        self.file = _model_file(path, self.kind, release)
        assert self.file.model is not None
        self._model = self.file.model
        self._body = load_body(self._model)
        self.shape = shape_coefficients(shape, self._body, self.file.name)

    def of_shape(self, shape: Sequence[float]) -> Self:
        """Another person of the same model, which is not read again. Raises `UserError` as the constructor does."""
        other = copy.copy(self)
        other.__dict__.pop("rig", None)
        other.shape = shape_coefficients(shape, self._body, self.file.name)
        return other

    @property
    def release(self) -> str:
        """``flame2023``, ``smplx2020`` …: also the basis of the rig."""
        return self.file.release

    @property
    def content(self) -> str:
        """SHA-256 of the model file, hex: together with the shape it says which head this is."""
        return self._model.content

    @property
    def template_points(self) -> Tensor:
        """(V, 3) where every vertex lies in the free head's template coordinates, see `AnnyHead.template_points`."""
        return self.correspondence.template_points

    @property
    @abstractmethod
    def shape_dirs(self) -> Tensor:
        """(S, V, 3) metres that each shape coefficient at 1 moves the rig's vertices."""

    @property
    @abstractmethod
    def shape_joint_dirs(self) -> Tensor:
        """(S, J, 3) metres that it moves the rig's joints, before the origin follows one of them."""

    @property
    @abstractmethod
    def correspondence(self) -> Correspondence:
        """The template registered with the free head; the first time for a model takes seconds."""

    @property
    @abstractmethod
    def rig(self) -> Rig:
        """The rig of this identity; the last two expressions close the eyelids."""


def _model_file(path: ModelFile | Path | str | None, kind: str, release: str | None) -> ModelFile:
    if isinstance(path, ModelFile):
        return path
    return find_model(release or kind) if path is None else model_at(Path(path), kind, release)


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
