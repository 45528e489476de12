"""Levenberg's and Marquardt's descent on landmarks, partners on a surface and a model's prior together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.reconstruction.head_models import HeadModel
from pipeline.reconstruction.landmark_term import LandmarkTerm
from pipeline.reconstruction.posed_head import Parameters, derivatives, in_world, own_vertices, prior, stepped
from pipeline.reconstruction.surface_term import Partners

Array = NDArray[np.float64]

FIRST_DAMPING = 1e-3
LARGEST_DAMPING = 1e6
ENOUGH = 1e-5
"""Share of the cost that a step must save for the descent to go on."""


@dataclass(frozen=True)
class Problem:
    """What a head is fitted to."""

    model: HeadModel
    landmarks: LandmarkTerm | None = None
    partners: Partners | None = None

    def cost(self, now: Parameters) -> float:
        """Half the sum of squares in standard deviations, Huber's for landmarks."""
        precision, values = prior(self.model, now)
        total = 0.5 * float((precision * values**2).sum())
        if self.landmarks is not None:
            marks = self.landmarks
            corners = in_world(now, own_vertices(self.model, now, marks.corners.ravel()))
            total += marks.pull(_mixed(corners, marks))[2]
        if self.partners is not None:
            total += self.partners.pull(in_world(now, own_vertices(self.model, now, self.partners.vertices)))[2]
        return total

    def normal_equations(self, now: Parameters, middle: Array) -> tuple[Array, Array]:
        """(P, P) and (P,) of a Gauss-Newton step about ``now``."""
        precision, values = prior(self.model, now)
        matrix, wanted = np.diag(precision), -precision * values
        if self.landmarks is not None:
            marks = self.landmarks
            corners, columns = derivatives(self.model, now, marks.corners.ravel(), middle)
            directions = (columns.reshape(-1, 3, *columns.shape[1:]) * marks.shares[..., None, None]).sum(1)
            information, pull, _ = marks.pull(_mixed(corners, marks))
            matrix, wanted = matrix + _gram(directions, information), wanted + _towards(directions, pull)
        if self.partners is not None:
            points, directions = derivatives(self.model, now, self.partners.vertices, middle)
            along = np.einsum("nc,ncp->np", self.partners.match.normals, directions)
            weights = self.partners.weights
            missing = ((self.partners.match.points - points) * self.partners.match.normals).sum(1)
            matrix = matrix + (along * weights[:, None]).T @ along
            wanted = wanted + along.T @ (weights * missing)
        return matrix, wanted


def descend(problem: Problem, now: Parameters, steps: int) -> Parameters:
    """At most ``steps`` accepted steps; the cost never rises (Marquardt, SIAM J. Appl. Math. 11, 1963)."""
    damping, cost = FIRST_DAMPING, problem.cost(now)
    for _ in range(steps):
        middle = in_world(now, problem.model.mean.mean(0)[None])[0]
        matrix, wanted = problem.normal_equations(now, middle)
        before = cost
        while damping < LARGEST_DAMPING:
            damped = matrix + damping * np.diag(np.diag(matrix) + 1e-9)
            there = stepped(problem.model, now, np.linalg.solve(damped, wanted), middle)
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


def _mixed(corners: Array, marks: LandmarkTerm) -> Array:
    return (corners.reshape(-1, 3, 3) * marks.shares[..., None]).sum(1)


def _gram(directions: Array, information: Array) -> Array:
    """Σ Jᵀ H J of (N, 3, P) and (N, 3, 3)."""
    flat = (information @ directions).reshape(-1, directions.shape[2])
    return directions.reshape(-1, directions.shape[2]).T @ flat


def _towards(directions: Array, pull: Array) -> Array:
    return np.einsum("ncp,nc->p", directions, pull)
