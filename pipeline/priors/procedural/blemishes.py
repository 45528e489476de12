"""Freckles, moles and age spots: discs of their own, since skin discs are too coarse to carry them."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import bump, mirrored, noise, smoothstep
from pipeline.priors.procedural.splats import Floats, Splats, f32, frame_from_normal

FRECKLES, AGE_SPOTS = 1400, 46
LIFT = 2.5e-4
"""Metres over the skin's discs."""


def make_blemishes(
    skin: Splats, template: Floats, bare: Floats, attributes: Attributes, rng: np.random.Generator
) -> Splats:
    """Spots on some of the ``skin`` splats; ``template`` (N, 3) their places, ``bare`` (N,) 1 where no hair, lip or
    lining is."""
    parts = []
    count = int(FRECKLES * attributes.freckles)
    if count:
        size = f32(np.exp(rng.normal(np.log(4.7e-4), 0.34, count)))
        tint = f32([0.70, 0.52, 0.42])
        opacity = (0.20, 0.28 + 0.47 * attributes.freckles)
        parts.append(_spots(skin, _freckle_density(template) * bare, size, tint, opacity, rng))
    spots = int(AGE_SPOTS * float(smoothstep(0.35, 1.0, attributes.wrinkles)) * (1 - 0.6 * attributes.skin_tone))
    if spots:
        size = f32(rng.uniform(0.7e-3, 1.9e-3, spots))
        density = bare * (template[:, 1] > 0.63) * (0.3 + (np.abs(template[:, 0]) > 0.035))
        parts.append(_spots(skin, density, size, f32([0.80, 0.66, 0.54]), (0.15, 0.45), rng))
    moles = rng.poisson(1.2) if attributes.age > 12 else 0
    if moles:
        size = f32(rng.uniform(4e-4, 6.5e-4, moles))
        density = bare * (template[:, 2] > 0.05) * (template[:, 1] > 0.62)
        parts.append(_spots(skin, density, size, f32([0.42, 0.32, 0.27]), (0.5, 0.8), rng))
    return Splats.concatenate(parts)


def _freckle_density(template: Floats) -> Floats:
    folded = mirrored(template)
    cheeks = bump(folded, (0.030, 0.703, 0.135), (0.024, 0.016, 0.05))
    cheeks = cheeks + bump(template, (0, 0.708, 0.155), (0.014, 0.016, 0.03))
    patchy = np.clip(1 + 0.5 * noise(template, 0.014, 23), 0.1, None)
    everywhere = 0.10 * smoothstep(0.66, 0.72, template[:, 1])
    return np.clip(cheeks * 1.2 + everywhere, 0, 1) * patchy * (template[:, 2] > 0.06)


def _spots(
    skin: Splats, density: Floats, size: Floats, tint: Floats, opacity: tuple[float, float], rng: np.random.Generator
) -> Splats:
    chance = np.clip(density, 0, None) * skin.scale[:, 0] ** 2
    chosen = skin.select(rng.choice(len(skin), len(size), p=chance / chance.sum()))
    jitter = rng.normal(0, 1, (len(size), 3)).astype(np.float32) * chosen.scale[:, :1]
    jitter -= (jitter * chosen.normal).sum(1, keepdims=True) * chosen.normal
    chosen.position += jitter + chosen.normal * np.float32(LIFT)
    chosen.rotation[:] = frame_from_normal(chosen.normal, rng.standard_normal((len(size), 3)))
    chosen.scale[:] = size[:, None] * f32([1.15, 0.95, 0.15])
    chosen.opacity[:] = rng.uniform(*opacity, len(size))
    chosen.albedo *= tint
    chosen.subsurface[:] = 0.5
    return chosen
