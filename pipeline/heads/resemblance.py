"""Shape coefficients with which a licensed model looks like a person of the free head: so a prompt shapes it too."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.heads.correspondence import Correspondence
from pipeline.heads.rig import Rig

Array = NDArray[np.float64]

NOISE = 0.0015
"""Metres that the model may miss the person by at every vertex, against one standard deviation of a coefficient."""
LARGEST = 3.0
"""Standard deviations: no coefficient goes further."""
ROUNDS = 4
TRIALS = 1500
"""So many vertices tell as much about a face as all do."""
NECK_SHARE = 0.2
"""Weight of neck and torso, which clothes hide, against the face."""


def resemble(template: ArrayLike, shapes: ArrayLike, correspondence: Correspondence, person: Rig) -> Array:
    """(S,) coefficients of a model whose vertices are ``template`` (V, 3) + coefficients · ``shapes`` (S, V, 3).

    ``person``: a rig of the free head. Ridge regression over the trusted vertices, every coefficient of unit variance;
    place and turn of the head are free, its size is not, or a child would get an adult's face.
    """
    rows = correspondence.vertices.numpy()
    stride = max(1, len(rows) // TRIALS)
    some = np.arange(0, len(rows), stride)
    rows = rows[some]
    base = np.asarray(template, np.float64)[rows]
    basis = np.asarray(shapes)[:, rows].astype(np.float64)
    corners = person.faces[correspondence.faces[some]]
    goal = (person.vertices[corners] * correspondence.barycentrics[some][..., None]).sum(1).numpy().astype(np.float64)
    weights = _weights(person, correspondence.faces[some].numpy())
    coefficients = np.zeros(len(basis))
    for _ in range(ROUNDS):
        shaped = base + np.tensordot(coefficients, basis, 1)
        rotation, shift = _rigid(goal, shaped, weights)
        coefficients = _ridge(basis, goal @ rotation.T + shift - base, weights)
    return coefficients


def _weights(person: Rig, faces: NDArray[np.int64]) -> Array:
    low = (person.regions["neck"] | person.regions["torso"]).numpy()[faces]
    return np.where(low, NECK_SHARE, 1.0)


def _ridge(basis: Array, offsets: Array, weights: Array) -> Array:
    """Bounded by giving up what would go past the bound: (S,)."""
    flat = (basis * np.sqrt(weights)[:, None]).reshape(len(basis), -1)
    wanted = (offsets * np.sqrt(weights)[:, None]).ravel()
    gram, towards = flat @ flat.T, flat @ wanted
    prior = NOISE**2 * np.eye(len(basis))
    free = np.ones(len(basis), bool)
    coefficients = np.zeros(len(basis))
    for _ in range(len(basis)):
        rest = towards[free] - gram[np.ix_(free, ~free)] @ coefficients[~free]
        coefficients[free] = np.linalg.solve((gram + prior)[np.ix_(free, free)], rest)
        past = np.abs(coefficients) > LARGEST
        if not (past & free).any():
            return coefficients
        coefficients[past] = np.sign(coefficients[past]) * LARGEST
        free &= ~past
    return coefficients


def _rigid(points: Array, goal: Array, weights: Array) -> tuple[Array, Array]:
    """Rotation (3, 3) and shift (3,) that lay ``points`` on ``goal`` (Kabsch, Acta Cryst. A32, 1976)."""
    share = (weights / weights.sum())[:, None]
    middle, goal_middle = (points * share).sum(0), (goal * share).sum(0)
    left, _, right = np.linalg.svd(((goal - goal_middle) * share).T @ (points - middle))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left * sign @ right
    return rotation, goal_middle - rotation @ middle
