"""The similarity that lays points on others."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Similarity

LEAST_POINTS = 4
HUBER = 0.004
"""Metres of the moved points from which a pair counts less."""
ROUNDS = 6


def fit_similarity(points: Tensor, goal: Tensor, weights: Tensor) -> Similarity:
    """``to_source(points)`` ≈ ``goal``: points (N, 3) metres, goal (N, 3) of any unit, weights (N,).

    Umeyama, Least-squares estimation of transformation parameters between two point patterns, IEEE TPAMI 13, 1991,
    re-weighted by Huber's function of what is left, so that a few wrong pairs do no harm.
    Raises `UserError` for fewer than four points with a weight, or points on one line.
    """
    points, goal, weights = points.double(), goal.double(), weights.double()
    if int((weights > 0).sum()) < LEAST_POINTS:
        raise UserError(
            f"{int((weights > 0).sum())} landmarks are seen from two sides; at least {LEAST_POINTS} must be"
        )
    found = _umeyama(points, goal, weights)
    for _ in range(ROUNDS):
        error = (found.to_source(points) - goal).norm(dim=1) / found.scale
        found = _umeyama(points, goal, weights * (HUBER / error.clamp_min(HUBER)))
    return found


def _umeyama(points: Tensor, goal: Tensor, weights: Tensor) -> Similarity:
    share = (weights / weights.sum())[:, None]
    middle, goal_middle = (share * points).sum(0), (share * goal).sum(0)
    own, wanted = points - middle, goal - goal_middle
    left, stretch, right = torch.linalg.svd((share * wanted).T @ own)
    if float(stretch[1]) < 1e-6 * float(stretch[0]):
        raise UserError("the landmarks that are seen lie on one line, so the head's place is not known")
    sign = torch.ones(3, dtype=torch.float64)
    sign[2] = torch.sign(torch.linalg.det(left @ right))
    rotation = left * sign @ right
    scale = (stretch * sign).sum() / (share * own.square()).sum()
    return Similarity(float(scale), rotation, goal_middle - scale * rotation @ middle)
