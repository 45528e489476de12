"""Teeth one by one, gums and tongue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.avatar import Layer
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import bump, mix, noise, smoothstep, srgb
from pipeline.priors.procedural.splats import Floats, Shading, Splats, f32, frame_from_normal, unit
from pipeline.priors.procedural.surface import Mask, Samples, Surface

GRID = 0.72e-3
"""Metres between the discs of a front tooth."""
BULGE = 0.9e-3
"""How far the middle of a tooth stands out from the arch, metres."""
ARCH_MIDDLE = f32([0, 0.665, 0.100])
"""Inside both rows of teeth on the template."""
GUM_ABOVE = 2.6e-3
"""Height of the gum that is drawn beyond the necks of the teeth, metres."""


@dataclass(frozen=True)
class Arch:
    """The outer wall of one row of teeth of the template's left half, from the middle backwards; millimetres."""

    region: str
    edge: NDArray[np.float32]
    """(K, 3) along the biting edge."""
    base: NDArray[np.float32]
    """(K, 3) along the far side of the gum."""
    widths: tuple[float, ...]
    """Of the teeth, from the middle."""
    heights: tuple[float, ...]
    """Of their crowns."""
    steps: tuple[float, ...]
    """How much further from the biting line each one ends."""
    light: float
    """Share of the light that gets to it past the lips."""


UPPER = Arch(
    "teeth_upper",
    f32([(0, 660, 146.8), (8.9, 660.4, 146.4), (17.4, 662, 141.2), (22.1, 664, 134.2), (25.4, 665.7, 126),
                (28.4, 667.6, 117.3), (29.7, 668.8, 110.4)]),
    f32([(0, 679, 151.1), (7.8, 679.2, 150.8), (16.1, 680.1, 145.4), (21, 681.1, 137), (24.8, 682.2, 129),
                (28.2, 682.7, 119.9), (29.2, 682.6, 112.8)]),
    (8.8, 7.0, 7.8, 7.2, 7.2, 9.5),
    (10.2, 9.2, 9.8, 8.4, 8.0, 7.5),
    (0.0, 0.6, 0.1, 0.5, 0.6, 0.7),
    1.0,
)  # fmt: skip
LOWER = Arch(
    "teeth_lower",
    f32([(0, 659.3, 146.7), (9.1, 659.6, 146.2), (17.7, 661.2, 141.3), (22.2, 663.1, 134), (25.6, 664.9, 125.8),
                (28.4, 666.5, 116.9), (29.2, 668, 110.1)]),
    f32([(0, 641.9, 142.7), (9.7, 642.8, 142.4), (19, 645, 137.6), (23.5, 647.5, 131.1), (26.4, 650.2, 122.8),
                (28.7, 653.2, 114.1), (29.2, 654.9, 107.4)]),
    (5.5, 6.0, 7.0, 7.2, 7.4, 10.0),
    (8.6, 8.8, 9.4, 8.4, 8.0, 7.5),
    (0.2, 0.2, 0.0, 0.4, 0.6, 0.8),
    0.72,
)  # fmt: skip


