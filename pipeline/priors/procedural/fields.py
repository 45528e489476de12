"""Smooth scalar functions of position, from which masks, tints and textures are made."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from pipeline.priors.procedural.splats import Floats

NOISE_CELLS = 64
"""Edge of the periodic noise volume."""
CELLS_PER_FEATURE = 2.0


def smoothstep(low: float, high: float, x: ArrayLike) -> Floats:
    """0 below ``low``, 1 above ``high``, smooth between; ``low`` > ``high`` falls instead of rising."""
    t = np.clip((np.asarray(x, np.float32) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(points: Floats, centre: ArrayLike, size: ArrayLike) -> Floats:
    """Gaussian of ``points`` (N, 3) round ``centre`` (3,) with standard deviations ``size`` (3,) → (N,), 1 in the
    middle."""
    away = (points - np.asarray(centre, np.float32)) / np.asarray(size, np.float32)
    return np.exp(-0.5 * (away * away).sum(-1))


def mix(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Floats:
    """Colours (…, 3) ``a`` at t = 0 and ``b`` at t = 1; ``t`` (…)."""
    weight = np.asarray(t, np.float32)[..., None]
    return np.asarray(a, np.float32) * (1 - weight) + np.asarray(b, np.float32) * weight


def noise(points: Floats, feature: float, seed: float = 0.0) -> Floats:
    """Smooth noise, mean 0 and variance 1 before interpolation: ``points`` (N, 3) metres, ``feature`` the size of its
    lumps in metres, ``seed`` any number → (N,)."""
    cells = (points + np.float32(seed * 0.371)) * np.float32(CELLS_PER_FEATURE / feature)
    return map_coordinates(_noise_volume(), cells.T, order=1, mode="grid-wrap").astype(np.float32)


def mirrored(points: Floats) -> Floats:
    """``points`` (N, 3) with x made positive, so that one formula serves both sides of the face."""
    folded = points.copy()
    folded[:, 0] = np.abs(folded[:, 0])
    return folded


def srgb(red: float, green: float, blue: float) -> Floats:
    """(3,) linear colour of display values 0..255."""
    return ((np.array([red, green, blue], np.float64) / 255) ** 2.2).astype(np.float32)


@lru_cache(maxsize=1)
def _noise_volume() -> NDArray[np.float32]:
    volume = np.random.default_rng(7).standard_normal((NOISE_CELLS,) * 3).astype(np.float32)
    volume = gaussian_filter(volume, 0.8, mode="wrap")
    return volume / volume.std()
