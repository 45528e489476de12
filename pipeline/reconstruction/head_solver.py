"""Levenberg's and Marquardt's descent on landmarks, partners on a surface and a model's prior together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.reconstruction.head_models import HeadModel
from pipeline.reconstruction.landmark_term import LandmarkTerm
from pipeline.reconstruction.posed_head import Parameters, derivatives, free, in_world, prior, stepped, world_vertices
from pipeline.reconstruction.surface_term import Partners

Array = NDArray[np.float64]

FIRST_DAMPING = 1e-3
LARGEST_DAMPING = 1e6
ENOUGH = 1e-5
"""Share of the cost that a step must save for the descent to go on."""


class Problem:
    """What a head is fitted to: landmarks, partners on a surface, or both; and the model's prior."""

    def __init__(self, model: HeadModel, landmarks: LandmarkTerm | None, partners: Partners | None = None) -> None:
        self.model, self.landmarks, self.partners = model, landmarks, partners
        if landmarks is not None:
            self._corners = model.span.only(landmarks.corners.ravel())
        if partners is not None:
            self._skin = model.span.only(partners.vertices)

    def cost(self, now: Parameters) -> float:
        """Half the sum of squares in standard deviations, Huber's for landmarks."""
        precision, values = prior(self.model, now)
        total = 0.5 * float((precision * values**2).sum())
        if self.landmarks is not None:
            points = _mixed(world_vertices(self._corners, now), self.landmarks.shares)
            total += self.landmarks.pull(points)[2]
        if self.partners is not None:
            missing = _missing(world_vertices(self._skin, now), self.partners)
            total += 0.5 * float((self.partners.weights * missing**2).sum())
        return total

    def normal_equations(self, now: Parameters, middle: Array) -> tuple[Array, Array]:
        """(P, P) and (P,) of a Gauss-Newton step about ``now``."""
        precision, values = prior(self.model, now)
        matrix, wanted = np.diag(precision), -precision * values
        if self.landmarks is not None:
            corners, columns = derivatives(self._corners, now, middle)
            directions = _mixed(columns, self.landmarks.shares)
            information, pull, _ = self.landmarks.pull(_mixed(corners, self.landmarks.shares))
            matrix += np.einsum("ncp,ncq->pq", directions, information @ directions, optimize=True)
            wanted += np.einsum("ncp,nc->p", directions, pull, optimize=True)
        if self.partners is not None:
            points, columns = derivatives(self._skin, now, middle)
            along = np.einsum("nc,ncp->np", self.partners.match.normals, columns, optimize=True)
            weighted = along * self.partners.weights[:, None]
            matrix += weighted.T @ along
            wanted += weighted.T @ _missing(points, self.partners)
        return matrix, wanted


def descend(problem: Problem, now: Parameters, steps: int) -> Parameters:
    """At most ``steps`` accepted steps; the cost never rises (Marquardt, SIAM J. Appl. Math. 11, 1963)."""
    damping, cost = FIRST_DAMPING, problem.cost(now)
    for _ in range(steps):
        middle = in_world(now, problem.model.span.mean.mean(0))
        matrix, wanted = problem.normal_equations(now, middle)
        rows = np.flatnonzero(free(problem.model, now, wanted))
        inner, before = matrix[np.ix_(rows, rows)], cost
        while damping < LARGEST_DAMPING:
            step = np.zeros(len(wanted))
            step[rows] = np.linalg.solve(inner + damping * np.diag(np.diag(inner) + 1e-9), wanted[rows])
            there = stepped(problem.model, now, step, middle)
            cost = problem.cost(there)
            if cost <= before:
                now, damping = there, damping / 10
                break
            damping *= 10
        else:
            return now
        if before - cost < ENOUGH * before:
            return now
    return now


def _mixed(corners: Array, shares: Array) -> Array:
    """(3·L, 3, …) of corners → (L, 3, …) of the points between them."""
    at = corners.reshape(-1, 3, *corners.shape[1:])
    return (at * shares.reshape(*shares.shape, *[1] * (at.ndim - 2))).sum(1)


def _missing(points: Array, partners: Partners) -> Array:
    """(N,) metres along the normals that points (N, 3) lack."""
    return ((partners.match.points - points) * partners.match.normals).sum(1)
