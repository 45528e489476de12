"""Points in space from where several cameras see them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Observed

LEAST_VIEWS = 2
LEAST_ANGLE = 0.02
"""Sine of the angle between the two most different rays below which a point's depth is not known."""
ROUNDS = 4
"""Of re-weighting; the first is the plain linear solution."""
HUBER = 2.5
"""Pixels of a picture of 512: a view that misses by more than this counts less."""


def triangulate(observed: Observed, cameras: Sequence[Camera]) -> tuple[Tensor, Tensor]:
    """Points (L, 3) float64 in the cameras' world, and how far each is to be trusted, (L,) 0..1.

    Direct linear triangulation with one row per pixel coordinate (Hartley & Zisserman, Multiple View Geometry, 2004,
    §12.2), inhomogeneous, the rows divided by the depth of the round before, which turns the algebraic error into
    pixels, and weighted by confidence and by Huber's function of the error. A point that fewer than two views see, or
    that all see from one direction, has confidence 0 and lies at the origin; others the mean weight of their views.
    Raises `UserError` when there are not as many cameras as pictures.
    """
    _check(observed, cameras)
    matrices = projections(cameras)
    pixels, seen = observed.points.double(), observed.confidence.double().clamp(0, 1)
    seen = torch.where(pixels.isfinite().all(-1), seen, 0.0)
    pixels = pixels.nan_to_num(0.0, 0.0, 0.0)
    known = ((seen > 0).sum(0) >= LEAST_VIEWS) & _apart(matrices, pixels, seen)
    limit = HUBER / 512 * cameras[0].height
    weights, depth = seen, torch.ones_like(seen)
    points = pixels.new_zeros(seen.shape[1], 3)
    for _ in range(ROUNDS):
        points = _solve(matrices, pixels, weights / depth.square(), known)
        projected, depth = project(matrices, points)
        error = (projected - pixels).norm(dim=-1)
        weights = seen * (limit / error.clamp_min(limit))
        depth = depth.abs().clamp_min(1e-6)
    trust = weights.sum(0) / (seen > 0).sum(0).clamp_min(1)
    return points, torch.where(known, trust, 0.0)


def projections(cameras: Sequence[Camera]) -> Tensor:
    """(C, 3, 4) float64: world to homogeneous pixels."""
    return torch.stack([camera.K.double() @ camera.viewmat.double()[:3] for camera in cameras])


def project(matrices: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Projections (C, 3, 4) of points (L, 3): pixels (C, L, 2) and depths (C, L)."""
    homogeneous = points @ matrices[:, :, :3].transpose(1, 2) + matrices[:, None, :, 3]
    depth = homogeneous[..., 2]
    return homogeneous[..., :2] / depth[..., None], depth


def _solve(matrices: Tensor, pixels: Tensor, weights: Tensor, known: Tensor) -> Tensor:
    """Weighted least squares of (pixel · P₃ − P₁,₂) X = 0 by its normal equations: (L, 3)."""
    rows = pixels[..., None] * matrices[:, None, None, 2] - matrices[:, None, :2]  # (C, L, 2, 4)
    normal = torch.einsum("clkp,cl,clkq->lpq", rows, weights, rows)
    matrix, wanted = normal[:, :3, :3], -normal[:, :3, 3]
    matrix = torch.where(known[:, None, None], matrix, torch.eye(3, dtype=matrix.dtype))
    return torch.linalg.solve(matrix, torch.where(known[:, None], wanted, 0.0))


def _apart(matrices: Tensor, pixels: Tensor, seen: Tensor) -> Tensor:
    """(L,) whether the rays of the views that see a point differ in direction."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    rays = torch.linalg.solve(matrices[:, :, :3], homogeneous.transpose(1, 2)).transpose(1, 2)
    rays = torch.nn.functional.normalize(rays, dim=-1) * (seen > 0)[..., None]
    # The sum of squared sines between all pairs of rays: n² − ‖Σ r rᵀ‖², of which one pair may have all.
    scatter = torch.einsum("clp,clq->lpq", rays, rays)
    count = (seen > 0).sum(0)
    return count.square() - scatter.square().sum((1, 2)) > 2 * LEAST_ANGLE**2


def _check(observed: Observed, cameras: Sequence[Camera]) -> None:
    if len(cameras) != len(observed.points):
        raise UserError(f"there are landmarks of {len(observed.points)} pictures and {len(cameras)} cameras")
