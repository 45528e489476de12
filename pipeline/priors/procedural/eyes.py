"""Eyes: ball, iris, veins, the wet rim of the lower lid, the caruncle and the lights that the cornea mirrors."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pipeline.avatar import Layer
from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import mix, noise, smoothstep, srgb
from pipeline.priors.procedural.lids import SIDES, Eyeball, eyeball, lid_curve
from pipeline.priors.procedural.rays import GOLDEN_ANGLE
from pipeline.priors.procedural.shading import KEY
from pipeline.priors.procedural.splats import Floats, Shading, Splats, curve_splats, f32, frame_from_normal, unit
from pipeline.priors.procedural.surface import Surface, neighbourhood_mean

IRIS = 0.425
"""Angular radius of the iris seen from the ball's centre, radians: 12 mm across."""
PUPIL = 0.36
"""Radius of the pupil in radii of the iris, in bright light."""
BACK = 1.85
"""Radians from the gaze to where the ball's coat ends: a turned eye still shows no edge."""
IRIS_DISCS, WHITE_DISCS, FIBRES, VEINS = 700, 850, 150, 14
OCCLUSION_RAYS, SHADOW_RAYS, SHADOW_SPREAD = 32, 12, 0.24
WHITE = srgb(228, 223, 218)
CARUNCLE = (0.0176, 0.7268, 0.1335)
"""Pink corner of the left eye on the template."""


def make_eyes(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Both eyes."""
    parts = []
    for side in SIDES:
        ball = eyeball(surface, side)
        parts.append(_ball(surface, ball, side, attributes, rng))
        parts.append(_catchlights(surface, ball, side))
        parts.append(_wet_rim(surface, ball, side))
        parts.append(_caruncle(surface, side, attributes, rng))
    return Splats.concatenate(parts)


def _ball(surface: Surface, ball: Eyeball, side: str, attributes: Attributes, rng: np.random.Generator) -> Splats:
    coat = _coat(ball, side, attributes, rng)
    directions = unit(coat.position - ball.centre)
    faces = np.flatnonzero(surface.regions[f"eye_{side}"])
    middles = unit(surface.vertices[surface.faces[faces]].mean(1) - ball.centre)
    coat.face[:] = faces[cKDTree(middles).query(directions)[1]]
    rays = surface.skin_rays
    ambient = rays.occlusion(coat.position, directions, OCCLUSION_RAYS)
    shadow = rays.visibility(coat.position, directions, KEY, SHADOW_RAYS, SHADOW_SPREAD)
    ambient, shadow = neighbourhood_mean(coat.position, (ambient, shadow), 14)
    coat.ambient[:], coat.shadow[:] = 0.10 + 0.90 * ambient**1.2, 0.12 + 0.88 * shadow
    return coat


def _coat(ball: Eyeball, side: str, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Discs, iris fibres and veins, not yet lit or attached."""
    outward = 0.02 if side == "left" else -0.02
    gaze = frame_from_normal(unit(f32([[outward, 0, 1]])))[0]
    angle, azimuth = _spiral(0, IRIS * 1.08, IRIS_DISCS)
    outer_angle, outer_azimuth = _spiral(IRIS * 1.08, BACK, WHITE_DISCS)
    iris = _discs(ball, gaze, angle, azimuth, attributes)
    white = _discs(ball, gaze, outer_angle, outer_azimuth, attributes)
    return Splats.concatenate([iris, white, _fibres(ball, gaze, attributes, rng), _veins(ball, gaze, attributes, rng)])


def _spiral(inner: float, outer: float, count: int) -> tuple[Floats, Floats]:
    """Even points of a spherical zone: angle from the gaze and azimuth (count,)."""
    k = np.arange(count) + 0.5
    height = np.cos(inner) + (np.cos(outer) - np.cos(inner)) * k / count
    return np.arccos(height).astype(np.float32), (GOLDEN_ANGLE * k).astype(np.float32)


def _on_ball(ball: Eyeball, gaze: Floats, angle: Floats, azimuth: Floats, lift: float = 0.0) -> tuple[Floats, Floats]:
    """Positions and outward directions (..., 3); the cornea stands out a little over the iris."""
    local = np.stack([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)], axis=-1)
    direction = (local @ gaze.T).astype(np.float32)
    radius = ball.radius * (0.985 + 0.012 * smoothstep(IRIS * 1.15, 0.0, angle)) + lift
    return ball.centre + direction * radius[..., None].astype(np.float32), direction


