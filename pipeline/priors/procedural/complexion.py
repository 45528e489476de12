"""The colour of skin: tone, blood, lips, make-up, beard shadow, age. Positions are template metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.beard import beard_tint
from pipeline.priors.procedural.brows import brow_color, brow_cover
from pipeline.priors.procedural.fields import bump, mirrored, mix, noise, smoothstep, srgb
from pipeline.priors.procedural.hair import scalp_tint
from pipeline.priors.procedural.splats import Floats, f32

TONES = np.array(
    [(243, 206, 186), (232, 188, 162), (215, 168, 137), (190, 141, 110), (150, 104, 77), (104, 70, 52), (74, 49, 38)],
    np.float64,
)
"""Display colours of lit skin from the palest to the darkest."""
EYE = (0.031, 0.7284, 0.1245)
"""Centre of the left eyeball on the template."""
BLOOD = np.array([0.015, 0.19, 0.17], np.float32)
"""How much of red, green and blue the blood of a flushed place swallows."""
LINING = srgb(158, 74, 70)
"""The mucous membrane of mouth and eyelids."""


@dataclass(frozen=True)
class Parts:
    """Soft membership 0..1 of each skin splat (N,) in the parts that are coloured on their own."""

    lips: Floats
    eyelids: Floats
    ears: Floats
    lining: Floats
    """Inside of the mouth."""
    socket: Floats
    """Behind the eyelids."""


def base_tone(skin_tone: float) -> Floats:
    """(3,) linear albedo of a skin tone 0 (palest) … 1 (darkest)."""
    place = np.clip(skin_tone, 0, 1) * (len(TONES) - 1)
    return srgb(*(float(np.interp(place, np.arange(len(TONES)), TONES[:, c])) for c in range(3)))


def darkness(attributes: Attributes) -> float:
    """0 for skin that shows blood and veins, 1 for skin whose melanin hides them."""
    return float(smoothstep(0.45, 0.9, attributes.skin_tone))


def youth(attributes: Attributes) -> float:
    """1 for a small child, 0 from fifteen on."""
    return float(smoothstep(15, 5, attributes.age))


def skin_albedo(template: Floats, parts: Parts, attributes: Attributes) -> tuple[Floats, Floats]:
    """(N, 3) linear albedo of skin without freckles or wrinkles, and how much of it hair hides (N,) 0..1."""
    folded = mirrored(template)
    base = base_tone(attributes.skin_tone)
    albedo = np.tile(base, (len(template), 1))
    albedo *= 1 - _flush(template, folded, parts, attributes)[:, None] * BLOOD
    albedo *= _zones(template, folded, attributes)
    albedo *= _texture(template, attributes)
    albedo = _eye_makeup(albedo, folded, attributes)
    albedo, hidden = _under_hair(albedo, template, attributes)
    albedo = mix(albedo, _lip_color(template, base, attributes), _lip_mask(parts) * 0.94)
    albedo = mix(albedo, np.broadcast_to(LINING, albedo.shape), parts.lining)
    return mix(albedo, np.broadcast_to(srgb(176, 104, 96), albedo.shape), parts.socket), hidden


def _lip_mask(parts: Parts) -> Floats:
    return smoothstep(0.15, 0.85, parts.lips)


def _flush(template: Floats, folded: Floats, parts: Parts, attributes: Attributes) -> Floats:
    """Where blood shows: cheeks, nose, ears, lids, chin."""
    cheeks = bump(folded, (0.043, 0.690, 0.125), (0.016, 0.013, 0.03))
    apples = bump(folded, (0.036, 0.697, 0.135), (0.012, 0.010, 0.03))
    nose = bump(template, (0, 0.692, 0.166), (0.011, 0.009, 0.012))
    nostrils = bump(folded, (0.015, 0.686, 0.150), (0.005, 0.005, 0.010))
    chin = bump(template, (0, 0.632, 0.150), (0.014, 0.009, 0.02))
    redness = 0.62 * cheeks + 0.50 * nose + 0.36 * nostrils + 0.22 * chin + 0.55 * parts.ears + 0.22 * parts.eyelids
    redness += 0.45 * youth(attributes) * cheeks + 0.75 * attributes.makeup * apples
    redness += 0.05 * noise(template, 0.028, 1)
    return np.clip(0.98 * redness, 0, 1.2) * (1 - 0.55 * darkness(attributes))


def _zones(template: Floats, folded: Floats, attributes: Attributes) -> Floats:
    """(N, 3) factor: a yellower forehead, bluish shade under the eyes and in the inner corner, the lid's crease."""
    tired = 0.16 + 0.5 * attributes.wrinkles - 0.15 * youth(attributes)
    factor = np.ones((len(template), 3), np.float32)
    forehead = bump(template, (0, 0.775, 0.150), (0.05, 0.02, 0.03))
    factor *= 1 - forehead[:, None] * f32([-0.01, 0.0, 0.035])
    below = bump(folded, (0.030, 0.7150, 0.135), (0.011, 0.0042, 0.02))
    inner = bump(folded, (0.0165, 0.7245, 0.132), (0.004, 0.006, 0.02))
    factor *= 1 - tired * (0.55 * below + 0.35 * inner)[:, None] * f32([0.20, 0.24, 0.13])
    return factor


