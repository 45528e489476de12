"""Where hair grows on the head, authored once on the template of the free head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from pipeline.priors.procedural.fields import noise
from pipeline.priors.procedural.splats import Floats

SKULL_CENTRE = np.array([0.0, 0.765, 0.045], np.float32)
"""Template metres; the hairline is drawn as elevation over azimuth seen from here."""
SKULL_RADIUS = 0.093
"""Metres from there to the skin, near enough to measure distances along the scalp."""

IRREGULARITY = 0.0018
"""Metres by which the border wanders."""

# Azimuth (0 front, 180 back of the head) against elevation of the border, degrees.
MALE_HAIRLINE = [
    (0, 21.5), (12, 23), (24, 26.5), (36, 29), (44, 24), (51, 15.5), (57, 4), (61, -9), (64, -22), (67, -31),
    (71, -31), (75, -21), (82, -15), (95, -13), (103, -20), (108, -33), (118, -43), (130, -49), (150, -53), (180, -52),
]  # fmt: skip
FEMALE_HAIRLINE = [
    (0, 20.5), (12, 22), (24, 23.5), (36, 22.5), (44, 18), (51, 11), (57, 1), (61, -9), (64, -18), (67, -24),
    (71, -25), (75, -20), (82, -15), (95, -13), (103, -20), (108, -32), (118, -41), (130, -45), (150, -48), (180, -46),
]  # fmt: skip
RECESSION = [(0, 12), (15, 16), (30, 32), (40, 34), (50, 14), (60, 3), (75, 0), (180, 0)]
"""Azimuth against degrees that the border moves up when hair has receded fully."""
HORSESHOE = [(0, 55), (30, 42), (52, 44), (62, 24), (72, 8), (84, 0), (180, 0)]
"""The same, added from half way on: what is left at the end is a wreath above the ears."""
VERTEX = np.array([0.0, 0.075, -0.035], np.float32)
"""Middle of a bald spot, metres from `SKULL_CENTRE`."""


class Hairline:
    """The border of the hair of one person.

    ``gender`` 0 male … 1 female, ``receding`` 0..1.
    """

    def __init__(self, gender: float, receding: float) -> None:
        self._azimuth = np.linspace(0, 180, 361)
        male, female, recession, horseshoe = _curves()
        self._late = float(np.clip(2 * receding - 1, 0, 1))
        temples = recession * min(receding, 0.8)
        self._elevation = male + (female - male) * np.clip(gender, 0, 1) + temples + horseshoe * self._late
        border = np.radians(np.stack([self._azimuth, self._elevation], 1)) * SKULL_RADIUS
        self._tree = cKDTree(border)
        self._receding = receding

    def inside(self, template: Floats) -> Floats:
        """Metres inside the border (N,), negative outside, of template points (N, 3); slightly irregular."""
        ray = template - SKULL_CENTRE
        azimuth = np.arctan2(np.abs(ray[:, 0]), ray[:, 2])
        elevation = np.arctan2(ray[:, 1], np.hypot(ray[:, 0], ray[:, 2]))
        distance = self._tree.query(np.stack([azimuth, elevation], 1) * SKULL_RADIUS)[0]
        above = np.degrees(elevation) > np.interp(np.degrees(azimuth), self._azimuth, self._elevation)
        return (np.where(above, distance, -distance) + IRREGULARITY * noise(template, 0.012, 3)).astype(np.float32)

    def thinning(self, template: Floats) -> Floats:
        """Share of the hair that is left (N,), below 1 on the vertex of a man whose hair recedes."""
        distance = np.linalg.norm(template - (SKULL_CENTRE + VERTEX), axis=1)
        spot = np.exp(-0.5 * (distance / (0.030 + 0.022 * self._late)) ** 2)
        lost = np.minimum(self._receding * (0.75 + 0.6 * self._late) * spot, 1)
        return (1 - lost).astype(np.float32)


@lru_cache(maxsize=1)
def _curves() -> tuple[np.ndarray, ...]:
    azimuth = np.linspace(0, 180, 361)
    points = (np.array(line, float).T for line in (MALE_HAIRLINE, FEMALE_HAIRLINE, RECESSION, HORSESHOE))
    return tuple(PchipInterpolator(x, y)(azimuth) for x, y in points)
