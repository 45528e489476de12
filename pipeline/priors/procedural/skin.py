"""Skin: a coat of small discs over the body, finest where the face moves and where people look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from pipeline.avatar import Layer
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.beard import beard_tint
from pipeline.priors.procedural.blemishes import make_blemishes
from pipeline.priors.procedural.cloth import covered
from pipeline.priors.procedural.complexion import EYE, Parts, base_tone, darkness, skin_albedo, youth
from pipeline.priors.procedural.creases import Creases
from pipeline.priors.procedural.fields import bump, mirrored, noise, smoothstep
from pipeline.priors.procedural.hair import scalp_tint
from pipeline.priors.procedural.lids import SIDES, eyeball
from pipeline.priors.procedural.shading import KEY
from pipeline.priors.procedural.splats import Floats, Shading, Splats, f32, frame_from_normal, unit
from pipeline.priors.procedural.surface import Mask, Samples, Surface, neighbourhood_mean

DISC = 0.78
"""Standard deviation of a disc in spacings: neighbours melt into one surface."""
THICKNESS = 0.10
LINING_DEPTH = 4e-3
"""Metres by which the mouth's lining is pulled away from the cheeks."""
UNDERCOAT_STRIDE = 6
"""One disc of the undercoat for so many of the skin."""
UNDERCOAT_DEPTH = 1.5e-3
"""Metres below the skin."""
OPACITY = 0.97
LID_LOWEST = -0.30
"""Upward part of a lid's normal below which it counts as the underside of a fold, which opens as the eye closes."""
LID_FACING = 0.75
"""Least cosine between the lids' normals and the direction away from the eyeball."""
NOSTRIL = (0.0098, 0.6870, 0.1568)
CAVITY = 0.72
"""How much darker nostrils and ear canals are than rays between thin walls say."""
OCCLUSION_RAYS = 28
SHADOW_RAYS = 16
SHADOW_SPREAD = 0.24
"""Radius of the key light as a tangent: a soft box."""
UNDER_HAIR = 0.9
"""Share of the scalp's tint above which the hair hides the skin."""
UNDER_BEARD = 0.8
BORDER = 3e-3
"""Width of the fine zone round lips and lids, metres of the template: a coarse disc would fray their edge."""
LIT_STRIDE = 2
"""One in so many discs casts rays."""
SMOOTHED_OVER = 9
"""Lit neighbours over which ray-cast light is averaged; single rays would show as specks."""