def _texture(template: Floats, attributes: Attributes) -> Floats:
    """(N, 3) factor: faint mottling; more with age, hardly any on a child."""
    strength = 0.8 + 1.1 * attributes.wrinkles - 0.4 * youth(attributes)
    lumps = 0.010 * noise(template, 0.030, 2) + 0.008 * noise(template, 0.008, 4) + 0.013 * noise(template, 0.0026, 6)
    return np.exp(strength * lumps[:, None] * f32([0.7, 1.1, 1.2]))


def _under_hair(albedo: Floats, template: Floats, attributes: Attributes) -> tuple[Floats, Floats]:
    """Brows, beard and scalp tint the skin between their hairs."""
    brow = 0.42 * brow_cover(template, attributes) * (0.75 + 0.5 * attributes.eyebrows)
    hidden = np.zeros(len(albedo), np.float32)
    tints = ((brow, brow_color(attributes)), beard_tint(template, attributes), scalp_tint(template, attributes))
    for share, color in tints:
        albedo = mix(albedo, np.broadcast_to(color, albedo.shape), share)
        hidden = np.maximum(hidden, share)
    return albedo, hidden


def _eye_makeup(albedo: Floats, folded: Floats, attributes: Attributes) -> Floats:
    if attributes.makeup <= 0:
        return albedo
    lid = bump(folded, (0.0335, 0.7362, 0.135), (0.012, 0.0030, 0.02))
    return albedo * (1 - attributes.makeup * 0.42 * lid[:, None] * f32([0.62, 0.74, 0.68]))


def _lip_color(template: Floats, base: Floats, attributes: Attributes) -> Floats:
    """(N, 3): the skin's own tone with more blood, or lipstick; fine upright lines."""
    dark = darkness(attributes)
    natural = base * mix((0.82, 0.47, 0.50), (0.92, 0.66, 0.68), dark)
    fade = 0.38 * (1 - attributes.gender) + 0.25 * attributes.wrinkles + 0.40 * youth(attributes)
    color = mix(natural, base * f32([0.90, 0.78, 0.74]), min(0.7, fade))
    if attributes.lip_color != "natural":
        paint = palette.linear_rgb(attributes.lip_color, palette.LIP_COLORS)
        color = mix(color, paint * (1 - 0.35 * dark), 0.82)
    lines = 0.035 * noise(template * f32([1, 0.22, 0.22]), 0.0011, 8)
    lower = 0.96 + 0.08 * smoothstep(0.663, 0.655, template[:, 1])
    return color * (lower * np.exp(lines))[:, None]
