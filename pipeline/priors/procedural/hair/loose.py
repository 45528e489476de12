"""Hair that falls from a parting: the bob and long hair."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.fields import mix, smoothstep
from pipeline.priors.procedural.hair.growth import Flow, arc_length, cut
from pipeline.priors.procedural.hair.hairline import SKULL_CENTRE
from pipeline.priors.procedural.hair.scalp import Roots, Scalp
from pipeline.priors.procedural.hair.style import LayerPlan, Style
from pipeline.priors.procedural.splats import Floats, Ints, unit

PARTING = (0.006, 0.030)
"""Metres beside the middle."""
FACE = (0.050, 0.074)
"""Distances from the middle between which loose hair is kept out of the face, metres."""
HORIZONTAL, UP = np.array([1, 0, 1], np.float32), np.array([0, 1, 0], np.float32)
HANG = (0.090, 0.088)
HANG_MIDDLE = -0.008
"""Half axes (sideways, forwards) and middle of the column in which loose hair hangs, metres."""
WIDEST = 0.118
"""Metres beside the middle that tips on the shoulders reach."""
COLLAR = (-0.13, -0.17)
"""Heights between which clothes begin, metres."""
CLOTH_THICKNESS = {"tshirt": 0.007, "suit": 0.018}
"""Metres that clothes lie above the skin."""


class Loose(Style):
    """What falls from a parting, drawn aside from the face."""

    stiffness = 0.6
    hug = 0.45
    hug_above = -0.02
    rise = 0.32
    lock_wildness = 0.05
    volume = 0.020
    """Adult metres of the topmost hair over the skin."""

    def __init__(self, scalp: Scalp, rng: np.random.Generator) -> None:
        super().__init__(scalp)
        self.parting = float(rng.choice([-1.0, 1.0]) * rng.uniform(*PARTING))

    def thickness(self, roots: Roots) -> Floats:
        place = roots.template - SKULL_CENTRE
        parting = smoothstep(0.0, 0.035, np.abs(place[:, 0] - self.parting))
        height = self.volume * (0.30 + 0.70 * smoothstep(-0.06, 0.03, place[:, 1]))
        return height * (0.60 + 0.40 * parting) * (0.3 + 0.7 * smoothstep(0.0, 0.03, roots.edge)) + 0.002

    def flow(self, roots: Roots) -> Flow:
        place = roots.template - SKULL_CENTRE
        side = np.where(place[:, 0] > self.parting, np.float32(1), np.float32(-1))
        front = smoothstep(-0.02, 0.075, place[:, 2])
        forward = np.where(place[:, 2] > -0.032, np.float32(1), np.float32(-1))

        def toward(grown: float, points: Floats, direction: Floats) -> Floats:
            at = self.scalp.place(points)
            x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
            lateral = side * np.clip(1.15 - x / 0.075, 0, 1) * front
            # over the crown hair runs back, at the temples it opens the face, on the shoulders it goes to one side
            back = -0.75 * (1 - front) - front * (0.45 + 0.45 * smoothstep(0.015, 0.045, x))
            parted = 0.35 * smoothstep(-0.02, -0.10, y) + 0.9 * smoothstep(-0.10, -0.15, y)
            ahead = back * smoothstep(-0.02, 0.04, y) + forward * parted
            steep = np.hypot(x / 0.078, np.minimum(z, 0) / 0.085)
            down = -0.15 * (1 - front) - 1.1 * smoothstep(0.45, 1.0, steep) - 0.8 * smoothstep(0.05, -0.05, y)
            out = np.stack([lateral, down, ahead], axis=1)
            # what hangs is heavy: it falls back to the column below the widest part of the head
            column = np.stack([at[:, 0] / HANG[0], np.zeros_like(y), (z - HANG_MIDDLE) / HANG[1]], axis=1)
            beyond = np.maximum(np.linalg.norm(column, axis=1) - 1, 0) * smoothstep(0.03, -0.04, y)
            out -= unit(column) * np.minimum(8 * beyond, 2.0)[:, None]
            # hair that comes down on a shoulder slides off before or behind it, not along it
            distance, away = self.scalp.field.distance(points)
            shelf = smoothstep(0.2, 0.7, away[:, 1]) * smoothstep(0.034, 0.012, distance) * smoothstep(-0.06, -0.10, y)
            slide = np.stack([-0.5 * np.sign(at[:, 0]), np.full_like(y, -0.4), forward], axis=1)
            out = mix(out, 2 * slide, shelf)
            in_face = smoothstep(FACE[1], FACE[0], x) * smoothstep(0.02, 0.05, z) * smoothstep(0.030, 0.005, y)
            out[:, 0] += 2.0 * side * in_face
            return self.bend(out, at, side)

        return toward

    def bend(self, out: Floats, place: Floats, side: Floats) -> Floats:
        """A style's own change to the flow (N, 3) at places (N, 3) of strands on one ``side`` (N,)."""
        return out

    def clear_face(self, points: Floats) -> Floats:
        """Strands (N, K, 3) moved aside where they would hang into the face or the throat."""
        at = self.scalp.place(points)
        x, y, z = np.abs(at[..., 0]), at[..., 1], at[..., 2]
        wanted = 0.064 * smoothstep(0.012, 0.045, z) * smoothstep(0.035, 0.010, y) * smoothstep(-0.30, -0.16, y)
        side = np.sign(at[..., 0].mean(1, keepdims=True))
        at[..., 0] += side * np.maximum(wanted - x, 0)
        return self.scalp.world(at)


