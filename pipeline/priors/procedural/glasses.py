"""Glasses: thin rims in front of the eyes, a bridge on the nose, temples over the ears, all rigid with the skull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.avatar import Layer
from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.metal import polished
from pipeline.priors.procedural.sheets import tube, tube_splats
from pipeline.priors.procedural.splats import Floats, Shading, Splats, frame_from_normal
from pipeline.priors.procedural.surface import Surface

CLEARANCE = 2.2e-3
"""Metres between the rims and the skin of an adult."""
TILT = 0.12
"""Slope of the lenses: their lower edge lies closer to the cheeks."""
WRAP = 2.4
"""Curvature (1/m) of the front round the face."""
BRIDGE = (0.0, 0.7285)
"""Front view of the template: where the bridge sits on the nose."""
EAR_TOP = (0.0775, 0.7345, 0.050)
EAR_BEHIND = (0.0765, 0.7190, 0.0325)
"""Template places at the left ear over which the temple runs and where it ends."""
FOREHEAD = (0.0, 0.800, 0.138)
STILL = 2e-5
"""Metres: a triangle that no action moves further than this is part of the skull."""
SKULL_CANDIDATES = 400
RIM_POINTS, RIM_SIDES, TEMPLE_POINTS = 88, 8, 56


@dataclass(frozen=True)
class Shape:
    """Outline of one lens on an adult: a superellipse."""

    half_width: float
    half_height: float
    squareness: float
    """Exponent: 2 is an ellipse."""


SHAPES = {"round": Shape(0.0228, 0.0222, 2.0), "square": Shape(0.0258, 0.0186, 4.2)}


def make_glasses(surface: Surface, attributes: Attributes) -> Splats:
    """Frame and lenses."""
    shape = SHAPES[attributes.glasses]
    size = np.float32(surface.size)
    face = skull_triangle(surface)
    wire = np.float32(0.85e-3 if attributes.glasses_color in palette.METAL_COLORS else 1.2e-3) * size
    rims = _rims(surface, shape)
    parts = []
    for side, rim in zip((1, -1), rims, strict=True):
        parts.append(_wire(rim, wire, face, attributes, closed=True, up=(0, 0, 1)))
        parts.append(_wire(_temple(surface, rim, side), 0.9 * wire, face, attributes, up=(0, 1, 0)))
        parts.append(_lens(rim, shape, size, face))
    parts.append(_wire(_bridge(surface, *rims), wire, face, attributes, up=(0, 0, 1)))
    return Splats.concatenate(parts)


def skull_triangle(surface: Surface) -> int:
    """The triangle closest to the hairline that no expression moves."""
    distance = np.linalg.norm(surface.template[surface.faces].mean(1) - np.array(FOREHEAD, np.float32), axis=1)
    closest = np.argsort(np.where(surface.outer_skin, distance, np.inf), kind="stable")[:SKULL_CANDIDATES]
    corners = surface.rig.expressions[:, surface.faces[closest].ravel()].numpy()
    travel = np.abs(corners).max((0, 2)).reshape(-1, 3).max(1)
    return int(closest[int((travel < STILL).argmax())])


def _rims(surface: Surface, shape: Shape) -> list[Floats]:
    """Left and right outline (RIM_POINTS, 3), counter-clockwise seen from in front."""
    rig, size = surface.rig, np.float32(surface.size)
    eyes = np.stack([rig.joints[rig.joint_index(f"{side}_eye")].numpy() for side in ("left", "right")])
    middle = eyes.mean(0)
    half_distance = abs(float(eyes[0, 0] - eyes[1, 0])) / 2 + 0.0015 * size
    turn = np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False)
    power = 2 / shape.squareness
    across = shape.half_width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
    above = shape.half_height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
    if shape.squareness > 2:  # a little narrower below
        across = across * (1 + 0.05 * above / shape.half_height)
    flat = []
    for side in (1, -1):
        x = middle[0] + side * (half_distance + size * across)
        y = middle[1] - 0.003 * size + size * above
        z = TILT * (y - middle[1]) - WRAP * (x - middle[0]) ** 2 / size
        flat.append(np.stack([x, y, z], axis=1).astype(np.float32))
    depth = max(_needed_depth(surface, rim) for rim in flat)
    return [_evenly_spaced(rim + np.array([0, 0, depth], np.float32)) for rim in flat]


def _needed_depth(surface: Surface, rim: Floats) -> float:
    """How far a rim must move to the front to clear the skin."""
    skin = surface.collision.position
    near = skin[:, 2] > skin[:, 2].max() - 0.09 * surface.size
    near &= (np.abs(skin[:, 1] - rim[:, 1].mean()) < 0.04 * surface.size) & (skin[:, 0] * rim[:, 0].mean() > 0)
    skin = skin[near]
    away = ((skin[None, :, :2] - rim[:, None, :2]) ** 2).sum(2)
    ahead = np.where(away < (0.0032 * surface.size) ** 2, skin[None, :, 2] - rim[:, None, 2], -np.inf)
    return float(ahead.max()) + CLEARANCE * surface.size


def _evenly_spaced(ring: Floats) -> Floats:
    """The same closed ring with points at equal distances."""
    closed = np.concatenate([ring, ring[:1]])
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))]
    at = np.linspace(0, way[-1], len(ring), endpoint=False)
    return np.stack([np.interp(at, way, closed[:, k]) for k in range(3)], axis=1).astype(np.float32)


def _bridge(surface: Surface, left: Floats, right: Floats) -> Floats:
    """An arch from rim to rim that clears the nose."""
    start, end = (rim[_innermost(rim, side)] for rim, side in ((left, 1), (right, -1)))
    nose = surface.front([BRIDGE]).position[0]
    t = np.linspace(0, 1, 22, dtype=np.float32)[:, None]
    path = start * (1 - t) + end * t
    arch = 4 * t[:, 0] * (1 - t[:, 0])
    size = surface.size
    path[:, 1] += 0.0028 * size * arch
    lift = max(0.0, float(nose[2]) + 1.6e-3 * size - float(path[len(path) // 2, 2]))
    path[:, 2] += max(lift, 1e-3 * size) * arch
    return path


def _innermost(rim: Floats, side: int) -> int:
    """The rim's point closest to the nose, in its upper half."""
    upper = rim[:, 1] > np.quantile(rim[:, 1], 0.62)
    return int(np.where(upper, side * rim[:, 0], np.inf).argmin())


