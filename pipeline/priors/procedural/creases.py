"""Wrinkles: folds of the skin as bent normals, and their bottoms as fine strokes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.avatar import Layer
from pipeline.priors.procedural.attributes import Ancestry, Attributes
from pipeline.priors.procedural.fields import noise, smoothstep
from pipeline.priors.procedural.splats import Floats, Ints, Shading, Splats, curve_splats, f32, unit
from pipeline.priors.procedural.surface import Surface

STEP = 0.8e-3
"""Metres between the points of a crease."""
FULL_SLOPE = 0.3
"""Slope of a wrinkle that is as dark as they get."""
NEAREST = 3
"""Points of creases that bend the skin at one place: where creases meet, both do."""
STEEPNESS = 1.45
"""Each of the nearest points adds this share of its slope."""
REACH = 3.2
"""Half widths beyond which a crease bends no normal."""


@dataclass(frozen=True)
class Crease:
    """One wrinkle of the left side; template millimetres, front view."""

    points: tuple[tuple[float, float], ...]
    depth: float
    """Slope of its flanks at full strength."""
    width: float
    """Half width, millimetres."""
    onset: float
    """Strength of `Attributes.wrinkles` at which it begins to show."""
    mirrored: bool = True


FOREHEAD = (
    Crease(((-44, 770), (-22, 774), (0, 772.5), (22, 774), (44, 770)), 0.30, 1.0, 0.15, False),
    Crease(((-40, 779), (-20, 782), (0, 781), (20, 782.5), (40, 779)), 0.34, 1.0, 0.10, False),
    Crease(((-32, 788), (-15, 790), (0, 789), (15, 790), (32, 788)), 0.26, 0.9, 0.25, False),
)
FROWN = (
    Crease(((6.0, 741), (5.2, 747), (5.8, 754)), 0.30, 0.9, 0.15),
    Crease(((9.5, 744), (9.2, 750)), 0.18, 0.8, 0.5),
)
CROWS_FEET = (
    Crease(((48.5, 731), (54, 735), (60, 741)), 0.26, 0.7, 0.15),
    Crease(((49, 728), (56, 729), (63, 731.5)), 0.28, 0.7, 0.10),
    Crease(((48.5, 725), (55, 722), (61, 719.5)), 0.26, 0.7, 0.15),
    Crease(((47, 722), (52, 717), (57, 712)), 0.20, 0.7, 0.45),
)
EYE_BAGS = (
    Crease(((19, 720), (24, 716.2), (31, 714.8), (38, 716), (44, 719.5)), 0.26, 1.2, 0.10),
    Crease(((21, 716), (27, 711), (35, 709.8), (43, 713)), 0.20, 1.4, 0.45),
    Crease(((24, 720.0), (31, 718.4), (39, 719.8)), 0.14, 0.6, 0.35),
)
NASOLABIAL = (Crease(((17.5, 688), (22, 681), (26.5, 673), (29.5, 664), (30.5, 656)), 0.30, 1.9, 0.0),)
MARIONETTE = (Crease(((27.5, 657), (28.5, 649), (28, 640)), 0.28, 1.6, 0.30),)
LIPS = tuple(Crease(((x, 672.5), (x * 1.06, 677.5)), 0.22, 0.55, 0.45) for x in (3.5, 8.0, 12.5, 17.0)) + tuple(
    Crease(((x, 648.5), (x * 1.03, 644.0)), 0.16, 0.55, 0.55) for x in (4.0, 10.0, 15.5)
)
LID_FOLD = Crease(
    ((19.5, 731.5), (22.5, 735.0), (27, 737.8), (32, 738.9), (38, 738.0), (43, 735.2), (47, 731.5)), 0.15, 0.75, 0.0
)
"""The crease of the upper lid, which everybody has; weakest in East Asians."""
CHEEKS = (
    Crease(((36, 690), (42, 681), (46, 670)), 0.16, 1.3, 0.55),
    Crease(((42, 693), (49, 684), (53, 672)), 0.14, 1.2, 0.70),
    Crease(((34, 668), (37, 658), (37, 648)), 0.18, 1.4, 0.60),
)
NECK = (
    Crease(((-36, 604), (-18, 598), (0, 596), (18, 598), (36, 604)), 0.13, 1.6, 0.20, False),
    Crease(((-38, 590), (-18, 583), (0, 581), (18, 583), (38, 590)), 0.13, 1.6, 0.35, False),
)
CREASES = (
    *FOREHEAD, *FROWN, *CROWS_FEET, *EYE_BAGS, LID_FOLD, *NASOLABIAL, *MARIONETTE, *LIPS, *CHEEKS, *NECK,
)  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """One wrinkle laid on a person's skin; one row per point along it."""

    position: Floats
    """(K, 3) metres."""
    normal: Floats
    """(K, 3) unit."""
    face: Ints
    """(K,)"""
    slope: Floats
    """(K,) of its flanks."""
    width: float
    """Half width, metres."""


