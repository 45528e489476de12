"""What landmarks in pictures say about a head: the reprojection error of each, in all views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.camera import Camera
from pipeline.reconstruction.head_models import HeadModel
from pipeline.reconstruction.multiview import Observed
from pipeline.reconstruction.triangulation import projections

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

PIXEL_NOISE = 1.5
"""Standard deviation of a landmark in a picture of 512 pixels."""
HUBER = 2.0
"""Standard deviations from which an error counts linearly."""
LEAST_INFORMATION = 1e3
"""Metres⁻² in every direction, below which a landmark's place is not known."""
OUTLINE_NOISE = 4.0
"""How much less the outline of the face is trusted: a detector puts it where the cheek ends in the picture, a model on
one place of the skin."""
OUTLINE = frozenset(
    [f"ibug_{index}" for index in range(17) if index != 8]
    + [
        f"mediapipe_{index}"
        for index in (
            10, 21, 54, 58, 67, 93, 103, 109, 127, 132, 136, 148, 149, 150, 162, 172, 176, 234, 251, 284, 288, 297,
            323, 332, 338, 356, 361, 365, 377, 378, 379, 389, 397, 400, 454,
        )
    ]
)  # fmt: skip
"""Landmarks on the outline of the face; the tip of the chin stays where it is."""


@dataclass(frozen=True)
class LandmarkTerm:
    """Observed landmarks that the model has, too."""

    corners: Ids
    """(L, 3) vertices of the model."""
    shares: Array
    """(L, 3) their weights."""
    matrices: Array
    """(C, 3, 4) projections."""
    pixels: Array
    """(C, L, 2)"""
    weights: Array
    """(C, L) inverse variances, pixels⁻²; 0 where a landmark is not seen."""
    looseness: Array
    """(L,) factor on the noise and the bias of each: `OUTLINE_NOISE` on the outline, else 1."""
    share: Array
    """(L,) how much of that information counts: a detector is off in all views alike, which no view averages out."""

    @property
    def seen(self) -> int:
        """How many landmarks at least one view shows."""
        return int((self.weights > 0).any(0).sum())

    def errors(self, points: Array) -> Array:
        """(C, L) pixels between the projected points (L, 3) and the observed ones."""
        return np.linalg.norm(self._residuals(points)[0], axis=-1)

    def bias(self, points: Array) -> float:
        """Metres per axis by which landmarks are off the points (L, 3) in all views alike, beyond what noise explains.

        The median over the landmarks, so that some which a person's hair or glasses hide do not decide.
        """
        information, pull, _ = replace(self, share=np.ones_like(self.share)).pull(points)
        known = np.linalg.eigvalsh(information)[:, 0] > LEAST_INFORMATION
        spread = np.linalg.inv(information[known])
        off = (spread @ pull[known][..., None])[..., 0]
        beyond = (off**2).sum(1) - np.trace(spread, axis1=1, axis2=2)
        return float(np.sqrt(max(0.0, float(np.median(beyond))) / 3)) if known.any() else 0.0

    def biased(self, points: Array, bias: float) -> LandmarkTerm:
        """The same landmarks, each off by some ``bias`` metres per axis in all views alike."""
        information, _, _ = replace(self, share=np.ones_like(self.share)).pull(points)
        return replace(self, share=1 / (1 + (bias * self.looseness) ** 2 * np.trace(information, axis1=1, axis2=2) / 3))

    def pull(self, points: Array) -> tuple[Array, Array, float]:
        """Points (L, 3) → information (L, 3, 3), pull (L, 3) and the Huber cost: Gauss-Newton's normal equations.

        A step d of a point costs dᵀ·information·d / 2 − pull·d more than none.
        """
        residuals, camera_points = self._residuals(points)
        depth = camera_points[..., 2]
        turned = self.matrices[:, None, :, :3]
        pixel = camera_points[..., :2] / depth[..., None]
        by_point = (turned[..., :2, :] - pixel[..., None] * turned[..., 2:, :]) / depth[..., None, None]
        size = np.linalg.norm(residuals, axis=-1) * np.sqrt(self.weights)
        robust = self.share * self.weights * np.minimum(1.0, HUBER / np.maximum(size, 1e-12))
        information = np.einsum("cl,clip,cliq->lpq", robust, by_point, by_point)
        towards = -np.einsum("cl,clip,cli->lp", robust, by_point, residuals)
        cost = (self.share * np.where(size < HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER))).sum()
        return information, towards, float(cost)

    def _residuals(self, points: Array) -> tuple[Array, Array]:
        """(C, L, 2) pixels, and the points as the cameras see them (C, L, 3)."""
        seen = points @ self.matrices[:, :, :3].transpose(0, 2, 1) + self.matrices[:, None, :, 3]
        return seen[..., :2] / seen[..., 2:] - self.pixels, seen


def landmark_term(model: HeadModel, observed: Observed, cameras: Sequence[Camera]) -> LandmarkTerm:
    """The landmarks that both have, by name."""
    names = [name for name in observed.names if name in model.landmarks.names]
    theirs = [observed.names.index(name) for name in names]
    ours = [model.landmarks.names.index(name) for name in names]
    looseness = np.where([name in OUTLINE for name in names], OUTLINE_NOISE, 1.0)
    noise = looseness * PIXEL_NOISE * cameras[0].height / 512
    pixels = observed.points[:, theirs].double().numpy()
    confidence = observed.confidence[:, theirs].double().numpy().clip(0, 1)
    confidence = np.where(np.isfinite(pixels).all(-1), confidence, 0.0)
    return LandmarkTerm(
        corners=model.faces[model.landmarks.faces[ours].numpy()],
        shares=model.landmarks.barycentrics[ours].double().numpy(),
        matrices=projections(cameras).numpy(),
        pixels=np.nan_to_num(pixels),
        weights=confidence / noise**2,
        looseness=looseness,
        share=np.ones(len(names)),
    )
