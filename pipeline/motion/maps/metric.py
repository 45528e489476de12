"""How far two movements of a face are apart: millimetres of skin, most of all at lips and lids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.heads.registration import lip_side
from pipeline.motion.maps.face_model import Array, FaceModel

REGION_WEIGHTS = {"face": 1.0, "lips": 6.0, "eyelids": 6.0}
ELSEWHERE = 0.05
"""Weight of ears, scalp and neck, so that no map uses them to explain a face."""
CONTACT_METRES = 0.006
"""Lips further apart than that at rest do not touch."""
CONTACT_WEIGHT = 1.0
"""Weight of the gap between the lips, all pairs together, against all of the skin together."""


@dataclass(frozen=True, eq=False)
class FaceMetric:
    """Weighted least squares over the samples of a `FaceModel`."""

    weights: Array
    """(M,) of each sample; they sum to 1."""
    pairs: NDArray[np.int64]
    """(P, 2) samples of the upper and the lower lip that touch when the mouth is shut."""

    def rows(self, offsets: Array) -> Array:
        """Movements (..., M, 3) in metres → (..., R) in millimetres; the sum of their squares is the weighted mean."""
        skin = offsets * np.sqrt(self.weights)[:, None]
        gaps = offsets[..., self.pairs[:, 0], :] - offsets[..., self.pairs[:, 1], :]
        gaps = gaps * np.sqrt(CONTACT_WEIGHT / max(len(self.pairs), 1))
        flat = [part.reshape(*offsets.shape[:-2], -1) for part in (skin, gaps)]
        return 1e3 * np.concatenate(flat, axis=-1)


def face_metric(model: FaceModel) -> FaceMetric:
    """Samples weighted by their area and their region, and the pairs of lips that touch."""
    weights = np.full(len(model.samples), ELSEWHERE)
    for region, weight in REGION_WEIGHTS.items():
        weights[model.inside(region)] = weight
    weights *= _areas(model)
    return FaceMetric(weights / weights.sum(), contact_pairs(model))


def contact_pairs(model: FaceModel) -> NDArray[np.int64]:
    """(P, 2): for every sample of the upper lip its nearest one of the lower lip, and the other way round."""
    lower = lip_side(model.jaw_share)
    above, below = (np.flatnonzero(model.inside("lips") & side) for side in (lower < 0.1, lower > 0.9))
    if not len(above) or not len(below):
        return np.zeros((0, 2), np.int64)
    pairs = []
    for here, there, order in ((above, below, 1), (below, above, -1)):
        distance, nearest = cKDTree(model.points[there]).query(model.points[here])
        touching = distance < CONTACT_METRES
        pairs.append(np.stack([here[touching], there[nearest[touching]]], axis=1)[:, ::order])
    return np.unique(np.concatenate(pairs), axis=0)


def _areas(model: FaceModel) -> Array:
    """(M,) square metres, a third of every triangle round the sample."""
    points, faces = model.rig.vertices.numpy().astype(np.float64), model.rig.faces.numpy()
    corners = points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 6
    return np.bincount(faces.ravel(), np.repeat(area, 3), len(points))[model.samples].astype(np.float64)
