"""Afro: a round mass of small curls over a dense inside."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.hair.growth import locks
from pipeline.priors.procedural.hair.scalp import Roots, Scalp
from pipeline.priors.procedural.hair.strands import Strands
from pipeline.priors.procedural.splats import Floats, frame_from_normal, unit

MIDDLE = np.array([0.0, 0.020, -0.012], np.float32)
"""Middle of the mass, adult metres from the middle of the skull."""
MAN_RADII = np.array([0.104, 0.106, 0.108], np.float32)
WOMAN_RADII = np.array([0.122, 0.119, 0.122], np.float32)
"""Half axes of the mass."""
CURLS, CURL_SEGMENTS = 2700, 10
INSIDE, INSIDE_SEGMENTS = 1500, 4
CURL_RADIUS = (0.0024, 0.0042)
TURNS = (1.6, 2.4)
SHORTEST = 0.006
"""Metres of hair where the mass hardly clears the skin, at the hairline."""


class Afro:
    """``gender`` 0 wears it shorter than 1."""

    def __init__(self, scalp: Scalp, gender: float, rng: np.random.Generator) -> None:
        self.scalp = scalp
        self.radii = (MAN_RADII + (WOMAN_RADII - MAN_RADII) * np.float32(gender)) * np.float32(rng.uniform(0.96, 1.04))

    def grow(self, rng: np.random.Generator) -> list[Strands]:
        """The dense inside and the curls."""
        return [self._inside(rng), self._curls(rng)]

    def _inside(self, rng: np.random.Generator) -> Strands:
        roots = self.scalp.scatter(INSIDE, rng, (0.0, 0.010))
        count = len(roots)
        outward, reach = self._reach(roots)
        along = np.linspace(0.02, 0.72, INSIDE_SEGMENTS + 1, dtype=np.float32)
        sway = 0.25 * rng.standard_normal((count, 1, 3)).astype(np.float32) * along[None, :, None]
        points = roots.position[:, None] + (outward[:, None] + sway) * (reach[:, None] * along)[..., None]
        radius = rng.uniform(0.0030, 0.0042, count).astype(np.float32) * self.scalp.size
        taper = np.ones(INSIDE_SEGMENTS, np.float32)
        return Strands(points, roots.face, radius, np.arange(count) // 3, taper, shade=0.55, opacity=0.9)

    def _curls(self, rng: np.random.Generator) -> Strands:
        """A circle in a tilted plane whose middle drifts outwards: the outline ends in loops, not in spikes."""
        roots = self.scalp.scatter(CURLS, rng, (-0.002, 0.008))
        count = len(roots)
        size = np.float32(self.scalp.size)
        outward, reach = self._reach(roots)
        # most curls end near the outline, some stay inside, a few stand out
        share = 1 - 0.65 * rng.random(count).astype(np.float32) ** 2.2
        fuzz = rng.random(count) < 0.10
        share[fuzz] = rng.uniform(1.0, 1.06, int(fuzz.sum()))
        along = np.linspace(0, 1, CURL_SEGMENTS + 1, dtype=np.float32)[None]
        radius = rng.uniform(*CURL_RADIUS, count).astype(np.float32)[:, None] * size
        radius = np.minimum(radius, 0.4 * reach[:, None])
        turn = rng.uniform(0, 2 * np.pi, (count, 1)) + 2 * np.pi * rng.uniform(*TURNS, (count, 1)) * along
        frame = frame_from_normal(unit(outward + 0.7 * rng.standard_normal((count, 3)).astype(np.float32)))
        # the strand spends most of itself near the outline, where it is seen
        out = np.minimum(1, 0.25 + 1.1 * along) * np.minimum(1, 8 * along)
        drift = 0.14 * rng.standard_normal((count, 1, 3)).astype(np.float32) * (out**1.5)[..., None]
        middle = (outward[:, None] * out[..., None] + drift) * (reach * share)[:, None, None]
        circle = np.cos(turn)[..., None] * frame[:, None, :, 0] + np.sin(turn)[..., None] * frame[:, None, :, 1]
        points = roots.position[:, None] + middle + circle * (radius * np.minimum(1, 4 * along))[..., None]
        points = self.scalp.field.push_out(points.astype(np.float32), float(0.001 * size), passes=1)
        thickness = rng.uniform(0.0006, 0.0010, count).astype(np.float32) * size
        opacity = np.where(fuzz, np.float32(0.5), np.float32(0.9))
        taper = np.linspace(1.0, 0.75, CURL_SEGMENTS, dtype=np.float32)
        return Strands(points, roots.face, thickness, locks(roots.position, 400, rng), taper, opacity=opacity)

    def _reach(self, roots: Roots) -> tuple[Floats, Floats]:
        """Direction (N, 3) in which hair stands and its length (N,) to the outline, metres."""
        place = self.scalp.place(roots.position)
        ray = (place - MIDDLE) / self.radii
        outward = unit(unit(place - MIDDLE) + 0.35 * roots.normal)
        # an ellipsoid's surface along the ray from its middle
        room = np.linalg.norm(place - MIDDLE, axis=1) * (1 / np.linalg.norm(ray, axis=1) - 1)
        return outward, np.maximum(room, SHORTEST).astype(np.float32) * np.float32(self.scalp.size)
