"""The outer surface of splats: depth maps from all round, fused into a signed distance, and its zero level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes
from torch import Tensor

from pipeline.avatar import Gaussians
from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Surface
from pipeline.reconstruction.surface import decimate
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.cameras import Orbit

YAWS = tuple(range(0, 360, 45))
POLARS = (30.0, 60.0, 90.0, 112.0)
"""Degrees from straight up: the crown is seen from above, the chin from below."""
SIZE = 320
"""Pixels of a depth map."""
VOXELS = 144
"""Along the longest edge of the box: 3 mm on a bust."""
BAND = 3.0
"""Voxels over which the distance is measured; beyond it is cut off (Curless and Levoy 1996)."""
COVERED = 0.5
"""Alpha from which a pixel has a depth."""
OPAQUE = 0.3
"""Opacity from which a splat gives the surface its colour and part."""
NEIGHBOURS = 5
"""Splats that vote for the part of a triangle."""


@torch.no_grad()
def splat_surface(splats: Gaussians, parts: Tensor, orbit: Orbit, voxels: int = VOXELS) -> Surface:
    """A closed surface of at most about 60 000 triangles in the splats' own unit.

    ``voxels`` along the longest edge of their box say how fine it is: 3 mm by default on a bust. ``parts`` (N,) uint8
    `Part` of every splat. Raises `UserError` where nothing of the splats is opaque.
    """
    splats = Gaussians(**{name: value.cpu() for name, value in vars(splats).items()})
    low, high = splats.means.amin(0), splats.means.amax(0)
    voxel = float((high - low).amax()) / voxels
    axes = [torch.arange(float(a) - 2 * voxel, float(b) + 2 * voxel, voxel) for a, b in zip(low, high, strict=True)]
    cameras = [orbit.camera(yaw, polar, SIZE) for polar in POLARS for yaw in YAWS]
    distance = _fused(splats, cameras, axes, BAND * voxel)
    if not bool((distance < 0).any()):
        raise UserError("the splats have no opaque surface; none of their pixels is covered by half")
    closed = np.pad(distance.numpy(), 1, constant_values=1.0)
    vertices, faces, _, _ = marching_cubes(closed, 0.0, spacing=(voxel,) * 3)
    origin = torch.tensor([float(axis[0]) - voxel for axis in axes])
    surface = Surface(torch.from_numpy(vertices.copy()).float() + origin, torch.from_numpy(faces.copy()).long())
    return _dressed(decimate(_outward(surface)), splats, parts)


def _fused(splats: Gaussians, cameras: Sequence[Camera], axes: Sequence[Tensor], band: float) -> Tensor:
    """Signed distance on a grid in bands, (X, Y, Z): 1 where a view sees through, −1 where none gets to."""
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    total, seen = torch.zeros(len(grid)), torch.zeros(len(grid))
    for camera in cameras:
        depth = _depth(splats, camera)
        pixels, behind = camera.project(grid)
        column, row = pixels.floor().long().unbind(1)
        inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height) & (behind > 0)
        before = depth[row.clamp(0, camera.height - 1), column.clamp(0, camera.width - 1)] - behind
        met = inside & (before > -band)
        total += torch.where(met, (before / band).clamp_max(1.0), 0.0)
        seen += met
    return torch.where(seen > 0, total / seen.clamp_min(1), -1.0).reshape([len(axis) for axis in axes])


def _depth(splats: Gaussians, camera: Camera) -> Tensor:
    """(H, W) of the surface; infinite where a pixel is not covered."""
    depth, alpha, _ = rasterize(
        splats.means, splats.quats, splats.scales, splats.opacities, splats.colors, camera.viewmat[None],
        camera.K[None], camera.width, camera.height, render_mode="ED",
    )  # fmt: skip
    return torch.where(alpha[0, ..., 0] > COVERED, depth[0, ..., 0], torch.inf)


def _outward(surface: Surface) -> Surface:
    """Counter-clockwise seen from outside: its volume is positive."""
    a, b, c = surface.vertices[surface.faces].double().unbind(1)
    volume = (a * torch.linalg.cross(b, c)).sum()
    return surface if volume > 0 else Surface(surface.vertices, surface.faces.flip(1))


def _dressed(surface: Surface, splats: Gaussians, parts: Tensor) -> Surface:
    """With the colour of the nearest splat at its vertices and the part of the nearest ones on its triangles."""
    rows = torch.nonzero(splats.opacities > OPAQUE).squeeze(1)
    tree = cKDTree(splats.means[rows].numpy())
    nearest = torch.from_numpy(tree.query(surface.vertices.numpy(), workers=-1)[1])
    centroids = surface.vertices[surface.faces].mean(1).numpy()
    voters = torch.from_numpy(tree.query(centroids, min(NEIGHBOURS, len(rows)), workers=-1)[1]).view(len(centroids), -1)
    of_faces = parts.cpu()[rows][voters].mode(1).values
    return Surface(surface.vertices, surface.faces, splats.colors[rows][nearest].clamp(0, 1), of_faces)
