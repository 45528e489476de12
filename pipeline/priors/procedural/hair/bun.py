"""Hair pulled back into a knot on the crown."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.hair.growth import Flow, cut
from pipeline.priors.procedural.hair.hairline import SKULL_CENTRE
from pipeline.priors.procedural.hair.scalp import Roots, Scalp
from pipeline.priors.procedural.hair.strands import Strands
from pipeline.priors.procedural.hair.style import LayerPlan, Style
from pipeline.priors.procedural.splats import Floats, Ints, frame_from_normal, unit

KNOT = np.array([0.0, 0.074, -0.068], np.float32)
"""Where the hair meets, adult metres from the middle of the skull."""
KNOT_RADIUS = 0.035
KNOT_STRANDS, KNOT_SEGMENTS = 900, 10


class Bun(Style):
    """Smooth over the skull, with a coiled knot."""

    plans = (
        LayerPlan(1000, 7, (0.0014, 0.0020), (0.1, 0.5), 200, 0.1, shade=0.6, opacity=0.95, tip=0.9,
                  border=(0.001, 0.010), length=(1.0, 1.0), wildness=0.02),
        LayerPlan(2300, 9, (0.00040, 0.00070), (0.4, 1.0), 260, 0.30, tip=0.9, length=(1.0, 1.02), wildness=0.02),
    )  # fmt: skip
    stiffness = 0.45
    hug = 0.5
    rise = 0.3
    strays = 260
    lock_wildness = 0.04

    def __init__(self, scalp: Scalp) -> None:
        super().__init__(scalp)
        self.knot = scalp.field.push_out(scalp.world(KNOT[None]), 0.004)[0]
        self.out = unit(scalp.field.distance(self.knot[None])[1][0])

    def length(self, roots: Roots) -> Floats:
        chord = np.linalg.norm(self.knot - roots.position, axis=1) / self.scalp.size
        # the arc over a skull of 9 cm radius
        return (2 * 0.095 * np.arcsin(np.clip(chord / (2 * 0.095), 0, 0.98))).astype(np.float32) + 0.006

    def thickness(self, roots: Roots) -> Floats:
        crown = smoothstep(0.02, 0.07, (roots.template - SKULL_CENTRE)[:, 1])
        return (0.0035 + 0.004 * crown) * (0.6 + 0.4 * smoothstep(0, 0.012, roots.edge))

    def flow(self, roots: Roots) -> Flow:
        def toward(grown: float, points: Floats, direction: Floats) -> Floats:
            along = unit(self.knot - points)
            # along the skull, not through it
            out = self.scalp.field.distance(points)[1]
            return along - 0.8 * out * np.minimum((along * out).sum(1, keepdims=True), 0)

        return toward

    def finish(self, points: Floats, roots: Roots, lock: Ints, rng: np.random.Generator) -> Floats:
        """Every strand ends inside the knot."""
        return cut(
            points, np.linalg.norm(points - self.knot, axis=-1) - np.float32(0.3 * KNOT_RADIUS * self.scalp.size)
        )

    def start(self, roots: Roots) -> Floats:
        return unit(unit(self.flow(roots)(0.0, roots.position, roots.normal)) + 0.35 * roots.normal)

    def grow(self, rng: np.random.Generator) -> list[Strands]:
        return [*super().grow(rng), self._coil(rng)]

    def _coil(self, rng: np.random.Generator) -> Strands:
        """A thick rope of twisted hair wound into a knot: strands turn round the rope, the rope round the knot."""
        size = np.float32(self.scalp.size)
        along = np.linspace(0, 1, KNOT_SEGMENTS + 1, dtype=np.float32)[None]
        count = KNOT_STRANDS
        wound = rng.uniform(0, 1, (count, 1)) * 0.85 + 0.16 * along  # share of the rope, from the outside to the top
        turn = 2 * np.pi * 1.9 * wound
        ring = 0.70 - 0.52 * wound**1.5
        rope = 0.40 - 0.06 * wound
        depth = np.sqrt(rng.uniform(0.35, 1, (count, 1)))
        twist = rng.uniform(0, 2 * np.pi, (count, 1)) + 5.0 * np.pi * wound
        radial = ring + rope * depth * np.cos(twist)
        height = -0.25 + 0.85 * wound + rope * depth * np.sin(twist)
        frame = frame_from_normal(self.out[None])[0]
        local = np.stack([np.cos(turn) * radial, np.sin(turn) * radial, height], axis=-1).astype(np.float32)
        points = self.knot + (local @ frame.T) * np.float32(KNOT_RADIUS) * size
        face = self.scalp.nearest_face(self.knot)
        radius = rng.uniform(0.0006, 0.0012, count).astype(np.float32) * size
        lock = (wound[:, 0] * 30).astype(np.int64)
        return Strands(points, np.full(count, face), radius, lock, np.ones(KNOT_SEGMENTS, np.float32), opacity=0.94)
