"""What a hairstyle is made of, and how its layers of strands are grown from that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.hair.growth import Flow, Habit, gather, grow, locks
from pipeline.priors.procedural.hair.scalp import BORDER, Roots, Scalp
from pipeline.priors.procedural.hair.strands import Strands
from pipeline.priors.procedural.splats import Floats, Ints, unit

DEEPEST = 0.004
"""Adult metres that a strand may run below the skin; deeper ones are left out."""
LONGEST_STEP = 0.045
"""Adult metres between two points of a strand; none grows so far in one step."""
STRAY_SEGMENTS, STRAY_RADIUS, STRAY_LENGTH = 4, 0.00018, (0.007, 0.018)
"""Of the stray hairs: splats each, standard deviation across and length in metres."""
FINEST = 0.55
"""Radius of the hairs at the border, relative to those inside."""


@dataclass(frozen=True)
class LayerPlan:
    """One layer of a style: a few wide dark strands close to the skin, or many thin ones over them."""

    strands: int
    segments: int
    radius: tuple[float, float]
    """Standard deviation across, metres, thinnest and thickest strand."""
    depth: tuple[float, float]
    """Lowest and highest strand, as shares of the style's thickness."""
    locks: int
    """How many locks the strands gather into."""
    gathering: float
    """0 none, 1 the tips of a lock meet."""
    shade: float = 1.0
    opacity: float = 0.92
    tip: float = 0.5
    """Radius at the tip, relative to the root."""
    border: tuple[float, float] = BORDER
    """See `Scalp.scatter`."""
    length: tuple[float, float] = (0.86, 1.05)
    """Shortest and longest strand, relative to the style's length."""
    wildness: float = 0.08
    """Standard deviation of each strand's own direction at the root."""


class Style(ABC):
    """A hairstyle: lengths and directions as functions of where a hair roots. See `Habit` for the figures."""

    plans: tuple[LayerPlan, ...]
    stiffness = 0.7
    hug = 0.0
    hug_above = -1.0
    """Adult metres over the middle of the skull."""
    closing = 0.0
    rise = 0.6
    growing_steps = 1.0
    strays = 140
    lock_wildness = 0.0
    """Standard deviation of each lock's own direction."""

    def __init__(self, scalp: Scalp) -> None:
        self.scalp = scalp

    @abstractmethod
    def length(self, roots: Roots) -> Floats:
        """(N,) adult metres."""

    @abstractmethod
    def thickness(self, roots: Roots) -> Floats:
        """(N,) adult metres that the topmost hair rooted there lies above the skin."""

    @abstractmethod
    def flow(self, roots: Roots) -> Flow:
        """Where hair rooted there wants to go."""

    def start(self, roots: Roots) -> Floats:
        """(N, 3) direction in which hair leaves the skin."""
        return unit(unit(self.flow(roots)(0.0, roots.position, roots.normal)) + 0.4 * roots.normal)

    def finish(self, points: Floats, roots: Roots, lock: Ints, rng: np.random.Generator) -> Floats:
        """Last changes to grown strands (N, K, 3): waves, a cut. By default none."""
        return points

    def grow(self, rng: np.random.Generator) -> list[Strands]:
        """All layers and the stray hairs."""
        return [*(self._layer(plan, rng) for plan in self.plans), self._strays(rng)]

    def _layer(self, plan: LayerPlan, rng: np.random.Generator) -> Strands:
        scalp = self.scalp
        size = np.float32(scalp.size)
        roots = scalp.scatter(plan.strands, rng, plan.border)
        count = len(roots)
        height = rng.uniform(*plan.depth, count).astype(np.float32)
        clearance = self.thickness(roots) * height * size
        lock = locks(np.c_[roots.position, clearance], plan.locks, rng)
        of_lock = np.clip(rng.standard_normal((count, 3)), -1.5, 1.5)[lock].astype(np.float32) * self.lock_wildness
        length = self.length(roots) * rng.uniform(*plan.length, count).astype(np.float32) * size
        habit = Habit(
            length=length, clearance=clearance, segments=plan.segments, stiffness=self.stiffness, hug=self.hug,
            hug_above=float(scalp.centre[1]) + self.hug_above * scalp.size, closing=self.closing, rise=self.rise,
            growing_steps=self.growing_steps,
        )  # fmt: skip
        flow = self.flow(roots)
        start = self.start(roots) + plan.wildness * rng.standard_normal((count, 3)).astype(np.float32)

        def wild(grown: float, points: Floats, direction: Floats) -> Floats:
            return unit(flow(grown, points, direction)) + of_lock * (0.4 + grown)

        points = grow(roots, start, wild, habit, scalp.field)
        points = self.finish(gather(points, lock, plan.gathering), roots, lock, rng)
        # the first hairs of the border are fine
        fine = FINEST + (1 - FINEST) * smoothstep(0.0, 0.010, roots.edge)
        radius = rng.uniform(*plan.radius, count).astype(np.float32) * size * fine
        taper = np.linspace(1.1, plan.tip, plan.segments, dtype=np.float32)
        # without what was drawn through a shoulder
        depth = scalp.field.distance(points.reshape(-1, 3))[0].reshape(count, -1)
        steps = np.linalg.norm(np.diff(points, axis=1), axis=-1)
        sound = np.flatnonzero((depth.min(1) > -DEEPEST * size) & (steps.max(1) < LONGEST_STEP * size))
        strands = Strands(points, roots.face, radius, lock, taper, plan.shade, plan.opacity)
        return strands.select(sound)

    def _strays(self, rng: np.random.Generator) -> Strands:
        """Short fine hairs along the border, which soften the hairline."""
        size = np.float32(self.scalp.size)
        # the border is about a twelfth of the scalp
        roots = self.scalp.scatter(12 * self.strays, rng, (-0.003, 0.0))
        roots = roots.select(np.flatnonzero(roots.edge < 0.005)[: self.strays])
        count = len(roots)
        away = unit(self.flow(roots)(0.0, roots.position, roots.normal))
        away = unit(away + 0.2 * roots.normal + 0.32 * rng.standard_normal((count, 3)).astype(np.float32))
        along = np.linspace(0, 1, STRAY_SEGMENTS + 1, dtype=np.float32)[None, :, None]
        length = rng.uniform(*STRAY_LENGTH, count).astype(np.float32)[:, None, None] * size
        bend = 0.35 * rng.standard_normal((count, 1, 3)).astype(np.float32) * along**2
        points = roots.position[:, None] + (away[:, None] + bend) * along * length
        points = self.scalp.field.push_out(points, 0.0006)
        radius = np.full(count, STRAY_RADIUS * size, np.float32)
        taper = np.linspace(1.0, 0.4, STRAY_SEGMENTS, dtype=np.float32)
        return Strands(points, roots.face, radius, np.arange(count) // 4, taper, opacity=0.5)
