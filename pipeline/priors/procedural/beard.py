"""Beards: stubble and a full beard, and the tint of the skin between their hairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.avatar import Layer
from pipeline.priors.procedural.fields import noise, smoothstep
from pipeline.priors.procedural.hair.colour import base_colour
from pipeline.priors.procedural.hair.growth import gather, locks
from pipeline.priors.procedural.hair.scalp import Roots, Scalp, scatter
from pipeline.priors.procedural.hair.strands import Look, Strands, to_splats
from pipeline.priors.procedural.splats import Floats, Splats, unit

if TYPE_CHECKING:
    from pipeline.priors.procedural.attributes import Attributes

# Template metres. |x| against the height of the upper border: moustache, cheek, sideburn.
UPPER_BORDER = ([0, 0.012, 0.022, 0.034, 0.048, 0.060, 0.072], [0.6795, 0.680, 0.674, 0.664, 0.672, 0.704, 0.755])
# Depth z against the height of the lower border: from the ear along the jaw to the throat.
LOWER_BORDER = ([0.04, 0.07, 0.11, 0.15], [0.660, 0.622, 0.604, 0.606])
REAR_BORDER = 0.048
"""Depth z behind which no beard grows: in front of the ear."""
MOUSTACHE_HEIGHT, MOUSTACHE_HALF = 0.668, 0.034
LIPS_HEIGHT, LIPS_HALF = 0.6605, (0.028, 0.0115)
STUBBLE_HAIRS, FULL_HAIRS, FULL_UNDER = 4200, 2700, 1300
FULL_FADE = (-0.001, 0.008)
"""Metres inside the border over which a full beard gets dense."""
STUBBLE_LENGTH = (0.0010, 0.0022)
CURL_WAVELENGTH, CURL_AMPLITUDE = 0.013, 0.0011
"""Metres: beard hair is never straight."""
DOWN = np.array([0, -1, 0], np.float32)
TINTS = {"none": 0.10, "stubble": 0.42, "full": 0.90}
"""Share of the hair's colour in the skin under it; clean-shaven men keep a shadow."""


def beard_inside(template: Floats) -> Floats:
    """Metres inside the border of a beard (N,), negative outside, of template points (N, 3)."""
    x, y, z = np.abs(template[:, 0]), template[:, 1], template[:, 2]
    inside = np.interp(x, *UPPER_BORDER) - y
    inside = np.minimum(inside, y - np.interp(z, *LOWER_BORDER))
    inside = np.minimum(inside, z - REAR_BORDER)
    # the moustache is a narrow band: it is full a few millimetres from its border
    inside = np.where((y > MOUSTACHE_HEIGHT) & (x < MOUSTACHE_HALF), 2.5 * inside, inside)
    half_width, half_height = LIPS_HALF
    mouth = half_height * np.sqrt(np.clip(1 - (x / half_width) ** 2, 0, 1))
    lips = (np.abs(y - LIPS_HEIGHT) < mouth) & (z > 0.12)
    # hair is thin beside the soul patch
    inside = inside - 0.006 * np.exp(-0.5 * (((x - 0.011) / 0.004) ** 2 + ((y - 0.648) / 0.003) ** 2)) * (z > 0.13)
    inside = np.where(lips, -0.005, inside)
    return (inside + 0.0018 * noise(template, 0.01, 5)).astype(np.float32)


def beard_tint(template: Floats, attributes: Attributes) -> tuple[Floats, Floats]:
    """Share of the tint (N,) at template points (N, 3) of the skin, and its linear colour (3,): see `scalp_tint`."""
    strength = TINTS[attributes.beard]
    if attributes.beard == "none":
        strength *= (1 - attributes.gender) * (1 - attributes.skin_tone) * float(attributes.age > 16)
    shade = 0.45 if attributes.beard == "full" else 0.7
    fade = (-0.005, 0.010) if attributes.beard == "full" else (-0.008, 0.020)
    share = smoothstep(*fade, beard_inside(template)) * np.float32(strength)
    return share * (0.92 + 0.08 * noise(template, 0.004, 9)), base_colour(
        attributes.beard_color, attributes.beard_gray
    ) * np.float32(shade)