def _discs(ball: Eyeball, gaze: Floats, angle: Floats, azimuth: Floats, attributes: Attributes) -> Splats:
    position, direction = _on_ball(ball, gaze, angle, azimuth)
    zone = 2 * np.pi * (np.cos(angle.min()) - np.cos(angle.max()))
    wide = ball.radius * np.sqrt(zone / len(angle)) * 0.74
    return Splats.of(
        Layer.EYE,
        Shading.EYE,
        face=0,
        position=position,
        rotation=frame_from_normal(direction),
        scale=(wide, wide, wide * 0.12),
        opacity=0.98,
        albedo=_eye_color(direction, angle / IRIS, azimuth, attributes),
        normal=direction,
        subsurface=0.3,
    )


def _eye_color(direction: Floats, t: Floats, azimuth: Floats, attributes: Attributes) -> Floats:
    """(N, 3) linear albedo; ``t`` is the distance from the pupil's middle in radii of the iris."""
    pink = smoothstep(1.25, 2.9, t) * (0.7 + 0.25 * noise(direction, 0.25, 2))
    white = WHITE * (1 - pink[:, None] * f32([0.03, 0.20, 0.19]))
    white *= 1 - 0.10 * float(smoothstep(50, 85, attributes.age)) * f32([0.4, 0.8, 1.6])
    white *= 1 - 0.30 * np.exp(-0.5 * ((t - 1.02) / 0.09) ** 2)[:, None]
    color = mix(white, _iris_color(direction, t, azimuth, attributes), smoothstep(1.05, 0.93, t))
    return mix(color, np.broadcast_to(srgb(9, 8, 8), color.shape), smoothstep(PUPIL + 0.05, PUPIL - 0.05, t))


def _iris_color(direction: Floats, t: Floats, azimuth: Floats, attributes: Attributes) -> Floats:
    """Brighter below, where the light that entered from above leaves; a dark limbal ring; a warm ring round the
    pupil of a light eye."""
    tone = palette.linear_rgb(attributes.eye_color, palette.EYE_COLORS)
    lightness = float(smoothstep(0.01, 0.12, tone.mean()))
    color = np.tile(mix(tone, np.full(3, tone.mean()), 0.18) * 1.2, (len(t), 1))
    warm = 0.40 * lightness * smoothstep(0.72, 0.45, t)
    color = mix(color, np.broadcast_to(srgb(150, 108, 58), color.shape), warm)
    color *= (1 + 0.22 * noise(direction, 0.045, 7))[:, None]
    color *= (1 + 0.55 * np.clip(-np.sin(azimuth) * np.clip(t, 0, 1), -0.7, 1))[:, None]
    color *= (1 - 0.80 * smoothstep(0.76, 1.0, t))[:, None]
    color *= (1 - 0.35 * np.exp(-0.5 * ((t - PUPIL - 0.08) / 0.05) ** 2))[:, None]
    return np.clip(color, 0.002, 1)


