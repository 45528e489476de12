"""Short hair: combed from a side parting, longer on top, tapering to the nape and the temples."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.fields import mix, smoothstep
from pipeline.priors.procedural.hair.growth import Flow
from pipeline.priors.procedural.hair.hairline import SKULL_CENTRE
from pipeline.priors.procedural.hair.scalp import Roots, Scalp
from pipeline.priors.procedural.hair.style import LayerPlan, Style
from pipeline.priors.procedural.splats import Floats, unit

PARTING = 0.030
"""Metres beside the middle."""
TOP = (0.018, 0.062)
"""Heights over the middle of the skull between which the sides end and the top begins, metres."""


class Short(Style):
    """``gender`` 0 is a man's cut; towards 1 it is longer, with a fringe."""

    plans = (
        LayerPlan(1700, 4, (0.0012, 0.0017), (0.05, 0.45), 400, 0.2, shade=0.6, opacity=0.95, border=(0.001, 0.011)),
        LayerPlan(4300, 6, (0.00042, 0.00070), (0.25, 1.0), 420, 0.5),
    )
    stiffness = 0.55
    hug = 0.35
    closing = 0.55
    lock_wildness = 0.16

    def __init__(self, scalp: Scalp, gender: float, rng: np.random.Generator) -> None:
        super().__init__(scalp)
        self.gender = gender
        self.side = 1.0 if rng.random() < 0.5 else -1.0

    def length(self, roots: Roots) -> Floats:
        place = roots.template - SKULL_CENTRE
        top = smoothstep(*TOP, place[:, 1])
        man = 0.011 + 0.013 * smoothstep(-0.06, 0.03, place[:, 1]) + 0.030 * top
        woman = 0.030 + 0.020 * smoothstep(-0.06, 0.03, place[:, 1]) + 0.025 * top
        return (man + (woman - man) * self.gender) * (0.55 + 0.45 * smoothstep(0, 0.012, roots.edge))

    def thickness(self, roots: Roots) -> Floats:
        place = roots.template - SKULL_CENTRE
        top = smoothstep(*TOP, place[:, 1])
        parting = smoothstep(0.0, 0.03, np.abs(place[:, 0] - self.side * PARTING))
        height = 0.003 + 0.005 * smoothstep(-0.07, 0.02, place[:, 1]) + 0.015 * top
        return height * (1 - top * (1 - parting) * 0.6) * (0.5 + 0.5 * smoothstep(0, 0.015, roots.edge))

    def flow(self, roots: Roots) -> Flow:
        front = smoothstep(0.02, 0.08, (roots.template - SKULL_CENTRE)[:, 2])
        fringe = self.gender * front

        def toward(grown: float, points: Floats, direction: Floats) -> Floats:
            place = self.scalp.place(points)
            # over forehead and temples hair goes back, not down on the face
            forehead = smoothstep(0.035, 0.070, place[:, 2])
            top = np.maximum(smoothstep(*TOP, place[:, 1]), forehead)
            away = np.tanh((place[:, 0] - self.side * PARTING) / 0.012)
            over_side = smoothstep(0.030, 0.066, np.abs(place[:, 0]))
            across = away * (0.85 - 0.5 * smoothstep(0.0, -0.07, place[:, 2])) * (1 - over_side)
            back = -0.55 - 0.9 * over_side * forehead + 0.75 * fringe
            behind = smoothstep(-0.03, -0.08, place[:, 2])
            down = -0.1 - 0.9 * over_side * (1 - forehead) - 0.8 * behind - 0.5 * fringe * grown
            combed = np.stack([across, down, back], axis=1)
            drift = -0.30 + 0.35 * smoothstep(0.0, 0.03, place[:, 2])
            hanging = np.stack([np.zeros_like(top), np.full_like(top, -1), drift], axis=1)
            return mix(hanging, combed, top)

        return toward

    def start(self, roots: Roots) -> Floats:
        top = smoothstep(*TOP, (roots.template - SKULL_CENTRE)[:, 1])[:, None]
        return unit(self.flow(roots)(0.0, roots.position, roots.normal) + roots.normal * (0.3 + 0.7 * top))
