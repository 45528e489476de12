"""Closest places of one head's surface to points of another: near, facing the same way, and on the same lip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from trimesh.triangles import closest_point, points_to_barycentric

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

NORMAL_METRES = 0.012
"""Metres that a difference of 1 between unit normals counts as."""
LIP_METRES = 0.015
"""Metres that upper and lower lip lie further apart than they do: closed lips touch."""
CANDIDATES = 8
ON_CORNER = 0.02
"""Barycentric weight from which a place touches a corner of its triangle."""


@dataclass(frozen=True)
class Surface3D:
    """A triangle mesh with what matching looks at."""

    vertices: Array
    """(V, 3) metres."""
    faces: Ids
    """(F, 3) of the mesh; only those in ``used`` are matched."""
    lower: Array
    """(V,) 0 what stays with the skull, 1 what the jaw takes along."""
    used: Ids
    """(G,) faces."""

    @cached_property
    def normals(self) -> Array:
        """(V, 3) unit normals, triangles weighted by area."""
        return vertex_normals(self.vertices, self.faces)

    @cached_property
    def ends(self) -> NDArray[np.bool_]:
        """(V,) vertices at which the matched faces end."""
        ends = np.zeros(len(self.vertices), bool)
        ends[border_vertices(self.faces[self.used])] = True
        return ends

    def searched(self, lip: float) -> tuple[Array, cKDTree]:
        """What points are matched in: (V, 7) position, normal and lip of the corners, and the middles of the triangles
        as a tree; kept, so that a surface that is asked often is sorted once."""
        if lip not in self._searched:
            at_corner = np.c_[self.vertices, NORMAL_METRES * self.normals, lip * self.lower]
            self._searched[lip] = at_corner, cKDTree(at_corner[self.faces[self.used]].mean(1))
        return self._searched[lip]

    @cached_property
    def _searched(self) -> dict[float, tuple[Array, cKDTree]]:
        return {}

    def at_end(self, found: Match) -> NDArray[np.bool_]:
        """(N,) whether places of this surface lie on its border, beyond which it may go on in truth."""
        return np.any(self.ends[self.faces[found.faces]] * (found.barycentrics > ON_CORNER), axis=1)


@dataclass(frozen=True)
class Match:
    """The place of a surface that each query point was given."""

    points: Array
    """(N, 3)"""
    normals: Array
    """(N, 3) unit, interpolated."""
    faces: Ids
    """(N,)"""
    barycentrics: Array
    """(N, 3)"""


def match(points: Array, normals: Array, lower: Array, surface: Surface3D) -> Match:
    """For ``points`` (N, 3) with unit ``normals`` (N, 3) and ``lower`` (N,) the place of ``surface`` that costs least.

    The cost is the Euclidean distance in position, `NORMAL_METRES` · normal, `LIP_METRES` · lower; so a point of the
    upper lip never lands on the lower one, nor one of the front of an ear on its back. Where one of the two heads does
    not tell its lips apart (a model whose jaw is no joint), normals alone do.
    """
    lip = LIP_METRES if min(surface.lower.max(), lower.max()) > 0.5 else 0.0
    corners = surface.faces[surface.used]
    at_corner, tree = surface.searched(lip)
    asked = np.c_[points, NORMAL_METRES * normals, lip * lower]
    ways = min(CANDIDATES, len(corners))
    near = tree.query(asked, ways)[1].reshape(len(points), ways)
    triangles = surface.vertices[corners[near]].reshape(-1, 3, 3)
    repeated = np.repeat(points, ways, axis=0)
    foot = closest_point(triangles, repeated)
    barycentrics = _barycentrics(triangles, foot).reshape(len(points), ways, 3)
    place = (at_corner[corners[near]] * barycentrics[..., None]).sum(2)
    best = np.linalg.norm(place - asked[:, None], axis=2).argmin(1)
    rows = np.arange(len(points))
    chosen = place[rows, best]
    direction = chosen[:, 3:6] / np.linalg.norm(chosen[:, 3:6], axis=1, keepdims=True).clip(1e-12)
    return Match(chosen[:, :3], direction, surface.used[near[rows, best]], barycentrics[rows, best])


def vertex_normals(vertices: Array, faces: Ids) -> Array:
    """(V, 3) unit normals, triangles weighted by area."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack([np.bincount(faces.ravel(), np.repeat(area[:, k], 3), len(vertices)) for k in range(3)], axis=1)
    return total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-18)


def border_vertices(faces: Ids) -> Ids:
    """Vertices on edges that belong to one triangle alone."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    different, count = np.unique(edges, axis=0, return_counts=True)
    return np.unique(different[count == 1])


def connected_pieces(faces: Ids, count: int) -> Ids:
    """(count,) number of the connected piece of each of ``count`` vertices."""
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _barycentrics(triangles: Array, points: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):  # of triangles without area
        weights = points_to_barycentric(triangles, points, method="cross")
    weights = np.clip(np.nan_to_num(weights, nan=1 / 3, posinf=1 / 3, neginf=1 / 3), 0, 1)
    return weights / weights.sum(1, keepdims=True).clip(1e-12)
