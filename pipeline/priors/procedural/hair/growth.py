"""Growing strands over the skull and down the shoulders, and gathering them into locks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.priors.procedural.hair.field import BodyField
from pipeline.priors.procedural.hair.scalp import Roots
from pipeline.priors.procedural.splats import Floats, Ints, unit

Flow = Callable[[float, Floats, Floats], Floats]
"""(share of the length grown, points (N, 3), directions (N, 3)) → wanted directions (N, 3), any length."""
LETTING_GO = 0.025
"""Metres from its lock at which a strand leaves it."""


@dataclass(frozen=True)
class Habit:
    """How the strands of one layer grow."""

    length: Floats
    """(N,) metres."""
    clearance: Floats
    """(N,) metres that a strand keeps above the skin once it has left its root."""
    segments: int
    stiffness: float = 0.7
    """0 turns at once to where the flow points, towards 1 it turns slowly."""
    hug: float = 0.0
    """How strongly a strand above its clearance is drawn back to it."""
    hug_above: float = -np.inf
    """Height in the world, metres, below which nothing is drawn back to the skin."""
    closing: float = 0.0
    """By how much a strand is closer to the skin at its tip, as a share of its clearance."""
    rise: float = 0.6
    """Slope at which a strand rises from its root to its clearance."""
    growing_steps: float = 1.0
    """Length of the last segment over the first: above 1 spends detail on the skull and less on what hangs."""


def grow(roots: Roots, start: Floats, flow: Flow, habit: Habit, body: BodyField) -> Floats:
    """Strands (N, segments + 1, 3) that leave their roots along ``start`` (N, 3) and follow ``flow`` round the body."""
    weights = np.geomspace(1, habit.growing_steps, habit.segments).astype(np.float32)
    weights /= weights.sum()
    points = [roots.position]
    direction = unit(start)
    grown = 0.0
    for weight in weights:
        step = (habit.length * weight)[:, None]
        wanted = unit(flow(grown, points[-1], direction))
        direction = unit(direction * habit.stiffness + wanted * (1 - habit.stiffness))
        ahead = points[-1] + direction * step
        grown += float(weight)
        # close to the root a hair is still rising to its clearance
        settled = habit.clearance * np.float32(1 - habit.closing * grown)
        clearance = np.minimum(settled, 0.001 + grown * habit.length * habit.rise)
        distance, out = body.distance(ahead)
        lift = clearance - distance
        lift = np.maximum(lift, 0) + habit.hug * (ahead[:, 1] > habit.hug_above) * np.minimum(lift, 0)
        ahead = ahead + out * lift[:, None]
        direction = unit(ahead - points[-1])
        points.append(points[-1] + direction * step)
    return np.stack(points, axis=1)


def locks(features: Floats, count: int, rng: np.random.Generator) -> Ints:
    """For N strands with features (N, D): the strand (N,) that leads each one's lock, the nearest of ``count``."""
    leaders = rng.choice(len(features), min(count, len(features)), replace=False)
    nearest: Ints = leaders[cKDTree(features[leaders]).query(features)[1]]
    return nearest


def gather(points: Floats, leader: Ints, strength: float) -> Floats:
    """Strands (N, K, 3) drawn towards their lock's leader, by nothing at the root and ``strength`` at the tip.

    A strand that fell elsewhere, as on the other side of a shoulder, is let go.
    """
    along = np.linspace(0, 1, points.shape[1], dtype=np.float32)[None, :, None]
    away = points[leader] - points
    apart = np.linalg.norm(away, axis=-1, keepdims=True).max(1, keepdims=True)
    return points + away * along * np.float32(strength) / (1 + (apart / np.float32(LETTING_GO)) ** 4)


def arc_length(points: Floats) -> Floats:
    """(N, K) metres from the root."""
    steps = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    return np.concatenate([np.zeros_like(steps[:, :1]), np.cumsum(steps, axis=1)], axis=1).astype(np.float32)


def cut(points: Floats, inside: Floats) -> Floats:
    """Strands (N, K, 3) cut where ``inside`` (N, K) first falls below zero, with as many points as before."""
    count = points.shape[1]
    rows = np.arange(len(points))
    outside = inside < 0
    outside[:, 0] = False
    end = np.where(outside.any(1), outside.argmax(1), count - 1)
    before, after = inside[rows, end - 1], inside[rows, end]
    crossing = np.where(after < 0, before / np.maximum(before - after, 1e-9), 1)
    last = (end - 1 + np.clip(crossing, 0, 1)).astype(np.float32)
    at = np.linspace(0, 1, count, dtype=np.float32)[None] * last[:, None]
    low = np.minimum(at.astype(np.int64), count - 2)
    start = points[rows[:, None], low]
    return start + (points[rows[:, None], low + 1] - start) * (at - low)[..., None]