def make_mouth(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Both rows of teeth with their gums, and the tongue."""
    rows = [_row(surface, arch, sign, attributes, rng) for arch in (UPPER, LOWER) for sign in (1.0, -1.0)]
    return Splats.concatenate([*rows, _tongue(surface, rng)])


def _row(surface: Surface, arch: Arch, sign: float, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """The teeth and gum of one side of one jaw."""
    parts = []
    start = 0.0
    wall = _outer_wall(surface, arch.region)
    for width, height, step in zip(arch.widths, arch.heights, arch.steps, strict=True):
        middle = (start + width / 2) * 1e-3
        crown = (width * 1e-3, height * 1e-3, step * 1e-3)
        parts.append(_tooth(surface, arch, wall, sign, middle, crown, attributes, rng))
        parts.append(_gum(surface, arch, wall, sign, middle, width * 1e-3, (height + step) * 1e-3))
        start += width
    return Splats.concatenate(parts)


def _tooth(
    surface: Surface, arch: Arch, wall: Mask, sign: float, middle: float,
    crown: tuple[float, float, float], attributes: Attributes, rng: np.random.Generator,
) -> Splats:  # fmt: skip
    """A bulged plate, round at the biting corners and narrower at its neck; ``crown`` is its width, height and
    distance from the biting line."""
    width, height, step = crown
    a, b, cell = _grid(width * 0.98, height)
    a = a / (width / 2)
    t = b / height
    half = 0.99 - 0.13 * smoothstep(0.55, 1.0, t) - 0.20 * smoothstep(0.14, 0.0, t) ** 2
    a, t = a[np.abs(a) <= half], t[np.abs(a) <= half]
    place = _on_arch(surface, arch, wall, sign, f32(middle + a * width / 2), step + t * height)
    along, up = _directions(place, sign)
    rise = (1 - np.abs(a) ** 2.6) * (0.55 + 0.45 * np.sin(np.pi * np.clip(0.15 + 0.85 * t, 0, 1)))
    normal = unit(place.normal + (a * np.abs(a) ** 0.6 * 0.75)[:, None] * along + (0.40 * (t - 0.45))[:, None] * up)
    position = place.position + place.normal * (rise * BULGE * surface.size)[:, None]
    return Splats.of(
        Layer.MOUTH,
        Shading.CLOTH,
        face=place.face,
        position=position,
        # discs lie almost flat on the arch: tilted like the shading normal they would show as terraces
        rotation=frame_from_normal(unit(0.75 * place.normal + 0.25 * normal)),
        scale=f32([cell * 0.78, cell * 0.78, cell * 0.10]) * np.float32(surface.size),
        opacity=0.97,
        albedo=_enamel(a, t, attributes, rng),
        normal=normal,
        ambient=arch.light * _depth(place) * (1 - 0.28 * np.abs(a) ** 6),
        shadow=arch.light * _depth(place) * 0.85,
        specular=0.30,
        gloss=55.0,
        subsurface=0.45,
    )


def _enamel(a: Floats, t: Floats, attributes: Attributes, rng: np.random.Generator) -> Floats:
    """(N, 3): ivory, warmer at the neck, bluish and darker where the edge lets light through, dark between teeth."""
    age = float(smoothstep(35, 85, attributes.age))
    ivory = mix(srgb(226, 216, 198), srgb(206, 186, 150), age) * np.exp(0.03 * rng.standard_normal())
    color = mix(np.tile(ivory, (len(a), 1)), ivory * f32([0.92, 0.82, 0.66]), 0.8 * smoothstep(0.55, 1.0, t))
    color = mix(color, ivory * f32([0.80, 0.83, 0.88]), 0.55 * smoothstep(0.16, 0.0, t))
    return color * (1 - 0.42 * smoothstep(0.80, 1.0, np.abs(a)))[:, None]


def _gum(surface: Surface, arch: Arch, wall: Mask, sign: float, middle: float, width: float, neck: float) -> Splats:
    """Pink scallops between and beyond the necks."""
    a, b, cell = _grid(width, GUM_ABOVE + 2.4e-3, 0.95e-3)
    a = a / (width / 2)
    height = neck - 2.0e-3 + b
    scallop = neck - 0.9e-3 - 1.5e-3 * np.abs(a) ** 2.2
    keep = height > scallop
    a, height = a[keep], height[keep]
    place = _on_arch(surface, arch, wall, sign, f32(middle + a * width / 2), height)
    along, _ = _directions(place, sign)
    root = (1 - a**2) * 0.55e-3
    normal = unit(place.normal + 0.25 * a[:, None] * along)
    return Splats.of(
        Layer.MOUTH,
        Shading.SKIN,
        face=place.face,
        position=place.position + place.normal * ((0.45e-3 + root) * surface.size)[:, None],
        rotation=frame_from_normal(normal),
        scale=f32([cell * 0.76, cell * 0.76, cell * 0.12]) * np.float32(surface.size),
        opacity=0.96,
        albedo=srgb(190, 112, 106) * np.exp(0.06 * noise(place.template, 0.002, 5))[:, None],
        normal=normal,
        ambient=_depth(place) * 0.9,
        shadow=_depth(place) * 0.7,
        specular=0.35,
        gloss=30.0,
        subsurface=0.4,
    )


def _grid(width: float, height: float, step: float = GRID) -> tuple[Floats, Floats, float]:
    """Staggered points of a plate: across −width/2…width/2, up 0…height, and their spacing, metres."""
    across = max(3, round(width / step))
    rows = max(3, round(height / step))
    x, y = np.meshgrid((np.arange(across) + 0.5) / across - 0.5, (np.arange(rows) + 0.5) / rows)
    x = x + np.where(np.arange(rows) % 2, 0.25, -0.25)[:, None] / across
    return f32(x * width).ravel(), f32(y * height).ravel(), max(width / across, height / rows)


def _on_arch(surface: Surface, arch: Arch, wall: Mask, sign: float, along: Floats, height: Floats) -> Samples:
    """Places on the arch: ``along`` metres from the midline, ``height`` metres from the biting line."""
    edge, base = arch.edge * 1e-3, arch.base * 1e-3
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))]
    # a tooth that reaches over the midline continues on the other side
    far = np.abs(along)
    low = np.stack([np.interp(far, length, edge[:, k]) for k in range(3)], axis=1)
    high = np.stack([np.interp(far, length, base[:, k]) for k in range(3)], axis=1)
    up = unit(high - low)
    place = (low + up * height[:, None]).astype(np.float32)
    place[:, 0] *= sign * np.where(along < 0, -1, 1)
    return surface.attach(place, wall)


def _outer_wall(surface: Surface, region: str) -> Mask:
    """(F,) the faces of a row of teeth that look towards lips and cheeks."""
    corners = surface.template[surface.faces]
    outward = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    away = corners.mean(1) - ARCH_MIDDLE
    return surface.regions[region] & ((outward[:, [0, 2]] * unit(away)[:, [0, 2]]).sum(1) > 0.4)


def _directions(place: Samples, sign: float) -> tuple[Floats, Floats]:
    """Unit directions away from the midline and up, along the arch's wall."""
    along = unit(np.cross(f32([0, sign, 0]), place.normal))
    return along, unit(np.cross(place.normal, along)) * np.float32(sign)


def _depth(place: Samples) -> Floats:
    """Light that gets to a place in the open mouth, less further back."""
    return (0.18 + 0.72 * smoothstep(0.108, 0.150, place.template[:, 2])).astype(np.float32)


def _tongue(surface: Surface, rng: np.random.Generator) -> Splats:
    samples = surface.sample(surface.regions["tongue"], 0.0025 * surface.size, rng)
    place = samples.template
    groove = bump(place, (0, 0.664, 0.122), (0.0016, 0.02, 0.016))
    bumps = noise(place, 0.0018, 2)
    normal = unit(samples.normal + 0.10 * np.stack([noise(place, 0.002, 20 + k) for k in range(3)], axis=1))
    light = 0.05 + 0.55 * smoothstep(0.095, 0.142, place[:, 2])
    wide = samples.spacing * 0.75
    return Splats.of(
        Layer.MOUTH,
        Shading.SKIN,
        face=samples.face,
        position=samples.position,
        rotation=frame_from_normal(samples.normal),
        scale=np.stack([wide, wide, wide * 0.14], axis=1),
        opacity=0.97,
        albedo=srgb(188, 104, 102) * np.exp(0.09 * bumps - 0.25 * groove)[:, None],
        normal=normal,
        ambient=light * (0.6 + 0.4 * smoothstep(-0.2, 0.6, samples.normal[:, 1])),
        shadow=light * 0.8,
        specular=0.35,
        gloss=26.0,
        subsurface=0.45,
    )