class Creases:
    """The wrinkles of one person."""

    def __init__(self, surface: Surface, attributes: Attributes, rng: np.random.Generator) -> None:
        self.folds = [_lay(surface, *path) for path in _paths(attributes, rng)]

    def bend(self, position: Floats, normal: Floats) -> tuple[Floats, Floats]:
        """Unit normals (N, 3) of skin at ``position`` with the folds in it, and how deep in a fold each lies 0..1."""
        depth = np.zeros(len(position), np.float32)
        if not self.folds:
            return normal, depth
        points = np.concatenate([fold.position for fold in self.folds])
        slope = np.concatenate([fold.slope for fold in self.folds])
        width = np.concatenate([np.full(len(fold.position), fold.width, np.float32) for fold in self.folds])
        reach = REACH * float(width.max())
        distance, index = cKDTree(points).query(position, NEAREST, distance_upper_bound=reach, workers=-1)
        tilt = np.zeros_like(normal)
        for k in range(NEAREST):
            near = np.flatnonzero(np.isfinite(distance[:, k]))
            at = index[near, k]
            away = points[at] - position[near]
            away -= (away * normal[near]).sum(1, keepdims=True) * normal[near]
            relative = np.linalg.norm(away, axis=1) / width[at]
            profile = np.exp(-0.5 * relative**2)
            tilt[near] += unit(away) * (slope[at] * relative * profile * STEEPNESS)[:, None]
            depth[near] = np.maximum(depth[near], slope[at] / FULL_SLOPE * profile)
        return unit(normal + tilt), np.clip(depth, 0, 1)

    def strokes(self, tone: Floats) -> Splats:
        """The dark bottoms of the folds; ``tone`` (3,) albedo of the skin."""
        return Splats.concatenate([_stroke(fold, tone) for fold in self.folds])


def _lay(surface: Surface, xy: Floats, slope: Floats, width: float) -> Fold:
    place = surface.front(xy)
    return Fold(place.position, place.normal, place.face, slope, width * surface.size)


def _stroke(fold: Fold, tone: Floats) -> Splats:
    return curve_splats(
        Layer.SKIN,
        Shading.SKIN,
        points=(fold.position + fold.normal * f32(1e-4))[None],
        radius=np.clip(fold.width * 0.34, 2.0e-4, 5.5e-4),
        face=fold.face[None, 1:],
        normal=fold.normal[None, 1:],
        albedo=tone * f32([0.58, 0.46, 0.41]),
        opacity=0.34 * np.clip(fold.slope[None, 1:] / FULL_SLOPE, 0, 1),
        ambient=0.55,
        shadow=0.5,
        subsurface=0.5,
    )


def _paths(attributes: Attributes, rng: np.random.Generator) -> list[tuple[Floats, Floats, float]]:
    """Front-view points (K, 2) metres, slopes (K,) and half width of every wrinkle that shows."""
    paths = []
    for crease in CREASES:
        strength = float(smoothstep(crease.onset, crease.onset + 0.6, attributes.wrinkles))
        if crease is LID_FOLD:
            strength = 0.9 - 0.75 * attributes.ancestry.asian / max(1e-6, _total(attributes.ancestry))
        elif crease in NASOLABIAL:  # a beginning of the fold that a laugh deepens
            strength = max(strength, 0.16 * float(attributes.age > 20))
        for sign in (1.0, -1.0) if crease.mirrored else (1.0,):
            own = strength * rng.uniform(0.65, 1.0)
            wobble = rng.uniform(0, 40)
            if own > 0.05:
                paths.append(_path(crease, sign, own, wobble))
    return paths


def _total(ancestry: Ancestry) -> float:
    return ancestry.african + ancestry.asian + ancestry.caucasian


def _path(crease: Crease, sign: float, strength: float, wobble: float) -> tuple[Floats, Floats, float]:
    corners = np.array(crease.points, np.float32) * np.float32(1e-3)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    along = np.arange(0, length[-1], STEP)
    xy = np.stack([_smooth(np.interp(along, length, corners[:, k])) for k in range(2)], axis=1)
    lattice = np.c_[xy, np.full(len(xy), wobble)].astype(np.float32)
    xy += 0.35e-3 * np.stack([noise(lattice, 0.006, 3), noise(lattice, 0.006, 5)], axis=1)
    xy[:, 0] *= sign
    ends = np.minimum(1, np.minimum(along, length[-1] - along) / (0.22 * length[-1]))
    slope = crease.depth * strength * ends * (0.85 + 0.25 * noise(lattice, 0.010, 7))
    return xy.astype(np.float32), np.clip(slope, 0, None).astype(np.float32), crease.width * 1.2e-3


def _smooth(values: Floats) -> Floats:
    """Rounds the corners of a polyline, keeping its ends."""
    padded = np.pad(values, 4, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.full(9, 1 / 9), mode="valid")
