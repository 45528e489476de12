"""A head model at one set of parameters: where its vertices are, and how they move with every parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.geometry import axis_angle_to_matrix
from pipeline.reconstruction.head_models import JAW_DEVIATION, HeadModel, Jaw, Span

Array = NDArray[np.float64]

PLACE = 7
"""Parameters of the place: turn (3) about the middle of the head, shift (3), growth."""
SCALE_DEVIATION = 0.02
"""Of the natural logarithm of the scale about 1: sizes beyond what the model says of people hardly occur."""
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


def at_rest(span: Span, scale: float, rotation: Array, translation: Array) -> Parameters:
    """The mean person, neutral, at a place."""
    jaw = np.zeros(0 if span.jaw is None else 3)
    return Parameters(scale, rotation, translation, np.zeros(len(span.modes)), np.zeros(len(span.moves)), jaw)


def own_vertices(span: Span, now: Parameters) -> Array:
    """(N, 3) vertices in the model's metres, expression and jaw included."""
    points = _shaped(span, now)
    return points if span.jaw is None else _turned(span.jaw, now, points)


def world_vertices(span: Span, now: Parameters) -> Array:
    """(N, 3) vertices in the world."""
    return in_world(now, own_vertices(span, now))


def in_world(now: Parameters, points: Array) -> Array:
    """(N, 3) of the model's metres → (N, 3)."""
    return now.scale * points @ now.rotation.T + now.translation


def derivatives(span: Span, now: Parameters, middle: Array) -> tuple[Array, Array]:
    """Vertices (N, 3) in the world, and (N, 3, P) by turn, shift, growth, coefficients, moves and jaw.

    ``middle`` (3,) of the world is what the head turns about and grows from.
    """
    shaped = _shaped(span, now)
    own = [span.modes, span.moves]
    if span.jaw is not None:
        own = [*_turned_directions(span.jaw, now, span), _by_jaw(span.jaw, now, shaped)]
        shaped = _turned(span.jaw, now, shaped)
    points = in_world(now, shaped)
    arm = points - middle
    columns = np.empty((len(points), 3, PLACE + sum(map(len, own))))
    columns[..., :3] = np.stack([np.cross(axis, arm) for axis in np.eye(3)], axis=-1)
    columns[..., 3:6] = np.eye(3)
    columns[..., 6] = arm
    linear = now.scale * np.concatenate(own) @ now.rotation.T
    columns[..., PLACE:] = linear.transpose(1, 2, 0)
    return points, columns


def stepped(model: HeadModel, now: Parameters, step: Array, middle: Array) -> Parameters:
    """The parameters after a step (P,), values kept within their limits."""
    turn = _rotation(step[:3])
    growth = float(np.exp(step[6]))
    people = PLACE + len(now.coefficients)
    moves = np.clip(now.moves + step[people : people + len(now.moves)], *model.move_limits)
    return replace(
        now,
        scale=now.scale * growth,
        rotation=turn @ now.rotation,
        translation=growth * turn @ (now.translation - middle) + middle + step[3:6],
        coefficients=now.coefficients + step[PLACE:people],
        moves=moves,
        jaw=now.jaw + step[people + len(now.moves) :],
    )


def prior(model: HeadModel, now: Parameters) -> tuple[Array, Array]:
    """(P,) precision and (P,) value of every parameter.

    Of the place only the size is known beforehand: nothing else tells a small head from a large one further away in a
    larger world.
    """
    jaw = np.array(JAW_DEVIATION[: len(now.jaw)])
    deviations = np.concatenate([np.ones(len(now.coefficients)), model.move_deviations, jaw])
    values = np.concatenate([np.zeros(PLACE - 1), [np.log(now.scale)], now.coefficients, now.moves, now.jaw])
    return np.concatenate([np.zeros(PLACE - 1), [SCALE_DEVIATION**-2], deviations**-2.0]), values


def free(model: HeadModel, now: Parameters, pull: Array) -> NDArray[np.bool_]:
    """(P,) which parameters a step may change: none that is at a limit and would be pulled (P,) beyond it."""
    first = PLACE + len(now.coefficients)
    towards = pull[first : first + len(now.moves)]
    least, greatest = model.move_limits
    stuck = ((now.moves <= least) & (towards < 0)) | ((now.moves >= greatest) & (towards > 0))
    allowed = np.ones(len(pull), bool)
    allowed[first : first + len(now.moves)] = ~stuck
    return allowed


def _shaped(span: Span, now: Parameters) -> Array:
    """(N, 3) before the jaw turns."""
    values, directions = [now.coefficients, now.moves], [span.modes, span.moves]
    return span.mean + sum(np.tensordot(value, each, 1) for value, each in zip(values, directions, strict=True))


def _turned(jaw: Jaw, now: Parameters, points: Array) -> Array:
    excess = _rotation(now.jaw) - np.eye(3)
    joint = jaw.joint + now.coefficients @ jaw.joint_modes + now.moves @ jaw.joint_moves
    points = points + np.tensordot(excess.ravel(), jaw.correctives, 1)
    return points + jaw.weights[:, None] * ((points - joint) @ excess.T)


def _turned_directions(jaw: Jaw, now: Parameters, span: Span) -> list[Array]:
    """Modes and moves of the resting head → of the turned one; the joint moves along."""
    excess = _rotation(now.jaw) - np.eye(3)
    both = ((span.modes, jaw.joint_modes), (span.moves, jaw.joint_moves))
    return [each + jaw.weights[:, None] * ((each - joint[:, None]) @ excess.T) for each, joint in both]


def _by_jaw(jaw: Jaw, now: Parameters, shaped: Array) -> Array:
    """(3, N, 3) by each component of the jaw's axis-angle."""
    here = _turned(jaw, now, shaped)
    return np.stack(
        [(_turned(jaw, replace(now, jaw=now.jaw + STEP * axis), shaped) - here) / STEP for axis in np.eye(3)]
    )


def _rotation(turn: Array) -> Array:
    """Axis-angle (3,) → (3, 3)."""
    return axis_angle_to_matrix(torch.from_numpy(turn)).numpy()
