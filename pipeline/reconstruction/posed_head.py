"""A head model at one set of parameters: where its vertices are in the world, and how they move with every parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.geometry import axis_angle_to_matrix
from pipeline.reconstruction.head_models import JAW_DEVIATION, HeadModel, Jaw

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

PLACE = 7
"""Parameters of the place: turn (3) about the middle of the head, shift (3), growth."""
STEP = 1e-5
"""Radians, for the derivative of a rotation."""


@dataclass(frozen=True)
class Parameters:
    """Everything that is fitted."""

    scale: float
    rotation: Array
    """(3, 3)"""
    translation: Array
    """(3,)"""
    coefficients: Array
    """(K,)"""
    moves: Array
    """(M,) values of the model's moves."""
    jaw: Array
    """(3,) axis-angle, or (0,) without such a joint."""


def at_rest(model: HeadModel, scale: float, rotation: Array, translation: Array) -> Parameters:
    """The mean person of a model, neutral, at a place."""
    jaw = np.zeros(0 if model.jaw is None else 3)
    return Parameters(scale, rotation, translation, np.zeros(len(model.modes)), np.zeros(len(model.moves)), jaw)


def own_vertices(model: HeadModel, now: Parameters, rows: Ids | slice = slice(None)) -> Array:
    """(N, 3) vertices in the model's metres, expression and jaw included."""
    points = model.mean[rows] + np.tensordot(now.coefficients, model.modes[:, rows], 1)
    points = points + np.tensordot(now.moves, model.moves[:, rows], 1)
    return points if model.jaw is None else _turned(model.jaw, now, points, rows)


def in_world(now: Parameters, points: Array) -> Array:
    """(N, 3) metres → (N, 3)."""
    return now.scale * points @ now.rotation.T + now.translation


def derivatives(model: HeadModel, now: Parameters, rows: Ids, middle: Array) -> tuple[Array, Array]:
    """Points (N, 3) of vertices in the world, and (N, 3, P) by turn, shift, growth, coefficients, moves and jaw.

    ``middle`` (3,) of the world is what the head turns about and grows from.
    """
    points = in_world(now, own_vertices(model, now, rows))
    arm = points - middle
    turn = np.stack([np.cross(axis, arm) for axis in np.eye(3)], axis=-1)
    shift = np.broadcast_to(np.eye(3), (len(points), 3, 3))
    own = np.concatenate([model.modes[:, rows], model.moves[:, rows]])
    if model.jaw is not None:
        own = _turned_directions(model.jaw, now, own, rows)
    inner = [own]
    if model.jaw is not None:
        inner.append(_by_jaw(model, model.jaw, now, rows))
    linear = now.scale * np.concatenate(inner) @ now.rotation.T
    return points, np.concatenate([turn, shift, arm[..., None], linear.transpose(1, 2, 0)], axis=2)


def stepped(model: HeadModel, now: Parameters, step: Array, middle: Array) -> Parameters:
    """The parameters after a step (P,), values kept within their limits."""
    turn = _rotation(step[:3])
    growth = float(np.exp(step[6]))
    people = PLACE + len(model.modes)
    moves = np.clip(now.moves + step[people : people + len(model.moves)], *model.move_limits)
    return replace(
        now,
        scale=now.scale * growth,
        rotation=turn @ now.rotation,
        translation=growth * turn @ (now.translation - middle) + middle + step[3:6],
        coefficients=now.coefficients + step[PLACE:people],
        moves=moves,
        jaw=now.jaw + step[people + len(model.moves) :],
    )


def prior(model: HeadModel, now: Parameters) -> tuple[Array, Array]:
    """(P,) precision and (P,) value of every parameter; the place is free."""
    jaw = np.array(JAW_DEVIATION[: len(now.jaw)])
    deviations = np.concatenate([np.ones(len(model.modes)), model.move_deviations, jaw])
    values = np.concatenate([np.zeros(PLACE), now.coefficients, now.moves, now.jaw])
    return np.concatenate([np.zeros(PLACE), deviations**-2.0]), values


def _joint(jaw: Jaw, now: Parameters) -> Array:
    return jaw.joint + now.coefficients @ jaw.joint_modes + now.moves @ jaw.joint_moves


def _turned(jaw: Jaw, now: Parameters, points: Array, rows: Ids | slice) -> Array:
    excess = _rotation(now.jaw) - np.eye(3)
    points = points + np.tensordot(excess.ravel(), jaw.correctives[:, rows], 1)
    return points + jaw.weights[rows, None] * ((points - _joint(jaw, now)) @ excess.T)


def _turned_directions(jaw: Jaw, now: Parameters, directions: Array, rows: Ids) -> Array:
    """(K + M, N, 3) of the resting head → of the turned one; the joint moves along."""
    excess = _rotation(now.jaw) - np.eye(3)
    joints = np.concatenate([jaw.joint_modes, jaw.joint_moves])
    return directions + jaw.weights[rows, None] * ((directions - joints[:, None]) @ excess.T)


def _by_jaw(model: HeadModel, jaw: Jaw, now: Parameters, rows: Ids) -> Array:
    """(3, N, 3) by each component of the jaw's axis-angle."""
    here = own_vertices(model, now, rows)
    moved = [replace(now, jaw=now.jaw + STEP * axis) for axis in np.eye(3)]
    return np.stack([(own_vertices(model, there, rows) - here) / STEP for there in moved])


def _rotation(turn: Array) -> Array:
    """Axis-angle (3,) → (3, 3)."""
    return axis_angle_to_matrix(torch.from_numpy(turn)).numpy()
