"""What a surface says about a head: skin lies on it, except where hair and clothes lie on the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.surface_match import Match, Surface3D, match, vertex_normals
from pipeline.reconstruction.head_models import HeadModel
from pipeline.reconstruction.multiview import Part, Surface

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

REGION_WEIGHTS = {
    "torso": 0.02, "neck": 0.2, "scalp": 0.3, "face": 1.0, "ears": 0.2, "lips": 0.6, "eyelids": 0.3,
}  # fmt: skip
"""How much the skin of a region is trusted to be what the surface shows; of two regions the later one."""
UNMATCHED = ("inner_mouth", "eye_socket", "teeth", "tongue", "eye_left", "eye_right", "lashes_left", "lashes_right",
             "limbs", "hair_cage")  # fmt: skip
"""Not part of what is seen of a closed face."""
LEAST_COSINE = 0.6
"""Between the normals of partners."""
EFFECTIVE_POINTS = 600.0
"""Neighbouring vertices say the same: all together they count as so many measurements."""
OUTSIDE = 0.5
"""Hair and clothes stand off the skin outwards only: a surface that far outside, in standard deviations of a fit, is
half forgotten; one inside the skin counts as a Huber error does."""
COVERING = (Part.HAIR, Part.CLOTH)


@dataclass(frozen=True)
class Scan:
    """The observed surface in metres."""

    mesh: Surface3D
    covered: NDArray[np.bool_] | None
    """(F,) hair and clothes, where it is known."""


@dataclass(frozen=True)
class Partners:
    """Vertices of the model and the planes of the scan that they should lie in."""

    vertices: Ids
    """(N,) of the model."""
    match: Match
    weights: Array
    """(N,) inverse variances, metres⁻²."""


def scan_of(surface: Surface) -> Scan:
    """A surface whose vertices are in metres."""
    vertices, faces = surface.vertices.double().numpy(), surface.faces.numpy()
    covered = None if surface.parts is None else np.isin(surface.parts.numpy(), COVERING)
    return Scan(Surface3D(vertices, faces, np.zeros(len(vertices)), np.arange(len(faces))), covered)


@dataclass(frozen=True)
class Skin:
    """What of a model is laid on a scan."""

    faces: Ids
    """(G, 3)"""
    vertices: Ids
    """(N,)"""
    weights: Array
    """(N,) 0..1 by region."""


def skin_of(model: HeadModel, most: int = 1600) -> Skin:
    """Outer skin; of many vertices every second or third one, the face first of all."""
    apart = np.zeros(len(model.faces), bool)
    for name in UNMATCHED:
        apart |= model.regions.get(name, False)
    weight = np.zeros(len(model.span.mean))
    for name, value in REGION_WEIGHTS.items():
        if name in model.regions:
            weight[model.faces[model.regions[name] & ~apart]] = value
    faces = model.faces[~apart & (weight[model.faces] > 0).all(1)]
    vertices = np.unique(faces)
    vertices = vertices[:: max(1, -(-len(vertices) // most))]
    return Skin(faces, vertices, weight[vertices])


def partners(skin: Skin, points: Array, scan: Scan, reach: float, noise: float) -> Partners:
    """Points (V, 3) of all vertices in metres → the skin's partners within ``reach`` metres.

    ``noise`` metres: what the model may miss the surface by; an error of that size counts in full.
    """
    normals = vertex_normals(points, skin.faces)[skin.vertices]
    asked = points[skin.vertices]
    found = match(asked, normals, np.zeros(len(asked)), scan.mesh)
    way = found.points - asked
    near = np.linalg.norm(way, axis=1) < reach
    good = near & ((found.normals * normals).sum(1) > LEAST_COSINE) & ~scan.mesh.at_end(found)
    outward = (way * normals).sum(1) / noise
    inside = np.minimum(1.0, 2.0 / np.maximum(-outward, 1e-9))
    outside = 1.0 / (1.0 + (outward / (OUTSIDE * 4)) ** 2) ** 2
    trust = skin.weights * np.where(outward < 0, inside, outside)
    if scan.covered is not None:
        trust *= np.where(scan.covered[found.faces], np.where(outward < 0, 0.1, 0.0), 1.0)
    good &= trust > 0
    weights = trust[good] / noise**2 * min(1.0, EFFECTIVE_POINTS / max(1, len(skin.vertices)))
    picked = Match(found.points[good], found.normals[good], found.faces[good], found.barycentrics[good])
    return Partners(skin.vertices[good], picked, weights)
