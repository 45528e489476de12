"""What every garment needs: the neckline, the draped body underneath, folds, light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from pipeline.avatar import Layer
from pipeline.heads.skeleton import trunk_share
from pipeline.priors.procedural.fields import noise, smoothstep
from pipeline.priors.procedural.rays import Rays
from pipeline.priors.procedural.shading import KEY
from pipeline.priors.procedural.splats import Floats, Ints, Shading, Splats, frame_from_normal, unit
from pipeline.priors.procedural.surface import Mask, Samples, Surface, neighbourhood_mean, vertex_normals

NECK_AXIS_Z = 0.022
"""Depth of the neck's axis on the template, metres."""
DRAPE_ROUNDS = 14
"""Rounds of smoothing until cloth bridges hollows such as the collar bones."""
TAUT_BELOW = (0.008, 0.045)
"""Metres below the neckline over which cloth goes from lying on the skin to bridging its hollows."""
FIXED_TORSO_WEIGHT = 0.85
"""Cloth hangs on triangles that follow the torso at least so much: a collar does not turn with the head."""
DISC = 0.9
"""Standard deviation of a disc of cloth in spacings: the lit inside of the far side must not glimmer through."""
OPACITY = 0.97
FADE = 0.045
"""Metres over which the bust fades out at its lower end."""
OCCLUSION_RAYS, SHADOW_RAYS, SHADOW_SPREAD = 16, 10, 0.24
SMOOTHED_OVER = 12


