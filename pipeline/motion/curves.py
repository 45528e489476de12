"""Curves that a living face moves along: minimum-jerk strokes, blinks, glances, breathing and sway. All in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

BLINK_CLOSE, BLINK_SHUT, BLINK_OPEN = 0.09, 0.03, 0.17
"""A spontaneous blink closes about twice as fast as it opens (VanderWerf et al., J. Neurophysiol. 2003)."""
BREATHS_PER_SECOND = 0.25


def minimum_jerk(share: Curve) -> Curve:
    """10s³ − 15s⁴ + 6s⁵ of a share clipped to 0..1: how people move from rest to rest (Flash and Hogan, 1985)."""
    s = np.clip(share, 0.0, 1.0)
    return s * s * s * (10 + s * (6 * s - 15))


def through(times: Curve, keys: Sequence[tuple[float, float]]) -> Curve:
    """Through (time, value) keys, at rest in each; constant before the first and after the last."""
    curve = np.full(len(times), keys[0][1])
    for (start, before), (stop, after) in pairwise(keys):
        later = times >= start
        curve[later] = before + (after - before) * minimum_jerk((times[later] - start) / max(stop - start, 1e-9))
    return curve


def stroke(times: Curve, start: float, rise: float, hold: float, fall: float, height: float = 1.0) -> Curve:
    """From 0 to ``height``, held, and back to 0."""
    top, leave = start + rise, start + rise + hold
    return through(times, [(start, 0.0), (top, height), (leave, height), (leave + fall, 0.0)])


def blink(times: Curve, start: float, depth: float = 1.0) -> Curve:
    """One lid's blink."""
    return stroke(times, start, BLINK_CLOSE, BLINK_SHUT, BLINK_OPEN, depth)


def blink_starts(generator: np.random.Generator, seconds: float, first: float, mean_gap: float) -> list[float]:
    """Blink times of someone at ease: gaps from a third to twice the mean, none too near the end."""
    starts, at = [], first
    while at < seconds - 0.5:
        starts.append(at)
        at += mean_gap * float(generator.uniform(0.4, 1.6))
    return starts


def sway(times: Curve, generator: np.random.Generator, slowest: float, fastest: float, parts: int = 5) -> Curve:
    """Smooth noise of about ±1: sines of random phase whose strength falls with frequency (hertz)."""
    frequencies = np.geomspace(slowest, fastest, parts) * generator.uniform(0.85, 1.15, parts)
    strengths = 1 / np.sqrt(np.arange(1, parts + 1))
    phases = generator.uniform(0, 2 * np.pi, parts)
    waves = np.sin(2 * np.pi * frequencies * times[:, None] + phases)
    return waves @ strengths / strengths.sum() * 1.6


def breathing(times: Curve) -> Curve:
    """0 at the start, 1 with full lungs; breathing in is quicker than out."""
    share = (times * BREATHS_PER_SECOND) % 1.0
    return np.where(share < 0.4, minimum_jerk(share / 0.4), 1 - minimum_jerk((share - 0.4) / 0.6))


def glances(times: Curve, targets: Iterable[tuple[float, float]]) -> Curve:
    """Gaze that jumps to each (time, degrees) target; a saccade lasts 21 ms plus 2.2 ms a degree (Carpenter, 1988)."""
    keys, now = [(0.0, 0.0)], 0.0
    for at, value in targets:
        keys += [(at, now), (at + 0.021 + 0.0022 * abs(value - now), value)]
        now = value
    return through(times, keys)


def fixations(
    generator: np.random.Generator, seconds: float, shortest: float, longest: float, reach: float
) -> list[tuple[float, float]]:
    """Random small glances (time, degrees) around the partner's face, back at 0 before the end."""
    targets, at = [], float(generator.uniform(shortest, longest))
    while at < seconds - 0.6:
        targets.append((at, float(np.clip(generator.normal(0, reach / 2), -reach, reach))))
        at += float(generator.uniform(shortest, longest))
    return [*targets, (seconds - 0.4, 0.0)]


def at_rest_at_the_ends(times: Curve, seconds: float, fade: float) -> Curve:
    """1 in the middle, 0 at both ends: a clip that starts and stops at rest can follow any other."""
    return minimum_jerk(times / fade) * minimum_jerk((seconds - times) / fade)
