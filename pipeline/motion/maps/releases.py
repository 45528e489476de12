"""The coefficients of one release in those of another: the same faces, vertex by vertex."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from pipeline.heads.registration import lip_side
from pipeline.heads.surface_match import Surface3D, match
from pipeline.motion.maps.face_model import Array, FaceModel
from pipeline.motion.maps.metric import face_metric

RIDGE = 0.0005
"""mm² of weighted mean error that a coefficient of 1 must earn; less than for actions, as tracked ones reach 4."""
SAME_SPACE = frozenset({"flame2020", "smplx2020"})
"""SMPL-X 2020 was given the expression space of FLAME 2020."""


def same_space(one: str, other: str) -> bool:
    """Whether coefficients of two bases mean the same."""
    return one == other != "unknown" or {one, other} <= SAME_SPACE


@lru_cache(maxsize=8)
def release_map(source: FaceModel, target: FaceModel) -> Array:
    """(C source, C target): coefficients of ``source`` times this are those of ``target`` whose face is nearest.

    argmin_W ‖D_target·W − D_source‖² + λ‖W‖² over the skin of the target, in the metric of `FaceMetric`.
    """
    metric = face_metric(target)
    basis = metric.rows(target.basis)
    gram = basis @ basis.T + RIDGE * np.eye(len(basis))
    return np.linalg.solve(gram, basis @ metric.rows(_moved_by(source, target)).T).T.astype(np.float64)


def _moved_by(source: FaceModel, target: FaceModel) -> Array:
    """(C source, M target, 3): what the source's coefficients do at the places of the target's samples."""
    directions = source.rig.expressions.numpy()[list(source.channels)].astype(np.float64)
    if torch.equal(source.rig.faces, target.rig.faces):  # FLAME's releases share their mesh
        return directions[:, target.samples]
    corners, shares = _places(source, target)
    moved: Array = (directions[:, corners] * shares[..., None]).sum(2)
    return moved


def _places(source: FaceModel, target: FaceModel) -> tuple[np.ndarray, Array]:
    """Vertices (M, 3) of the source's mesh and their shares (M, 3) where the target's samples lie on the free head."""
    own, asked = _on_free_head(source), _on_free_head(target)
    samples = target.samples
    found = match(asked.vertices[samples], asked.normals[samples], asked.lower[samples], own)
    return own.faces[found.faces], found.barycentrics


def _on_free_head(model: FaceModel) -> Surface3D:
    faces = model.rig.faces.numpy()
    trusted = np.zeros(len(model.rig.vertices), bool)
    trusted[model.samples] = True
    jaw = model.rig.weights.numpy()[:, model.rig.joint_index("jaw")].astype(np.float64)
    skin = np.flatnonzero(trusted[faces].all(1))
    points = model.correspondence.template_points.numpy().astype(np.float64)
    return Surface3D(points, faces, lip_side(jaw), skin)