class Bob(Loose):
    """To the chin, the ends turned in."""

    plans = (
        LayerPlan(1100, 8, (0.0016, 0.0022), (0.05, 0.5), 300, 0.2, shade=0.55, opacity=0.95, tip=0.9,
                  border=(0.001, 0.011), length=(0.99, 1.0), wildness=0.03),
        LayerPlan(2600, 11, (0.00045, 0.00080), (0.3, 1.0), 380, 0.22, tip=0.7, length=(0.96, 1.0), wildness=0.03),
    )  # fmt: skip
    growing_steps = 1.5
    cut = -0.128
    """Height of the ends over the middle of the skull, metres."""

    def length(self, roots: Roots) -> Floats:
        return np.full(len(roots), 0.27, np.float32)

    def bend(self, out: Floats, place: Floats, side: Floats) -> Floats:
        turn = smoothstep(self.cut + 0.035, self.cut - 0.005, place[:, 1])
        inward = -place * HORIZONTAL
        return out + unit(inward) * (1.0 * turn)[:, None]

    def finish(self, points: Floats, roots: Roots, lock: Ints, rng: np.random.Generator) -> Floats:
        uneven = (0.004 * rng.standard_normal(len(lock)))[lock] + 0.003 * rng.standard_normal(len(lock))
        above = self.scalp.place(points)[..., 1] - (self.cut + uneven).astype(np.float32)[:, None]
        return self.clear_face(cut(points, above))


class Long(Loose):
    """Over the shoulders, in soft waves; hangs on the cage."""

    plans = (
        LayerPlan(800, 14, (0.0019, 0.0026), (0.05, 0.5), 250, 0.2, shade=0.55, opacity=0.95, tip=0.7,
                  border=(0.001, 0.011), length=(0.75, 0.95), wildness=0.03),
        LayerPlan(1650, 17, (0.00050, 0.00090), (0.3, 1.0), 260, 0.45, tip=0.5, length=(0.80, 1.04), wildness=0.03),
    )  # fmt: skip
    growing_steps = 1.7
    volume = 0.022

    def __init__(self, scalp: Scalp, clothing: str, rng: np.random.Generator) -> None:
        super().__init__(scalp, rng)
        self.clothing = clothing
        self.amplitude = rng.uniform(0.002, 0.0075)
        self.wavelength = rng.uniform(0.075, 0.11)

    def length(self, roots: Roots) -> Floats:
        place = roots.template - SKULL_CENTRE
        return 0.24 + 0.13 * smoothstep(-0.06, 0.07, place[:, 1])

    def finish(self, points: Floats, roots: Roots, lock: Ints, rng: np.random.Generator) -> Floats:
        """Waves come after growing, so that locks keep their phase round the head; then nothing may pierce the body."""
        size = np.float32(self.scalp.size)
        points = cut(points, np.float32(WIDEST) - np.abs(self.scalp.place(points)[..., 0]))
        arc = arc_length(points) / size
        phase = rng.uniform(0, 2 * np.pi, len(lock)).astype(np.float32)[lock][:, None]
        turn = phase + arc * np.float32(2 * np.pi / self.wavelength)
        swing = smoothstep(0.06, 0.18, arc) * np.float32(self.amplitude) * size
        outward = unit((points - self.scalp.centre) * HORIZONTAL)
        around = np.cross(outward, UP)
        waved = points + outward * (swing * np.sin(turn))[..., None] + around * (swing * np.cos(0.9 * turn))[..., None]
        clear = self.clear_face(waved)
        dressed = smoothstep(*COLLAR, self.scalp.place(clear)[..., 1]) * np.float32(CLOTH_THICKNESS[self.clothing])
        return self.scalp.field.push_out(clear, (0.003 + dressed) * size)
