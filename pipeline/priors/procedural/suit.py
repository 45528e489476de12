"""A suit: shirt with collar and tie under a jacket with notched lapels.

Every piece with a visible edge is a sheet whose rows run along that edge; only the jacket's body is scattered, and its
ragged opening lies under the lapels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from pipeline.avatar import Layer
from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import noise, smoothstep
from pipeline.priors.procedural.garment import (
    OPACITY,
    Drape,
    Neckline,
    above_cut,
    bust_opacity,
    cloth_discs,
    fold_field,
    trunk,
)
from pipeline.priors.procedural.sheets import sheet_normals, sheet_splats
from pipeline.priors.procedural.splats import Floats, Shading, Splats
from pipeline.priors.procedural.surface import Samples

SHIRT = Neckline((0, 30, 60, 90, 130, 180), (0.578, 0.583, 0.598, 0.610, 0.617, 0.619))
"""Where the shirt's collar stands on the neck."""
OPENING = ((0.42, 0.012), (0.50, 0.0315), (0.56, 0.0475), (0.60, 0.060))
"""Template height → half width of the jacket's opening: the fold line of the lapel."""
LAPEL = ((0.42, 0.018), (0.480, 0.034), (0.536, 0.0475), (0.567, 0.043))
"""Template height → width of the lapel from its fold to its outer edge; it ends at the notch."""
SHIRT_LIFT, TIE_LIFT, JACKET_LIFT, LAPEL_LIFT = 2.0e-3, 6.0e-3, 6.5e-3, 12.0e-3
JACKET_SPACING = 4.8e-3
FOLD_DEPTH = 1.0e-3
LAPEL_TOP = 0.567
SHEET_STEP = 2.0e-3
BOTTOM = 0.422
"""Template height at which the front pieces end, below every portrait."""