@dataclass(frozen=True)
class Neckline:
    """Height of a garment's edge round the neck, on the template: metres at angles from the front (0) to the nape."""

    angles: tuple[float, ...]
    """Degrees, 0 front to 180 back; both sides alike."""
    heights: tuple[float, ...]

    def height(self, angle: ArrayLike) -> Floats:
        """Template y at angles in radians, 0 front, positive towards the subject's left."""
        degrees = np.degrees(np.abs((np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi))
        knots = np.linspace(0, 180, 181)
        # a rounded polygon: mean over ±10 degrees
        mirrored = np.abs((knots[:, None] + np.linspace(-10, 10, 21) + 180) % 360 - 180)
        smooth = np.interp(mirrored, self.angles, self.heights).mean(1)
        return np.interp(degrees, knots, smooth).astype(np.float32)

    def below(self, template: Floats) -> Floats:
        """Metres by which template points (N, 3) lie below the edge; negative above it."""
        return self.height(neck_angle(template)) - template[:, 1]


def neck_angle(template: Floats) -> Floats:
    """Angle (N,) of template points round the neck, 0 front, positive towards the subject's left."""
    return np.arctan2(template[:, 0], template[:, 2] - NECK_AXIS_Z)


class Drape:
    """The body of one person as clothes see it: hollows bridged, places named by the template."""

    def __init__(self, surface: Surface, neckline: Neckline) -> None:
        self.surface, self.neckline = surface, neckline
        # the edge itself lies on the skin, or it would stand off the neck
        self.filled = _bridged_hollows(surface) * smoothstep(*TAUT_BELOW, neckline.below(surface.template))
        self.normals = vertex_normals(surface.vertices + surface.normals * self.filled[:, None], surface.faces)
        self._trunk = np.flatnonzero(surface.regions["torso"] | surface.regions["neck"])
        self._rays = Rays(surface.template[surface.faces[self._trunk]])
        steady = trunk_share(surface.rig).numpy()[surface.faces].min(1) >= FIXED_TORSO_WEIGHT
        self._steady = np.flatnonzero(steady & surface.outer_skin)
        self._steady_tree = cKDTree(surface.vertices[surface.faces[self._steady]].mean(1))

    def over(self, samples: Samples, lift: ArrayLike) -> tuple[Floats, Floats]:
        """Position and normal (N, 3) of cloth ``lift`` metres (of an adult) above the bridged body."""
        normal = unit(self.surface.interpolate(samples, self.normals))
        height = np.asarray(lift, np.float32) * np.float32(self.surface.size)
        height = height + self.surface.interpolate(samples, self.filled)
        return samples.position + samples.normal * height[:, None], normal

    def around(self, angle: Floats, height: Floats) -> Samples:
        """The skin at angles (N,) round the neck and template heights (N,)."""
        origins = np.stack([np.zeros_like(height), height, np.full_like(height, NECK_AXIS_Z)], axis=1)
        directions = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=1)
        triangle, barycentric = self._rays.first_hit(origins, directions)
        return self.surface.samples(self._trunk[np.maximum(triangle, 0)], barycentric)

    def front(self, x: Floats, y: Floats) -> Samples:
        """The skin behind places (N,) of the template's front view."""
        return self.surface.front(np.stack([x, y], axis=1))

    def steady_faces(self, positions: Floats) -> Ints:
        """For points (N, 3), the nearest triangles that follow the torso."""
        return self._steady[self._steady_tree.query(positions, workers=-1)[1]]

    def keep_outside(self, positions: Floats, gap: float) -> Floats:
        """Points (N, 3) moved out of the skin to at least ``gap`` metres above it."""
        near = self.surface.nearest(positions)
        above = ((positions - near.position) * near.normal).sum(1)
        missing = np.maximum(0, gap * self.surface.size - above)
        return positions + near.normal * missing[:, None].astype(np.float32)

    def light(self, positions: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """Shares of sky and key light that the body leaves to points, (N,) each, averaged over their neighbours."""
        ambient = self.surface.occlusion(positions, normals, OCCLUSION_RAYS)
        shadow = self.surface.visibility(positions, normals, KEY, SHADOW_RAYS, SHADOW_SPREAD)
        smooth = neighbourhood_mean(positions, (ambient, shadow), SMOOTHED_OVER)
        return smooth[0], smooth[1]


def trunk(surface: Surface, neckline: Neckline) -> Mask:
    """(F,) triangles of torso and neck that a garment may cover, those that cross its edge included."""
    template = surface.template
    inside = (neckline.below(template) > 0) & (above_cut(template) > 0)
    part = surface.regions["torso"] | surface.regions["neck"]
    return part & inside[surface.faces].any(1)


def above_cut(template: Floats) -> Floats:
    """Metres by which template points lie above the rounded lower end of the bust."""
    return template[:, 1] - (0.42 + 0.75 * template[:, 0] ** 2)


def bust_opacity(template: Floats) -> Floats:
    """Opacity of cloth at template points: the bust fades out below instead of ending in a cut."""
    return OPACITY * smoothstep(0, FADE, above_cut(template))


def fold_field(template: Floats, depth: float) -> Floats:
    """Height of soft folds in metres: drag lines from the armpits and slow unevenness; none at the neck."""
    x, y = np.abs(template[:, 0]), template[:, 1]
    stretched = template * np.array([1.0, 0.42, 0.7], np.float32)
    slow = noise(stretched, 0.050, 40) + 0.4 * noise(template * np.array([0.8, 1.0, 1.0], np.float32), 0.026, 41)
    from_armpit = np.arctan2(y - 0.43, 0.19 - x)
    radius = np.hypot(0.19 - x, y - 0.43)
    drag = np.sin(from_armpit * 11 + 1.4 * noise(template, 0.07, 42)) * np.exp(-(((radius - 0.07) / 0.05) ** 2))
    fade = smoothstep(0.60, 0.545, y)
    return (depth * fade * (0.75 * slow + 1.1 * drag)).astype(np.float32)


def bent_normals(normal: Floats, template: Floats, depth: float) -> Floats:
    """Normals (N, 3) tilted by the slope of `fold_field`."""
    step = np.float32(2e-3)
    slope = np.empty_like(template)
    for axis in range(3):
        shift = np.zeros(3, np.float32)
        shift[axis] = step
        slope[:, axis] = (fold_field(template + shift, depth) - fold_field(template - shift, depth)) / (2 * step)
    slope -= (slope * normal).sum(1, keepdims=True) * normal
    return unit(normal - slope)


def cloth_discs(
    drape: Drape, samples: Samples, position: Floats, normal: Floats, fold_depth: float, **material: ArrayLike
) -> Splats:
    """Discs of woven cloth at ``position`` (N, 3), above the body's ``samples``; ``material`` as for `Splats.of`."""
    wide = samples.spacing * DISC
    return Splats.of(
        Layer.CLOTH,
        Shading.CLOTH,
        face=drape.steady_faces(samples.position),
        position=position,
        rotation=frame_from_normal(normal),
        scale=np.stack([wide, wide, samples.spacing * 0.12], axis=1),
        opacity=bust_opacity(samples.template),
        normal=bent_normals(normal, samples.template, fold_depth),
        gloss=8.0,
        **material,
    )


def _bridged_hollows(surface: Surface) -> Floats:
    """(V,) metres by which taut cloth would lie above the skin: the body smoothed, where that is outside of it."""
    body = np.flatnonzero(surface.regions["torso"] | surface.regions["neck"])
    faces = surface.faces[body]
    count = len(surface.vertices)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    neighbours = np.maximum(np.bincount(edges[:, 0], minlength=count), 1)
    smooth = surface.vertices.copy()
    inside = np.zeros(count, bool)
    inside[faces] = True
    for _ in range(DRAPE_ROUNDS):
        total = np.stack([np.bincount(edges[:, 0], smooth[edges[:, 1], k], count) for k in range(3)], axis=1)
        smooth = np.where(inside[:, None], total / neighbours[:, None], smooth)
    outside = ((smooth - surface.vertices) * surface.normals).sum(1)
    return np.clip(outside, 0, 0.02).astype(np.float32)
