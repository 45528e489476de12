"""How well the outline of the splats follows the outline of the mesh, where it is the head that meets the backdrop.

Hair, glasses and clothes stand off the head and are left out: the splats compared are those on the surface, the part of
the outline that is compared is that of face, scalp and ears.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from pipeline.evaluation.views import Floats, MeshView, SplatView

HALF = 0.5
"""Coverage and opacity on an outline."""
NEAR_HEAD = 2.0
"""Pixels between the head's visible part and the points of the outline that belong to it."""
SPACING = 0.1
"""Pixels between points on an outline."""
BLUR = 1.5
"""Standard deviation in pixels before the outline's direction is read off."""
BAND_SHARE = 1 / 16
"""Share of the picture's side round the head within which the areas are compared."""

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """How two outlines differ, pixels."""

    iou: float
    """Intersection over union of the areas, in the head and a band round it; 1 where both agree."""
    mean: float | None
    """Distance from the mesh's outline to that of the splats; None where the head meets no backdrop or no splats are
    there."""
    p95: float | None
    """95th percentile of it."""
    outward: float | None
    """Mean with its sign: positive where the splats reach beyond the mesh."""
    shift: tuple[float, float] | None
    """By how much the splats lie to the right of and below the mesh: the translation that, with one widening all
    round, explains the differences along the normals best (least squares)."""


def compare_outlines(mesh: MeshView, splats: SplatView) -> Outline:
    """Distances are those of Chen and Medioni's registration (1992): every point of the mesh's outline to the nearest
    one of the splats', and along its own normal for the shift. Both outlines are lines at one half of the coverage,
    found between pixels.
    """
    own, normals = _outline(mesh.coverage)
    near = _at(ndimage.distance_transform_edt(~mesh.head), own) <= NEAR_HEAD if mesh.head.any() else np.zeros(0, bool)
    theirs, _ = _outline(splats.surface_alpha)
    iou = _iou(mesh, splats.surface_alpha)
    if not near.any() or not len(theirs):
        return Outline(iou, None, None, None, None)
    own, normals = own[near], normals[near]
    distance, nearest = cKDTree(theirs).query(own)
    along = ((theirs[nearest] - own) * normals).sum(1)
    right, down, _ = np.linalg.lstsq(np.column_stack([normals, np.ones(len(normals))]), along, rcond=None)[0]
    outward, p95 = float(along.mean()), float(np.percentile(distance, 95))
    return Outline(iou, float(distance.mean()), p95, outward, (float(right), float(down)))


def _iou(mesh: MeshView, alpha: Floats) -> float:
    """In the head and a band round it, where the mesh or nothing but the backdrop is seen."""
    if not mesh.head.any():
        return 1.0
    band = ndimage.distance_transform_edt(~mesh.head) <= BAND_SHARE * max(alpha.shape)
    mine, theirs = (mesh.coverage >= HALF) & band, (alpha >= HALF) & band
    return float((mine & theirs).sum() / max(int((mine | theirs).sum()), 1))


def _outline(coverage: Floats) -> tuple[Points, Points]:
    """Points (P, 2) on the line at one half, x right and y down in pixels with pixel centres at .5, evenly spaced by
    `SPACING`, and unit normals (P, 2) that point out of the covered area: down the slope of the blurred coverage."""
    lines = [_evenly(np.asarray(line)) for line in contour_generator(z=coverage, name="serial").lines(HALF)]
    points = np.concatenate([np.zeros((0, 2)), *lines]) + 0.5
    rows, columns = np.gradient(ndimage.gaussian_filter(coverage.astype(np.float64), BLUR))
    slope = np.stack([_at(columns, points), _at(rows, points)], axis=1)
    return points, -slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)


def _evenly(line: Points) -> Points:
    """Points along a line of corners (C, 2)."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(SPACING / 2, along[-1], SPACING)
    return np.stack([np.interp(at, along, line[:, axis]) for axis in (0, 1)], axis=1)


def _at(image: NDArray[np.floating], points: Points) -> Points:
    """Values of an image (H, W) at points (P, 2) in pixels with pixel centres at .5, bilinearly."""
    return ndimage.map_coordinates(image, [points[:, 1] - 0.5, points[:, 0] - 0.5], order=1, mode="nearest")
