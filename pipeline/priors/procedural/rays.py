"""Ambient occlusion and soft shadows by ray casting (Embree)."""

from __future__ import annotations

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import ArrayLike, NDArray

from pipeline.priors.procedural.splats import Floats, Ints, frame_from_normal, unit

GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
CHUNK = 1 << 19
"""Rays at a time: bounds the memory."""
LIFT = 8e-4
"""Metres above the surface where rays start: points lie off the flat triangles after smoothing."""


class Rays:
    """A triangle soup (F, 3, 3) that blocks light."""

    def __init__(self, triangles: Floats):
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, np.ascontiguousarray(triangles, np.float32))

    def blocked(self, origins: Floats, directions: Floats, max_distance: float = np.inf) -> NDArray[np.bool_]:
        """(N,) whether something lies within ``max_distance`` metres on each ray; origins, unit directions (N, 3)."""
        reach = np.full(len(origins), min(max_distance, 1e3), np.float32)
        hit = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            dists=reach,
            query="OCCLUDED",
        )
        return hit >= 0

    def first_hit(self, origins: Floats, directions: Floats) -> tuple[Ints, Floats]:
        """Triangle (N,), −1 for none, and barycentric place (N, 3) where each ray first meets something."""
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )
        u, v = found["u"], found["v"]
        return found["primID"].astype(np.int64), np.stack([1 - u - v, u, v], axis=1).astype(np.float32)

    def occlusion(self, points: Floats, normals: Floats, rays: int = 28, max_distance: float = np.inf) -> Floats:
        """How open the sky is above points (N, 3) with unit normals: cosine-weighted share of free rays, (N,) 0..1.

        Every point turns the same set of directions by its own angle (from its index), so that the error is fine
        noise that a neighbourhood mean removes, and the result is the same on every run.
        """
        k = np.arange(rays)
        radius, angle = np.sqrt((k + 0.5) / rays), GOLDEN_ANGLE * k
        height = np.sqrt(1 - radius**2)
        open_share = np.empty(len(points), np.float32)
        step = max(1, CHUNK // rays)
        for start in range(0, len(points), step):
            rows = slice(start, start + step)
            axes = frame_from_normal(normals[rows])
            turn = (GOLDEN_ANGLE * np.arange(start, start + len(axes)))[:, None] + angle
            x, y = radius * np.cos(turn), radius * np.sin(turn)
            local = np.stack([x, y, np.broadcast_to(height, x.shape)], axis=-1).astype(np.float32)
            directions = local @ axes.transpose(0, 2, 1)
            origins = np.repeat(points[rows] + normals[rows] * np.float32(LIFT), rays, axis=0)
            hit = self.blocked(origins, directions.reshape(-1, 3), max_distance)
            open_share[rows] = 1 - hit.reshape(-1, rays).mean(1)
        return open_share

    def visibility(
        self, points: Floats, normals: Floats, direction: ArrayLike, rays: int = 16, spread: float = 0.2
    ) -> Floats:
        """Share of a round light in ``direction`` (3,) that points (N, 3) see, (N,) 0..1; ``spread`` is its radius as
        a tangent."""
        toward = unit(np.asarray(direction, np.float32)[None])
        axes = frame_from_normal(toward)[0]
        k = np.arange(rays)
        radius, angle = np.sqrt((k + 0.5) / rays) * spread, GOLDEN_ANGLE * k
        offset = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.ones(rays)], axis=1).astype(np.float32)
        fan = unit(offset @ axes.T)
        seen = np.empty(len(points), np.float32)
        step = max(1, CHUNK // rays)
        for start in range(0, len(points), step):
            rows = slice(start, start + step)
            origins = points[rows] + normals[rows] * np.float32(1.5 * LIFT)
            count = len(origins)
            hit = self.blocked(np.repeat(origins, rays, axis=0), np.tile(fan, (count, 1)))
            seen[rows] = 1 - hit.reshape(count, rays).mean(1)
        return seen