def make_suit(drape: Drape, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Jacket, lapels, shirt, tie and both collars."""
    jacket = palette.linear_rgb(attributes.clothing_color, palette.CLOTH_COLORS)
    shirt = palette.linear_rgb(attributes.shirt_color, palette.CLOTH_COLORS)
    tie = palette.linear_rgb(attributes.tie_color, palette.CLOTH_COLORS)
    parts = [
        _jacket(drape, jacket, rng),
        _shirt_front(drape, shirt),
        *_tie(drape, tie),
        _shirt_collar(drape, shirt),
        _jacket_collar(drape, jacket),
    ]
    parts += [_lapel(drape, jacket, side) for side in (1, -1)]
    return Splats.concatenate(parts)


def half_opening(height: ArrayLike) -> Floats:
    """Half width of the jacket's opening at template heights."""
    return _between(OPENING, height)


def _between(knots: tuple[tuple[float, float], ...], height: ArrayLike) -> Floats:
    """Linear interpolation of (template height, value) pairs."""
    heights, values = zip(*knots, strict=True)
    return np.interp(np.asarray(height, np.float32), heights, values).astype(np.float32)


def finer_at_ends(count: int) -> Floats:
    """``count`` figures from 0 to 1, twice as dense at both ends: small splats make sharp borders."""
    t = np.linspace(0, 1, count)
    return (t - 0.5 * np.sin(2 * np.pi * t) / (2 * np.pi)).astype(np.float32)


def _jacket(drape: Drape, color: Floats, rng: np.random.Generator) -> Splats:
    surface = drape.surface
    samples = surface.sample(trunk(surface, drape.neckline), JACKET_SPACING * surface.size, rng)
    samples = samples.select(_under_jacket(drape, samples))
    folds = fold_field(samples.template, FOLD_DEPTH)
    # shoulder pads square the shoulders
    x, y = np.abs(samples.template[:, 0]), samples.template[:, 1]
    pad = 0.006 * smoothstep(0.09, 0.15, x) * smoothstep(0.50, 0.55, y)
    position, normal = drape.over(samples, JACKET_LIFT + pad + folds)
    ambient, shadow = drape.light(position, normal)
    grain = noise(samples.template, 0.010, 50) * 0.6 + 0.7 * rng.standard_normal(len(samples)).astype(np.float32)
    return cloth_discs(
        drape, samples, position, normal, FOLD_DEPTH,
        albedo=color * np.exp(0.02 * grain)[:, None], ambient=ambient, shadow=shadow, specular=0.05,
    )  # fmt: skip


def _under_jacket(drape: Drape, samples: Samples) -> np.ndarray:
    """Below the jacket's collar, outside of its opening, above the end of the bust."""
    x, y, z = samples.template.T
    lapel = _between(LAPEL, y) * (y < LAPEL_TOP - 0.016)
    open_front = (z > 0.0) & (np.abs(x) < half_opening(y) + np.maximum(lapel - 0.008, 0.010))
    below = drape.neckline.below(samples.template)
    return ~open_front & (below > 0.012) & (above_cut(samples.template) > 0)


def _shirt_front(drape: Drape, color: Floats) -> Splats:
    """The shirt between the lapels; its top ends under the collar's leaves."""
    height = np.arange(BOTTOM, 0.585, SHEET_STEP, dtype=np.float32)
    across = np.linspace(-1, 1, 36, dtype=np.float32)
    y, u = np.meshgrid(height, across, indexing="ij")
    x = u * (half_opening(y) + 0.010 * smoothstep(0.56, 0.54, y))
    points, normal, samples = _on_front(drape, x, y, SHIRT_LIFT)
    crease = 1 - 0.03 * np.maximum(0, noise(samples.template * np.array([1, 0.4, 1], np.float32), 0.02, 61)).reshape(
        y.shape
    )
    shaded = 1 - 0.5 * np.exp(-(((np.abs(x) - half_opening(y)) / 0.006) ** 2))
    shaded *= 1 - 0.35 * np.exp(-((np.abs(x) / 0.020) ** 2))
    splats = _lit_sheet(drape, points, normal, color * crease[..., None], shaded, samples)
    return splats.select(drape.neckline.below(samples.template) > 0.002)


def _tie(drape: Drape, color: Floats) -> list[Splats]:
    """Knot and blade."""
    knot_half = ((0.551, 0.0098), (0.556, 0.0112), (0.573, 0.0160), (0.582, 0.0168), (0.587, 0.0135))
    blade_half = ((BOTTOM, 0.0265), (0.551, 0.0125), (0.556, 0.0105))
    knot = _tie_sheet(drape, color, knot_half, 0.0075, 18)
    return [_tie_sheet(drape, color, blade_half, 0.0025, 22), knot]


def _tie_sheet(
    drape: Drape, color: Floats, outline: tuple[tuple[float, float], ...], bulge: float, columns: int
) -> Splats:
    low, high = outline[0][0], outline[-1][0]
    height = np.arange(low, high + 1e-6, SHEET_STEP, dtype=np.float32)
    y, u = np.meshgrid(height, 2 * finer_at_ends(columns) - 1, indexing="ij")
    x = u * _between(outline, y)
    ends = smoothstep(high + 2e-3, high - 5e-3, y)
    if bulge > 5e-3:
        ends = ends * (0.45 + 0.55 * smoothstep(low - 2e-3, low + 5e-3, y))
    points, normal, samples = _on_front(drape, x, y, TIE_LIFT + bulge * np.sqrt(np.maximum(0, 1 - u * u)) * ends)
    stripe = 1 + 0.22 * np.tanh(3 * np.sin((x * 0.7 + y) * 620))
    shade = 0.75 + 0.25 * (1 - u**6)
    return _lit_sheet(drape, points, normal, color * stripe[..., None], shade, samples, specular=0.16, gloss=14.0)


def _lapel(drape: Drape, color: Floats, side: int) -> Splats:
    """From the fold line outwards; the top is cut off at the notch."""
    v, u = np.meshgrid(finer_at_ends(56), finer_at_ends(20), indexing="ij")
    fold_height = BOTTOM + v * (LAPEL_TOP - BOTTOM)
    width = _between(LAPEL, fold_height)
    # the upper edge, the notch, falls outwards
    y = fold_height - 0.010 * u * smoothstep(0.3, 1.0, v)
    x = half_opening(fold_height) + u * width
    roll = LAPEL_LIFT - 0.0035 * np.exp(-((u * width / 0.003) ** 2)) - 0.0015 * u
    points, normal, samples = _on_front(drape, side * x, y, roll)
    edge = 1 - 0.28 * np.exp(-(((1 - u) * width / 0.0016) ** 2)) - 0.18 * np.exp(-(((1 - v) * 0.12 / 0.0016) ** 2))
    return _lit_sheet(drape, points, normal, np.broadcast_to(color * 1.12, (*u.shape, 3)), edge, samples)


def _shirt_collar(drape: Drape, color: Floats) -> Splats:
    """The stand round the neck, folded over into leaves whose points lie beside the knot."""
    half = np.linspace(-1, 1, 160, dtype=np.float32)
    from_nape = np.abs(half)
    top_angle = np.sign(half) * np.radians(180 - from_nape * 176)
    tip = smoothstep(0.72, 1.0, from_nape)
    down = np.float32(-0.35) + np.float32(1.35) * finer_at_ends(17)
    rows = []
    for v in down:
        fallen = max(float(v), 0.0)
        angle = top_angle + np.sign(half) * np.radians(23) * tip * fallen
        depth = (0.030 + 0.019 * tip) * fallen + 0.016 * max(float(-v), 0.0) / 0.35
        lift = 0.0022 if v < 0 else 0.0046 + 0.0010 * fallen + 0.0006 * tip * fallen
        rows.append(_collar_points(drape, angle, 0.013 - depth, lift))
    points = gaussian_filter1d(np.stack(rows), 3.0, axis=1, mode="nearest")
    outward = points - points.mean((0, 1))
    outward[..., 1] *= 0.2
    points = drape.keep_outside(points.reshape(-1, 3), 0.0022).reshape(points.shape)
    edge = (1 - 0.22 * np.exp(-(((1 - down) / 0.05) ** 2))) * np.where(down < -0.05, 0.9, 1.0)
    return _lit_sheet(drape, points, outward, np.broadcast_to(color * 1.03, points.shape), edge[:, None])


def _jacket_collar(drape: Drape, color: Floats) -> Splats:
    """Round the nape outside the shirt's collar, down to the notch of the lapels."""
    half = np.linspace(-1, 1, 140, dtype=np.float32)
    from_nape = np.abs(half)
    angle = np.sign(half) * np.radians(180 - from_nape * 143)
    front = smoothstep(0.55, 1.0, from_nape)
    down = finer_at_ends(14)
    rows = []
    for v in down:
        drop = -0.002 - 0.022 * front - (0.030 - 0.008 * front) * v
        lift = 0.0095 + 0.0035 * np.sin(np.pi * min(float(v) * 1.2, 1.0)) + 0.0015 * front
        rows.append(_collar_points(drape, angle, drop, lift))
    points = gaussian_filter1d(np.stack(rows), 3.0, axis=1, mode="nearest")
    outward = points - points.mean((0, 1)) + np.array([0, 0.05, 0], np.float32)
    points = drape.keep_outside(points.reshape(-1, 3), 0.009).reshape(points.shape)
    edge = 1 - 0.28 * np.exp(-(((1 - down) / 0.06) ** 2))
    return _lit_sheet(drape, points, outward, np.broadcast_to(color * 1.1, points.shape), edge[:, None])


def _collar_points(drape: Drape, angle: Floats, rise: ArrayLike, lift: ArrayLike) -> Floats:
    """Points ``rise`` metres above the neckline at angles round the neck, ``lift`` metres off the skin."""
    rise = np.broadcast_to(np.asarray(rise, np.float32), angle.shape)
    samples = drape.around(angle, drape.neckline.height(angle) + rise)
    return drape.over(samples, lift)[0]


def _on_front(drape: Drape, x: Floats, y: Floats, lift: ArrayLike) -> tuple[Floats, Floats, Samples]:
    """Grid points (R, C, 3) above the chest, the body's normals there, and the samples underneath."""
    samples = drape.front(x.ravel(), y.ravel())
    height = np.broadcast_to(np.asarray(lift, np.float32), x.shape).ravel()
    position, normal = drape.over(samples, height)
    return position.reshape(*x.shape, 3), normal.reshape(*x.shape, 3), samples


def _lit_sheet(
    drape: Drape,
    points: Floats,
    outward: Floats,
    albedo: ArrayLike,
    shade: ArrayLike,
    samples: Samples | None = None,
    specular: float = 0.05,
    gloss: float = 8.0,
) -> Splats:
    """A sheet with the body's light on it; ``shade`` (R, C) darkens creases and edges. With the ``samples``
    underneath it fades out with the bust."""
    normal = sheet_normals(points, outward)
    ambient, shadow = drape.light(points.reshape(-1, 3), normal.reshape(-1, 3))
    dark = np.broadcast_to(np.asarray(shade, np.float32), points.shape[:2])
    return sheet_splats(
        Layer.CLOTH,
        Shading.CLOTH,
        points,
        outward=outward,
        face=drape.steady_faces(points.reshape(-1, 3)).reshape(points.shape[:2]),
        albedo=np.asarray(albedo, np.float32) * dark[..., None],
        opacity=OPACITY if samples is None else bust_opacity(samples.template),
        ambient=ambient.reshape(dark.shape) * dark,
        shadow=shadow.reshape(dark.shape),
        specular=specular,
        gloss=gloss,
    )