def grow_beard(scalp: Scalp, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Unlit splats of the beard; none for a shaved chin."""
    if attributes.beard == "none":
        return Splats.empty()
    look = Look(attributes.beard_color, attributes.beard_gray, specular=0.07, gloss=45)
    strands = [_stubble(scalp, rng)] if attributes.beard == "stubble" else _full(scalp, rng)
    return to_splats(Layer.BEARD, strands, look, rng)


def _roots(scalp: Scalp, count: int, fade: tuple[float, float], rng: np.random.Generator) -> Roots:
    surface = scalp.surface
    middles = surface.template[surface.faces].mean(1)
    usable = surface.outer_skin & ~surface.regions["ears"] & ~surface.regions["lips"]
    usable[usable] = beard_inside(middles[usable]) > fade[0] - 0.006
    roots = scatter(surface, usable, int(1.8 * count), rng)
    edge = beard_inside(roots.template)
    keep = np.flatnonzero(smoothstep(*fade, edge) > rng.random(len(roots)))
    keep = np.sort(rng.permutation(keep)[:count])
    chosen = roots.select(keep)
    return Roots(chosen.face, chosen.position, chosen.normal, chosen.template, edge[keep])


def _stubble(scalp: Scalp, rng: np.random.Generator) -> Strands:
    roots = _roots(scalp, STUBBLE_HAIRS, (-0.006, 0.018), rng)
    count = len(roots)
    down = unit(0.7 * roots.normal + DOWN + 0.35 * rng.standard_normal((count, 3)).astype(np.float32))
    length = rng.uniform(*STUBBLE_LENGTH, count).astype(np.float32) * np.float32(scalp.size)
    base = roots.position + roots.normal * np.float32(0.0002)
    points = np.stack([base, base + down * length[:, None]], axis=1)
    radius = np.full(count, 0.00024 * scalp.size, np.float32)
    return Strands(points, roots.face, radius, np.arange(count), np.ones(1, np.float32), shade=0.8, opacity=0.6)


def _full(scalp: Scalp, rng: np.random.Generator) -> list[Strands]:
    """A short dense layer on the skin, the curly hairs that are seen, and more of both for the moustache."""
    return [
        _layer(scalp, _roots(scalp, FULL_UNDER, FULL_FADE, rng), 2, (0.35, 0.7), (0.0010, 0.0015), 0.6, rng),
        _layer(scalp, _roots(scalp, FULL_HAIRS, FULL_FADE, rng), 4, (0.6, 1.1), (0.00032, 0.00052), 1.0, rng),
        _layer(scalp, _moustache_roots(scalp, 260, rng), 2, (0.4, 0.7), (0.0008, 0.0011), 0.6, rng),
        _layer(scalp, _moustache_roots(scalp, 520, rng), 4, (0.7, 1.0), (0.00026, 0.00040), 1.0, rng),
    ]


def _moustache_roots(scalp: Scalp, count: int, rng: np.random.Generator) -> Roots:
    """Roots of the moustache alone, which a draw by area leaves too thin."""
    roots = _roots(scalp, 14 * count, FULL_FADE, rng)
    return roots.select(np.flatnonzero(_moustache(roots))[:count])


def _layer(
    scalp: Scalp, roots: Roots, segments: int, length: tuple[float, float], radius: tuple[float, float], shade: float,
    rng: np.random.Generator,
) -> Strands:  # fmt: skip
    count = len(roots)
    size = np.float32(scalp.size)
    grown = _length(roots) * rng.uniform(*length, count).astype(np.float32) * size
    way = _direction(roots)
    direction = unit(way + _lift(roots)[:, None] * roots.normal + 0.18 * rng.standard_normal((count, 3)))
    lock = locks(roots.position, count // 4, rng)
    astray = 0.25 * np.clip(rng.standard_normal((count, 3)), -1.5, 1.5)[lock].astype(np.float32)
    points = [roots.position]
    for _ in range(segments):
        direction = unit(direction + 0.30 * way + astray * 0.35 + 0.22 * DOWN)
        points.append((points[-1] + direction * (grown / segments)[:, None]).astype(np.float32))
    curve = gather(np.stack(points, axis=1), lock, 0.4)
    along = np.linspace(0, 1, segments + 1, dtype=np.float32)[None] * grown[:, None]
    turn = rng.uniform(0, 2 * np.pi, (count, 1)).astype(np.float32) + along * np.float32(2 * np.pi / CURL_WAVELENGTH)
    swing = CURL_AMPLITUDE * size * np.minimum(1, along / 0.006)
    across = unit(np.cross(direction, roots.normal))
    curve += (swing * np.cos(turn))[..., None] * across[:, None]
    curve += (swing * np.sin(turn))[..., None] * roots.normal[:, None]
    above = np.linspace(0.0002, 0.0016, segments + 1, dtype=np.float32)[None] * size
    curve = scalp.field.push_out(curve, np.broadcast_to(above, curve.shape[:2]), passes=1)
    thick = rng.uniform(*radius, count).astype(np.float32) * size
    taper = np.linspace(1.1, 0.6 if segments > 2 else 0.8, segments, dtype=np.float32)
    return Strands(curve, roots.face, thick, lock, taper, shade)


def _moustache(roots: Roots) -> np.ndarray:
    return (roots.template[:, 1] > MOUSTACHE_HEIGHT) & (np.abs(roots.template[:, 0]) < MOUSTACHE_HALF)


def _chin(roots: Roots) -> Floats:
    x, y = np.abs(roots.template[:, 0]), roots.template[:, 1]
    return smoothstep(0.654, 0.630, y) * smoothstep(0.055, 0.020, x)


def _length(roots: Roots) -> Floats:
    cheek = 0.009 + 0.018 * _chin(roots) + 0.005 * smoothstep(0.67, 0.64, roots.template[:, 1])
    full = np.where(_moustache(roots), np.float32(0.0115), cheek)
    return (full * (0.4 + 0.6 * smoothstep(0, 0.012, roots.edge))).astype(np.float32)


def _lift(roots: Roots) -> Floats:
    return np.where(_moustache(roots), np.float32(0.22), 0.35 + 0.30 * _chin(roots)).astype(np.float32)


def _direction(roots: Roots) -> Floats:
    """(N, 3): the moustache runs outwards, cheeks down and a little back, the chin down."""
    side = np.sign(roots.template[:, 0])
    moustache = _moustache(roots)
    across = np.where(moustache, side * smoothstep(0.0, 0.006, np.abs(roots.template[:, 0])), -0.08 * side)
    down = np.where(moustache, -0.55, -1.0)
    forward = np.where(moustache, 0.05, -0.12 + 0.25 * _chin(roots))
    return unit(np.stack([across, down, forward], axis=1))