def _fibres(ball: Eyeball, gaze: Floats, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Radial streaks of the iris, lighter and darker than its ground."""
    azimuth = (np.arange(FIBRES) + rng.uniform(-0.4, 0.4, FIBRES)) * (2 * np.pi / FIBRES)
    inner, outer = rng.uniform(PUPIL + 0.04, 0.5, FIBRES), rng.uniform(0.68, 0.93, FIBRES)
    t = inner[:, None] + (outer - inner)[:, None] * np.linspace(0, 1, 4)
    bent = azimuth[:, None] + 0.04 * rng.standard_normal((FIBRES, 1)) * np.linspace(0, 1, 4)
    points, direction = _on_ball(ball, gaze, f32(t * IRIS), f32(bent), 6e-5)
    middle = 0.5 * (t[:, 1:] + t[:, :-1])
    flat = direction[:, 1:].reshape(-1, 3)
    ground = _iris_color(flat, middle.ravel().astype(np.float32), np.repeat(bent[:, 0], 3), attributes)
    contrast = np.exp(rng.normal(0.12, 0.42, (FIBRES, 1, 1)))
    return curve_splats(
        Layer.EYE,
        Shading.EYE,
        points=points,
        radius=rng.uniform(0.05e-3, 0.10e-3, FIBRES) * (ball.radius / 0.0143),
        face=0,
        normal=direction[:, 1:],
        albedo=np.clip(ground.reshape(FIBRES, 3, 3) * contrast, 0, 1),
        opacity=f32([[0.35, 0.55, 0.35]]),
        subsurface=0.3,
    )


def _veins(ball: Eyeball, gaze: Floats, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Thin red lines that come in from the corners."""
    side = np.where(np.arange(VEINS) % 2 == 0, 0.0, np.pi)
    azimuth = side + rng.normal(0, 0.32, VEINS)
    steps = np.linspace(0, 1, 7)
    end = rng.uniform(IRIS * 1.35, IRIS * 2.0, VEINS)
    angle = 1.25 + (end - 1.25)[:, None] * steps
    wander = np.cumsum(rng.normal(0, 0.045, (VEINS, 7)), axis=1)
    points, direction = _on_ball(ball, gaze, f32(angle), f32(azimuth[:, None] + wander), 8e-5)
    return curve_splats(
        Layer.EYE,
        Shading.EYE,
        points=points,
        radius=7e-5,
        face=0,
        normal=direction[:, 1:],
        albedo=srgb(186, 92, 84),
        opacity=np.linspace(0.34, 0.10, 6, dtype=np.float32)[None] * (0.8 + 0.4 * attributes.wrinkles),
        subsurface=0.3,
    )


def _catchlights(surface: Surface, ball: Eyeball, side: str) -> Splats:
    """The soft box and a weak fill, mirrored in the cornea: four splats make a window, one the fill. They belong to
    the bridge of the nose, since a mirror image stays where it is when the eye turns."""
    scale = ball.radius / 0.0143
    middle = ball.centre + f32([0, 0, 0.47 * ball.radius])
    box = unit(KEY * f32([1, 0.62, 1]) + f32([0, 0, 1]))
    corners = f32([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * 0.00042 * scale
    across = frame_from_normal(box[None])[0]
    directions = [box + (across[:, 1] * x + across[:, 0] * y) / (0.0078 * scale) for x, y in corners]
    directions.append(unit(f32([0.34, -0.10, 0.93])))
    toward = unit(np.stack(directions))
    size = np.array([0.00040] * 4 + [0.00050], np.float32)[:, None] * scale
    anchor = surface.front(f32([[0.006 if side == "left" else -0.006, 0.735]]))
    return Splats.of(
        Layer.EYE,
        Shading.UNLIT,
        face=anchor.face[0],
        position=middle + toward * np.float32(0.0081 * scale),
        rotation=frame_from_normal(toward),
        scale=size * f32([1, 1, 0.1]),
        opacity=[0.80] * 4 + [0.22],
        albedo=(1.0, 1.0, 1.0),
        normal=toward,
    )


def _wet_rim(surface: Surface, ball: Eyeball, side: str) -> Splats:
    """The tear film along the lower lid: a thin pale line, brightest under the key light."""
    along = np.linspace(0.10, 0.93, 26)
    inner = lid_curve(surface, side, "lower_ball", along)
    rim = lid_curve(surface, side, "lower_rim", along)
    points = inner.position + 0.35 * (rim.position - inner.position)
    normal = unit(points[1:] - ball.centre)
    middle = 0.5 * (points[1:] + points[:-1])
    facing = np.clip(unit(middle - ball.centre) @ unit(KEY + f32([0, 0, 1])), 0, 1)
    gleam = 0.10 + 0.34 * facing**6
    line = curve_splats(
        Layer.EYE,
        Shading.UNLIT,
        points=points[None],
        radius=0.00018 * surface.size,
        face=inner.face[None, 1:],
        normal=normal[None],
        albedo=srgb(252, 236, 230),
        opacity=gleam[None].astype(np.float32),
    )
    flesh = curve_splats(
        Layer.EYE,
        Shading.SKIN,
        points=(inner.position + 0.62 * (rim.position - inner.position))[None],
        radius=0.00036 * surface.size,
        face=rim.face[None, 1:],
        normal=normal[None],
        albedo=srgb(206, 142, 130),
        opacity=0.45,
        ambient=0.75,
        shadow=0.6,
        specular=0.35,
        gloss=30.0,
        subsurface=0.4,
    )
    return Splats.concatenate([flesh, line])


def _caruncle(surface: Surface, side: str, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """The small pink mound of the inner corner."""
    count = 26
    sign = 1.0 if side == "left" else -1.0
    scatter = unit(rng.standard_normal((count, 3)))
    scatter[:, 2] = np.abs(scatter[:, 2])
    centre = surface.attach(f32([CARUNCLE]) * f32([sign, 1, 1]))
    middle = surface.project_template(f32([CARUNCLE]) * f32([sign, 1, 1]))
    return Splats.of(
        Layer.EYE,
        Shading.SKIN,
        face=centre.face[0],
        position=middle + scatter * f32([0.0011, 0.0010, 0.0009]) * np.float32(surface.size),
        rotation=frame_from_normal(scatter),
        scale=f32([0.00042, 0.00042, 0.0001]) * np.float32(surface.size),
        opacity=0.9,
        albedo=mix(srgb(214, 134, 124), srgb(150, 84, 76), 0.6 * attributes.skin_tone),
        normal=scatter,
        ambient=0.62,
        shadow=0.6,
        specular=0.45,
        gloss=30.0,
        subsurface=0.4,
    )
