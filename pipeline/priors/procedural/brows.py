"""Eyebrows and eyelashes, hair by hair."""

from __future__ import annotations

import numpy as np

from pipeline.avatar import Layer
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import mix, smoothstep, srgb
from pipeline.priors.procedural.hair.colour import base_colour
from pipeline.priors.procedural.lids import SIDES, eyeball, lid_curve
from pipeline.priors.procedural.splats import Floats, Shading, Splats, curve_splats, f32, unit
from pipeline.priors.procedural.surface import Surface

# The middle of the left brow from its head to its tail: template metres, and half its height along it.
BROW_X = (0.0125, 0.0200, 0.0300, 0.0400, 0.0480, 0.0570)
BROW_Y = {
    "male": (0.7446, 0.7464, 0.7480, 0.7485, 0.7470, 0.7420),
    "female": (0.7458, 0.7476, 0.7498, 0.7511, 0.7493, 0.7432),
}
BROW_HALF = (0.0026, 0.0034, 0.0034, 0.0028, 0.0019, 0.0006)
BROW_HAIRS = 340
"""Per side, of an average brow."""
UPPER_LASHES, LOWER_LASHES = 92, 36


def make_brows(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Eyebrows and lashes of both sides."""
    parts = []
    for side in SIDES:
        parts += [_brow(surface, attributes, side, rng), _lashes_of(surface, attributes, side, rng)]
    return Splats.concatenate(parts)


def make_lashes(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """The lashes of both sides alone."""
    return Splats.concatenate([_lashes_of(surface, attributes, side, rng) for side in SIDES])


def brow_color(attributes: Attributes) -> Floats:
    """(3,) linear: a brow is darker than the hair, and turns grey later."""
    own = base_colour(attributes.hair.color, 0.75 * attributes.hair.gray)
    fair = float(smoothstep(0.0, 0.08, own.mean()))
    return mix(own * 0.75, srgb(44, 32, 26), 0.40 * (1 - attributes.hair.gray) * fair)


def _child(attributes: Attributes) -> float:
    return float(smoothstep(16, 6, attributes.age))


def brow_middle(x: Floats, attributes: Attributes) -> tuple[Floats, Floats]:
    """Height of the brow's middle and half its width at distance x from the midline, template metres."""
    male, female = (np.interp(x, BROW_X, BROW_Y[kind]) for kind in ("male", "female"))
    middle = male + (female - male) * attributes.gender
    # the folds of age pull the head of the brow down into a frown that nobody means
    unfrown = 0.6 * np.exp(-(((x - 0.010) / 0.012) ** 2)) - 0.4 * smoothstep(0.02, 0.04, x)
    middle = middle + 0.0022 * attributes.wrinkles * unfrown
    bushy = (0.72 + 0.56 * attributes.eyebrows) * (1.08 - 0.24 * attributes.gender) * (1 - 0.25 * _child(attributes))
    return f32(middle), f32(np.interp(x, BROW_X, BROW_HALF) * bushy)


def brow_cover(template: Floats, attributes: Attributes) -> Floats:
    """How densely the brow covers template points (N, 3), 0..1: the skin there is tinted with its shade."""
    x = np.abs(template[:, 0])
    middle, half = brow_middle(x, attributes)
    across = (template[:, 1] - middle) / (half + 0.0008)
    inside = smoothstep(BROW_X[0] - 0.002, BROW_X[0] + 0.004, x) * smoothstep(BROW_X[-1] + 0.001, BROW_X[-1] - 0.006, x)
    return np.exp(-1.3 * across**2) * inside * (template[:, 2] > 0.08)


def _brow(surface: Surface, attributes: Attributes, side: str, rng: np.random.Generator) -> Splats:
    sign = 1.0 if side == "left" else -1.0
    dense = (0.62 + 0.76 * attributes.eyebrows) * (1.15 - 0.25 * attributes.gender) * (1 - 0.35 * _child(attributes))
    count = int(BROW_HAIRS * dense)
    u = rng.random(count) ** 0.95
    x = f32(BROW_X[0] + (BROW_X[-1] - BROW_X[0]) * u)
    middle, half = brow_middle(x, attributes)
    v = np.clip(rng.normal(0, 0.5, count), -1.0, 1.0)
    root = surface.front(np.stack([sign * x, middle + half * v], axis=1))
    # at the head hairs stand up; along the brow they lie outwards, the lower ones rising and the upper ones falling
    rise = np.interp(u, [0, 0.15, 0.45, 0.8, 1], [1.5, 0.95, 0.42, -0.10, -0.50])
    rise = rise - np.interp(u, [0, 0.3, 1], [0.1, 0.5, 0.4]) * v
    outward = np.interp(u, [0, 0.15, 0.45, 1], [0.25, 0.65, 1.0, 1.0])
    heading = np.stack([sign * outward, rise, np.zeros(count)], axis=1)
    heading += 0.16 * rng.standard_normal((count, 3))
    direction = _along_skin(heading, root.normal)
    length = np.interp(u, [0, 0.15, 0.6, 1], [0.0042, 0.0062, 0.0070, 0.0050]) * rng.uniform(0.75, 1.1, count)
    length *= surface.size * (0.86 + 0.28 * attributes.eyebrows)
    t = np.linspace(0, 1, 4)[:, None]
    bend = _along_skin(np.stack([sign * np.ones(count), -0.55 * np.ones(count), np.zeros(count)], axis=1), root.normal)
    path = direction[:, None] * t + 0.30 * (bend - direction)[:, None] * t**2
    path = path + root.normal[:, None] * (0.05 + 0.10 * t * (1 - t))
    color = brow_color(attributes) * np.exp(0.22 * rng.standard_normal((count, 1)))
    thick = rng.uniform(0.085e-3, 0.135e-3, count) * (1.12 - 0.18 * attributes.gender) * surface.size
    thick *= 1 - 0.2 * _child(attributes)
    return curve_splats(
        Layer.BROW,
        Shading.HAIR,
        points=(root.position[:, None] + path * length[:, None, None]).astype(np.float32),
        radius=thick[:, None] * np.array([[1.1, 1.0, 0.6]]),
        face=root.face,
        normal=root.normal,
        albedo=color.astype(np.float32),
        opacity=f32([[0.80, 0.80, 0.62]]),
        ambient=0.9,
        shadow=0.75,
        specular=0.012,
        gloss=40.0,
    )


def _along_skin(heading: Floats, normal: Floats) -> Floats:
    flat = heading - (heading * normal).sum(1, keepdims=True) * normal
    return unit(flat)


def _lashes_of(surface: Surface, attributes: Attributes, side: str, rng: np.random.Generator) -> Splats:
    parts = [_lashes(surface, attributes, side, lid, rng) for lid in ("upper", "lower")]
    return Splats.concatenate([*parts, _lid_line(surface, attributes, side)])


def _lashes(surface: Surface, attributes: Attributes, side: str, lid: str, rng: np.random.Generator) -> Splats:
    """Lashes grow from the rim along the template's lash strip, curl up and gather in small tufts."""
    upper = lid == "upper"
    count = UPPER_LASHES if upper else LOWER_LASHES
    along = np.clip((np.arange(count) + rng.uniform(-0.45, 0.45, count)) / count, 0.02, 0.98)
    along = 0.05 + 0.93 * along
    root = lid_curve(surface, side, f"{lid}_rim", along)
    tufts = np.round(along * (26 if upper else 16)) / (26 if upper else 16)
    tip = lid_curve(surface, side, f"{lid}_tip", along + 0.55 * (tufts - along))
    ball = eyeball(surface, side)
    outward = unit(root.position - ball.centre)
    heading = unit(unit(tip.position - root.position) + 0.25 * outward + 0.07 * rng.standard_normal((count, 3)))
    groomed = 0.85 + 0.35 * attributes.gender + 0.35 * attributes.makeup
    longest = (0.0048 if upper else 0.0017) * groomed * surface.size
    length = longest * np.interp(along, [0, 0.25, 0.75, 1], [0.45, 0.85, 1.0, 0.7]) * rng.uniform(0.75, 1.08, count)
    t = np.linspace(0, 1, 5)[:, None]
    curl = f32([0, 0.62, 0.10]) if upper else f32([0, -0.25, 0.25])
    path = heading[:, None] * t + 0.55 * curl * t**2
    brow = brow_color(attributes)
    color = mix(srgb(20, 15, 13), brow, 0.5 * (1 - attributes.makeup) * float(brow.mean() > 0.02))
    opacity = (0.56 if upper else 0.17) + 0.25 * attributes.makeup + 0.06 * attributes.gender
    return curve_splats(
        Layer.BROW,
        Shading.HAIR,
        points=(root.position[:, None] + path * length[:, None, None]).astype(np.float32),
        radius=0.072e-3 * (1 + 0.5 * attributes.makeup) * surface.size * np.array([[1.15, 1.0, 0.8, 0.5]]),
        face=root.face,
        normal=outward,
        albedo=color,
        opacity=min(opacity, 0.95),
        ambient=0.6,
        shadow=0.6,
    )


def _lid_line(surface: Surface, attributes: Attributes, side: str) -> Splats:
    """The shade of the lash roots on the upper rim; eyeliner with make-up."""
    root = lid_curve(surface, side, "upper_rim", np.linspace(0.04, 1.0, 30))
    ball = eyeball(surface, side)
    strength = 0.22 + 0.10 * attributes.gender + 0.55 * attributes.makeup
    return curve_splats(
        Layer.BROW,
        Shading.SKIN,
        points=(root.position + 0.0001 * root.normal)[None],
        radius=(0.00022 + 0.00012 * attributes.makeup) * surface.size,
        face=root.face[None, 1:],
        normal=unit(root.position[1:] - ball.centre)[None],
        albedo=srgb(44, 28, 24),
        opacity=(strength * np.interp(np.linspace(0, 1, 29), [0, 0.3, 1], [0.35, 0.9, 1.0]))[None],
        ambient=0.6,
        shadow=0.5,
    )