def make_skin(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Face, scalp, ears, neck, shoulders and the lining of mouth and eyelids."""
    visible = surface.skin & ~_dressed(surface, attributes)
    samples = surface.sample(visible, spacing(surface, visible, attributes), rng, stretched=True)
    samples = samples.select(~covered(attributes, samples.template))  # triangles reach further than the collar
    parts = skin_parts(surface, samples)
    samples = replace(samples, position=_pull_lining_in(surface, samples, parts))
    creases = Creases(surface, attributes, rng)
    normal, depth = creases.bend(samples.position, _fine_normals(surface, samples, parts, attributes))
    ambient, shadow, cavity = _light(surface, samples, parts)
    specular, gloss = _sheen(samples.template, parts, attributes)
    albedo, hidden = skin_albedo(samples.template, parts, attributes)
    wide = samples.spacing * DISC
    skin = Splats.of(
        Layer.SKIN,
        Shading.SKIN,
        face=samples.face,
        position=samples.position,
        rotation=frame_from_normal(samples.normal),
        scale=np.stack([wide, wide, samples.spacing * THICKNESS], axis=1),
        opacity=OPACITY,
        albedo=albedo * (1 - 0.34 * depth[:, None] * f32([0.75, 1.0, 1.0])) * (1 - CAVITY * cavity[:, None]),
        normal=normal,
        ambient=ambient * (1 - 0.35 * depth),
        shadow=shadow,
        specular=specular * (1 - 0.5 * depth) * (1 - 0.8 * hidden),
        gloss=gloss,
        subsurface=1.0,
    )
    bare = (1 - hidden) * (1 - smoothstep(0.2, 0.6, parts.lips)) * (1 - parts.lining) * (1 - parts.socket)
    spots = make_blemishes(skin, samples.template, bare, attributes, rng)
    strokes = creases.strokes(base_tone(attributes.skin_tone))
    return Splats.concatenate([_undercoat(skin, samples, parts, surface.size), skin, spots, strokes])


def _undercoat(skin: Splats, samples: Samples, parts: Parts, size: float) -> Splats:
    """A coarse coat under the face, so that what is dark inside the head does not show between the discs."""
    covers = (samples.template[:, 1] > 0.61) & (samples.template[:, 2] > 0.04)
    covers &= (parts.lining < 0.5) & (parts.socket < 0.5)
    covers &= (parts.eyelids < 0.02) & (parts.ears < 0.1)
    # the wings of the nose are thinner than the coat lies deep
    covers &= bump(mirrored(samples.template), NOSTRIL, (0.007, 0.006, 0.009)) < 0.3
    rows = np.flatnonzero(covers)[::UNDERCOAT_STRIDE]
    coat = skin.select(rows)
    depth = np.minimum(UNDERCOAT_DEPTH * size, 1.2 * samples.spacing[rows])
    coat.position -= samples.normal[rows] * depth[:, None]
    coat.scale[:, :2] *= np.float32(np.sqrt(UNDERCOAT_STRIDE) * 0.9)
    coat.specular[:] = 0
    return coat


def _dressed(surface: Surface, attributes: Attributes) -> Mask:
    """(F,) triangles that clothes hide with all their corners."""
    corners = covered(attributes, surface.template)[surface.faces]
    return corners[:, 0] & corners[:, 1] & corners[:, 2]


def spacing(surface: Surface, faces: Mask, attributes: Attributes) -> Floats:
    """Metres between discs for each of the chosen triangles of the skin."""
    centre = surface.template[surface.faces[faces]].mean(1)
    x, y, z = np.abs(centre[:, 0]), centre[:, 1], centre[:, 2]
    within = {name: surface.regions[name][faces] for name in ("ears", "lips", "eyelids", "inner_mouth")}

    def near(mask: Mask) -> Mask:
        return cKDTree(centre[mask]).query(centre)[0] < BORDER

    wanted = np.full(len(centre), 4.2e-3, np.float32)
    wanted[y > 0.54] = 3.2e-3
    wanted[y > 0.60] = 2.7e-3
    wanted[(y > 0.61) & (z > 0.05) & (y < 0.81) & (x < 0.085)] = 1.65e-3
    wanted[(y > 0.64) & (y < 0.76) & (z > 0.115) & (x < 0.052)] = 1.4e-3
    wanted[within["ears"]] = 1.8e-3
    wanted[scalp_tint(centre, attributes)[0] > UNDER_HAIR] = 3.4e-3
    wanted[beard_tint(centre, attributes)[0] > UNDER_BEARD] = 2.5e-3
    wanted[near(within["lips"])] = 0.90e-3
    wanted[within["lips"]] = 0.75e-3
    wanted[near(within["eyelids"])] = 0.95e-3
    wanted[within["inner_mouth"]] = 2.2e-3
    return wanted * np.float32(surface.size)


def skin_parts(surface: Surface, samples: Samples) -> Parts:
    """Soft part masks at the samples."""

    def at(region: str | Mask) -> Floats:
        return surface.interpolate(samples, surface.soft(region))

    folded = mirrored(samples.template)
    lining = smoothstep(0.35, 0.65, at("inner_mouth"))
    near_eye = np.linalg.norm(folded - f32(EYE), axis=1) < 0.021
    socket = (near_eye & (folded[:, 2] < 0.1215)).astype(np.float32)
    return Parts(at("lips") * (1 - lining), at("eyelids"), at("ears"), lining, socket)


def _pull_lining_in(surface: Surface, samples: Samples, parts: Parts) -> Floats:
    """The mouth's lining lies close behind the cheeks, which would let its discs show through a stretched face."""
    behind_lips = smoothstep(0.1505, 0.1455, samples.template[:, 2])
    depth = LINING_DEPTH * surface.size * parts.lining * behind_lips
    return samples.position + samples.normal * depth[:, None].astype(np.float32)


def _light(surface: Surface, samples: Samples, parts: Parts) -> tuple[Floats, Floats, Floats]:
    """Open sky and key light that reach each sample, and how much it lies in a nostril or an ear canal, (N,) 0..1."""
    some = slice(None, None, LIT_STRIDE)  # in random order, hence spread evenly
    position, normal = samples.position[some], samples.normal[some]
    rays = (
        surface.occlusion(position, normal, OCCLUSION_RAYS),
        surface.visibility(position, normal, KEY, SHADOW_RAYS, SHADOW_SPREAD),
    )
    ambient, shadow = neighbourhood_mean(position, rays, SMOOTHED_OVER, at=samples.position)
    depth = smoothstep(0.120, 0.152, samples.template[:, 2])
    inside = parts.lining > 0.5
    round_eye = _round_eye(samples.template) * (1 - parts.socket)
    canal = 0.8 * smoothstep(0.42, 0.12, ambient) * smoothstep(0.3, 0.8, parts.ears)
    nostril = 0.32 * bump(mirrored(samples.template), NOSTRIL, (0.0034, 0.0016, 0.0030))
    # lids are lit as if half open: what is shaded under the brow shows when they close
    folded = smoothstep(0.10, 0.45, round_eye)
    ambient = np.maximum(ambient, np.maximum(0.78 * round_eye, 0.60 * folded))
    shadow = np.maximum(shadow, np.maximum(0.66 * round_eye, 0.52 * folded))
    # muscles of the shoulders fold into each other there
    ambient = np.maximum(ambient, 0.6 * smoothstep(0.60, 0.585, samples.template[:, 1]))
    ambient = np.where(inside, ambient * (0.06 + 0.5 * depth), np.clip(ambient * 1.08, 0.02, 1))
    return ambient, np.where(inside, shadow * depth, shadow), np.maximum(canal, nostril)


def _round_eye(template: Floats) -> Floats:
    return bump(mirrored(template), (0.031, 0.7265, 0.138), (0.018, 0.0145, 0.02))


def _sheen(template: Floats, parts: Parts, attributes: Attributes) -> tuple[Floats, Floats]:
    """Strength and exponent of the highlight: oily on nose and forehead, moist on the lips."""
    folded = mirrored(template)
    oily = 0.26 * bump(template, (0, 0.702, 0.160), (0.009, 0.017, 0.03))
    oily += 0.14 * bump(template, (0, 0.775, 0.150), (0.04, 0.018, 0.04))
    oily += 0.12 * bump(folded, (0.044, 0.705, 0.120), (0.014, 0.010, 0.03))
    specular = (0.27 + oily) * (1 - 0.25 * darkness(attributes)) * (1 - 0.3 * youth(attributes))
    specular = specular * np.exp(0.13 * noise(template, 0.0016, 31))
    moist = smoothstep(0.4, 0.8, parts.lips)
    specular = specular * (1 - moist) + moist * (0.32 + 0.25 * attributes.makeup) * (1 - 0.4 * darkness(attributes))
    specular = np.where(parts.lining > 0.5, 0.4, specular)
    return specular.astype(np.float32), np.where(moist > 0.5, 32.0, 15.0).astype(np.float32)


def _fine_normals(surface: Surface, samples: Samples, parts: Parts, attributes: Attributes) -> Floats:
    """Smooth normals with pores and soft unevenness."""
    place = samples.template
    pores = np.stack([noise(place, 0.0020, 11 + k) for k in range(3)], axis=1)
    lumps = np.stack([noise(place, 0.0060, 15 + k) for k in range(3)], axis=1)
    rough = (1 - 0.35 * attributes.gender) * (1 - 0.6 * youth(attributes)) * (1 + 0.6 * attributes.wrinkles)
    rough *= 1 - 0.45 * darkness(attributes)
    tilt = (0.040 * pores + 0.012 * lumps) * rough * (1 + smoothstep(0.4, 0.8, parts.lips))[:, None]
    return _unfold_lids(surface, samples, parts, unit(samples.normal + tilt))


def _unfold_lids(surface: Surface, samples: Samples, parts: Parts, normal: Floats) -> Floats:
    """An open lid is folded away under the brow; it is lit as it faces when it lies on the ball."""
    weight = smoothstep(0.25, 0.6, _round_eye(samples.template)) * (1 - parts.socket)
    for side in SIDES:
        own = np.flatnonzero((weight > 0) & (samples.template[:, 0] * (1 if side == "left" else -1) > 0))
        outward = unit(samples.position[own] - eyeball(surface, side).centre)
        short = np.maximum(0, LID_FACING - (normal[own] * outward).sum(1)) * weight[own]
        normal[own] = unit(normal[own] + outward * short[:, None])
    below = weight * np.maximum(0, LID_LOWEST - normal[:, 1])
    return unit(normal + f32([0, 0.9, 0.25]) * below[:, None])
