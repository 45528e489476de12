"""`Surface`: one person's head as every layer of splats meets it: points on it, places of the template, rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from trimesh.triangles import closest_point, points_to_barycentric

from pipeline.priors.procedural.poisson import poisson_disk
from pipeline.priors.procedural.rays import Rays
from pipeline.priors.procedural.splats import Floats, Ints, f32, unit
from pipeline.priors.procedural.stretching import stretching_offsets

if TYPE_CHECKING:
    from pipeline.heads.rig import Rig

Mask = NDArray[np.bool_]

CANDIDATES = 5
"""Random candidates per point kept: about where a Poisson-disk set stops getting fuller."""
DISK_RADIUS = 0.83
"""Poisson radius in spacings that leaves one point per spacing² on average."""
FIFTH_NEIGHBOUR = 0.74
"""Spacing over distance of the fifth neighbour in a Poisson-disk set."""
LARGEST_STRETCH = 1.8
"""No splat grows by more than this to close gaps of a stretched pose."""
PHONG = 0.6
"""Strength of Phong tessellation (Boubekeur & Alexa 2008): hides the facets of the mesh."""
COLLISION_SPACING = 4e-3
"""Metres between the points of the skin that hair and cloth collide with."""


@dataclass(frozen=True)
class Samples:
    """Points on the surface; one row per point."""

    face: Ints
    """(N,) triangle."""
    barycentric: Floats
    """(N, 3)"""
    position: Floats
    """(N, 3) on this person, metres."""
    normal: Floats
    """(N, 3) smooth unit normal."""
    template: Floats
    """(N, 3) the same place on the template, metres."""
    spacing: Floats
    """(N,) distance to its neighbours, metres."""

    def select(self, mask: NDArray) -> Samples:
        """The rows of a bool mask or an index array."""
        return Samples(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    def __len__(self) -> int:
        return len(self.face)


class Head(Protocol):
    """Any head model: the free one, or a licensed one with what it lacks (`complete_head`)."""

    @property
    def rig(self) -> Rig: ...

    @property
    def template_points(self) -> torch.Tensor:
        """(V, 3) the rig's vertices in the coordinates of the free head's template."""


class Surface:
    """The neutral head of one person.

    ``template`` coordinates (`AnnyHead.template_points`) name a place on anybody's head: masks, brows and hairlines
    are written once there. World coordinates are the rig's.
    """

    def __init__(self, head: Head):
        self.rig = head.rig
        self.vertices: Floats = self.rig.vertices.numpy().astype(np.float32)
        self.faces: Ints = self.rig.faces.numpy().astype(np.int64)
        self.template: Floats = np.asarray(head.template_points, np.float32)
        self.regions: dict[str, Mask] = {name: mask.numpy() for name, mask in self.rig.regions.items()}
        self.normals: Floats = vertex_normals(self.vertices, self.faces)

    @cached_property
    def skin(self) -> Mask:
        """(F,) the one body mesh: everything but eyes, teeth, tongue, lashes, cages and limbs; the mouth's lining is in
        it."""
        apart = ("eye_left", "eye_right", "teeth", "tongue", "lashes_left", "lashes_right", "hair_cage", "limbs")
        return ~np.any([self.regions[name] for name in apart if name in self.regions], axis=0)

    @cached_property
    def outer_skin(self) -> Mask:
        """(F,) the skin without the mouth's lining."""
        return self.skin & ~self.regions["inner_mouth"]

    @cached_property
    def size(self) -> float:
        """This person's head relative to the template's: 1 for an adult, about 0.8 for a child."""
        inside = np.unique(self.faces[self.regions["face"] | self.regions["scalp"]])
        here, there = self.vertices[inside], self.template[inside]
        return float(np.sqrt(here.var(0).sum() / there.var(0).sum()))

    @cached_property
    def stretch(self) -> Floats:
        """(F,) by how much the edges of a triangle grow at most in the poses that stretch it, 1 or more."""
        offsets = stretching_offsets(self.rig)
        rest = np.maximum(_areas(self.vertices, self.faces), 1e-12)
        posed = np.stack([_areas(self.vertices + offset, self.faces) for offset in offsets])
        return np.sqrt(np.maximum(1.0, (posed / rest).max(0))).astype(np.float32)

    def soft(self, region: str | Mask) -> Floats:
        """(V,) share of the triangles round each vertex that lie in a region: a mask without stairs."""
        mask = self.regions[region] if isinstance(region, str) else region
        corners = self.faces.ravel()
        inside = np.bincount(corners, np.repeat(mask, 3), len(self.vertices))
        return (inside / np.maximum(np.bincount(corners, minlength=len(self.vertices)), 1)).astype(np.float32)

    def interpolate(self, samples: Samples, values: ArrayLike) -> Floats:
        """Values (V,) or (V, C) of vertices → (N,) or (N, C) at the samples."""
        corners = np.asarray(values, np.float32)[self.faces[samples.face]]
        weights = samples.barycentric.reshape(len(samples), 3, *([1] * (corners.ndim - 2)))
        return (corners * weights).sum(1)

    def sample(
        self, face_mask: Mask, spacing: ArrayLike, rng: np.random.Generator, *, stretched: bool = False
    ) -> Samples:
        """Evenly spread points on some triangles.

        ``face_mask`` (F,) bool; ``spacing`` metres, one figure or one per chosen triangle. ``stretched``: dense and
        wide enough that no gap opens in the poses of `stretching_offsets`.
        """
        chosen = np.flatnonzero(face_mask)
        wanted = np.broadcast_to(np.asarray(spacing, np.float32), chosen.shape)
        growth = np.minimum(self.stretch[chosen], LARGEST_STRETCH) if stretched else np.ones(len(chosen), np.float32)
        dense = wanted / np.sqrt(growth)
        expected = _areas(self.vertices, self.faces[chosen]) / dense**2 * CANDIDATES
        number = np.floor(expected + rng.random(len(chosen))).astype(np.int64)
        row = rng.permutation(np.repeat(np.arange(len(chosen)), number))
        a, b = np.sqrt(rng.random(len(row), np.float32)), rng.random(len(row), np.float32)
        barycentric = np.stack([1 - a, a * (1 - b), a * b], axis=1)
        triangles = self.vertices[self.faces[chosen]]
        keep = poisson_disk(triangles, row, barycentric, dense[row] * np.float32(DISK_RADIUS))
        row = row[keep]
        points = self.samples(chosen[row], barycentric[keep])
        return replace(points, spacing=_local_spacing(points.position, dense[row]) * np.sqrt(growth[row]))

    def samples(self, face: Ints, barycentric: Floats, spacing: ArrayLike = 0.0) -> Samples:
        """Samples at given places, on the smoothed surface."""
        position, normal = self._evaluate(face, barycentric)
        template = (self.template[self.faces[face]] * barycentric[..., None]).sum(1)
        spread = np.broadcast_to(np.asarray(spacing, np.float32), face.shape).copy()
        return Samples(face, barycentric, position, normal, template, spread)

    def attach(self, template_points: ArrayLike, face_mask: Mask | None = None) -> Samples:
        """The places of the surface closest to points (N, 3) in template coordinates; the outer skin by default."""
        points = np.asarray(template_points, np.float32)
        chosen, tree = self._template_faces(self.outer_skin if face_mask is None else face_mask)
        candidates = chosen[tree.query(points, min(6, len(chosen)))[1].reshape(len(points), -1)]
        triangles = self.template[self.faces[candidates]]
        ways = triangles.shape[1]
        nearest = closest_point(triangles.reshape(-1, 3, 3), np.repeat(points, ways, axis=0)).reshape(-1, ways, 3)
        best = np.linalg.norm(nearest - points[:, None], axis=2).argmin(1)
        rows = np.arange(len(points))
        barycentric = points_to_barycentric(triangles[rows, best], nearest[rows, best], method="cross")
        barycentric = np.clip(np.nan_to_num(barycentric, nan=1 / 3), 0, 1).astype(np.float32)
        return self.samples(candidates[rows, best], barycentric / barycentric.sum(1, keepdims=True))

    def project_template(self, template_points: ArrayLike) -> Floats:
        """Points (N, 3) on or near the template's skin → the same places (N, 3) on this person, metres."""
        points = np.asarray(template_points, np.float32)
        foot = self.attach(points)
        return foot.position + (points - foot.template) * np.float32(self.size)

    def front(self, xy: ArrayLike) -> Samples:
        """The outer skin straight behind places (N, 2) of the template's front view; places beside the head are
        attached to its nearest point."""
        places = np.asarray(xy, np.float32)
        chosen, rays = self._template_front
        origins = np.c_[places, np.ones(len(places), np.float32)]
        triangle, barycentric = rays.first_hit(origins, np.broadcast_to(f32([0, 0, -1]), origins.shape))
        found = self.samples(chosen[np.maximum(triangle, 0)], barycentric)
        beside = triangle < 0
        if beside.any():
            edge = self.attach(np.c_[places[beside], np.full(beside.sum(), 0.1, np.float32)])
            for item in fields(Samples):
                getattr(found, item.name)[beside] = getattr(edge, item.name)
        return found

    @cached_property
    def _template_front(self) -> tuple[Ints, Rays]:
        chosen = np.flatnonzero(self.outer_skin)
        return chosen, Rays(self.template[self.faces[chosen]])

    @cached_property
    def collision(self) -> Samples:
        """Evenly spread points of the outer skin, the same for every call: what hair and cloth rest on."""
        return self.sample(self.outer_skin, COLLISION_SPACING, np.random.default_rng(0))

    @cached_property
    def collision_tree(self) -> cKDTree:
        """KD-tree over `collision`."""
        return cKDTree(self.collision.position)

    def nearest(self, points: ArrayLike) -> Samples:
        """For points (N, 3) in the world: the closest of the `collision` points."""
        return self.collision.select(self.collision_tree.query(np.asarray(points, np.float32), workers=-1)[1])

    @cached_property
    def rays(self) -> Rays:
        """Rays against everything solid: skin, eyeballs, teeth, tongue."""
        soft = [self.regions[name] for name in ("lashes_left", "lashes_right", "hair_cage") if name in self.regions]
        return Rays(self.vertices[self.faces[~np.any(soft, axis=0)]] if soft else self.vertices[self.faces])

    @cached_property
    def skin_rays(self) -> Rays:
        """Rays against the skin alone: what shades an eyeball."""
        return Rays(self.vertices[self.faces[self.skin]])

    def occlusion(self, points: Floats, normals: Floats, rays: int = 28, max_distance: float = np.inf) -> Floats:
        """See `Rays.occlusion`."""
        return self.rays.occlusion(points, normals, rays, max_distance)

    def visibility(self, points: Floats, normals: Floats, direction: ArrayLike, rays: int, spread: float) -> Floats:
        """See `Rays.visibility`."""
        return self.rays.visibility(points, normals, direction, rays, spread)

    def _evaluate(self, face: Ints, barycentric: Floats) -> tuple[Floats, Floats]:
        """Position after Phong tessellation and smooth normal."""
        corner_ids = self.faces[face]
        corners, corner_normals = self.vertices[corner_ids], self.normals[corner_ids]
        weights = barycentric[..., None]
        flat = (corners * weights).sum(1)
        height = ((flat[:, None] - corners) * corner_normals).sum(-1, keepdims=True)
        bulge = (height * corner_normals * weights).sum(1)
        return flat - np.float32(PHONG) * bulge, unit((corner_normals * weights).sum(1))

    def _template_faces(self, mask: Mask) -> tuple[Ints, cKDTree]:
        chosen = np.flatnonzero(mask)
        return chosen, cKDTree(self.template[self.faces[chosen]].mean(1))


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """(V, 3) unit normals, triangles weighted by area."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack([np.bincount(faces.ravel(), np.repeat(area[:, k], 3), len(vertices)) for k in range(3)], axis=1)
    return unit(total)


def neighbourhood_mean(
    points: Floats, values: Sequence[Floats] | Floats, count: int, at: Floats | None = None
) -> Floats:
    """Mean of ``values`` (C, N) over the ``count`` points (N, 3) closest to each place ``at`` (M, 3), by default the
    points themselves → (C, M)."""
    index = cKDTree(points).query(points if at is None else at, count, workers=-1)[1]
    return np.stack([np.asarray(row, np.float32)[index].mean(1) for row in values])


def _local_spacing(points: Floats, wanted: Floats) -> Floats:
    """Distance that closes the gaps round each point, from its fifth neighbour."""
    if len(points) < 6:
        return wanted.copy()
    fifth = cKDTree(points).query(points, 6, workers=-1)[0][:, 5]
    return np.clip(FIFTH_NEIGHBOUR * fifth, 0.85 * wanted, 1.6 * wanted).astype(np.float32)


def _areas(vertices: Floats, faces: Ints) -> Floats:
    v0, v1, v2 = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return 0.5 * np.linalg.norm(np.cross(v1 - v0, v2 - v0), axis=1).astype(np.float32)