def _temple(surface: Surface, rim: Floats, side: int) -> Floats:
    """From the rim's outer end back over the ear and down behind it."""
    upper = rim[:, 1] > np.quantile(rim[:, 1], 0.66)
    hinge = rim[int(np.where(upper, side * rim[:, 0], -np.inf).argmax())]
    flip = np.array([side, 1, 1], np.float32)
    over, behind = surface.project_template(np.array([EAR_TOP, EAR_BEHIND], np.float32) * flip)
    size = np.float32(surface.size)
    corner = hinge + np.array([side * 0.0022, 0, -0.004], np.float32) * size
    knots = np.stack([hinge, corner, over + np.array([0, 0.0025, 0], np.float32) * size, behind])
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    at = np.linspace(0, way[-1], TEMPLE_POINTS)
    path = np.stack([np.interp(at, way, knots[:, k]) for k in range(3)], axis=1)
    path = gaussian_filter1d(path, 1.6, axis=0, mode="nearest").astype(np.float32)
    near = surface.nearest(path)
    above = ((path - near.position) * near.normal).sum(1)
    push = gaussian_filter1d(np.maximum(0, 1.8e-3 * size - above), 2.0, mode="nearest").astype(np.float32)
    path[:, 0] += side * push * (np.arange(len(path)) > 4)
    return path


def _wire(
    path: Floats,
    radius: np.float32,
    face: int,
    attributes: Attributes,
    *,
    up: tuple[float, float, float],
    closed: bool = False,
) -> Splats:
    """A tube of the frame's material."""
    points, outward = tube(path, radius, RIM_SIDES, closed=closed, up=up)
    color = palette.linear_rgb(attributes.glasses_color, palette.FRAME_COLORS)
    if attributes.glasses_color in palette.METAL_COLORS:
        return tube_splats(Layer.ACCESSORY, Shading.UNLIT, points, outward, closed=closed, face=face,
                           albedo=polished(outward, color))  # fmt: skip
    return tube_splats(Layer.ACCESSORY, Shading.CLOTH, points, outward, closed=closed, face=face, albedo=color,
                       ambient=0.9, specular=0.55, gloss=26.0)  # fmt: skip


def _lens(rim: Floats, shape: Shape, size: np.float32, face: int) -> Splats:
    """A film that is hardly there, and the slanted gleam of a window."""
    centre = rim.mean(0)
    front = np.array([0, TILT * -1.0, 1.0], np.float32)
    slant = np.array([0.62, 0.78, 0.0], np.float32)
    across = np.array([0.78, -0.62, 0.0], np.float32)
    offsets = np.stack([0 * slant, across * -0.0075 - slant * 0.002, across * -0.0035 + slant * 0.003])
    reach = np.array(
        [
            [0.42 * shape.half_width, 0.42 * shape.half_height, 1e-4],
            [0.0055, 0.0010, 1e-4],
            [0.0042, 0.0005, 1e-4],
        ],
        np.float32,
    )
    return Splats.of(
        Layer.ACCESSORY,
        Shading.UNLIT,
        face=face,
        position=centre + offsets * size + np.array([0, 0, 5e-4], np.float32),
        rotation=frame_from_normal(np.broadcast_to(front, (3, 3)), slant),
        scale=reach * size,
        opacity=[0.05, 0.17, 0.14],
        albedo=[0.85, 0.92, 1.0],
        normal=front,
    )
