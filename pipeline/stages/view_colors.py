"""Which points of a head its pictures show, and in which colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pipeline.camera import Camera
from pipeline.reconstruction.multiview import Views
from pipeline.rendering.mesh import rasterize_mesh

LEAST_COSINE = 0.2
"""Between a point's normal and the way to the camera: a picture says nothing about what it sees edge-on."""
OPAQUE = 0.95
"""Alpha below which a pixel is not asked: it shows what lies behind as well."""

SPREAD = 0.12
"""Distance between colours 0..1 at which a view counts half."""


@dataclass(frozen=True)
class Occluder:
    """A mesh as cameras see it: it hides what lies behind it."""

    depths: Tensor
    """(C, H, W); infinite beside the mesh."""
    tolerance: float
    """How far behind it a point still counts as part of it, in the unit of the depths."""
    seen_faces: Tensor
    """(F,) bool: triangles that any camera sees."""

    @classmethod
    def of(cls, vertices: Tensor, faces: Tensor, cameras: Sequence[Camera], tolerance: float) -> Occluder:
        """Of vertices (V, 3) and faces (F, 3) long, for cameras of one size."""
        depths, seen = [], torch.zeros(len(faces) + 1, dtype=torch.bool, device=faces.device)
        for camera in cameras:
            views = camera.viewmat[None].to(vertices.device), camera.K[None].to(vertices.device)
            fragments = rasterize_mesh(vertices, faces, *views, camera.width, camera.height)
            depths.append(fragments.depth[0])
            seen[fragments.face[0].long().flatten()] = True  # −1 is the last row
        return cls(torch.stack(depths), tolerance, seen[:-1])


@dataclass(frozen=True)
class Seen:
    """What pictures say of points."""

    colors: Tensor
    """(N, 3) display sRGB 0..1; 0 where nothing was seen."""
    weight: Tensor
    """(N,) sum of squared cosines of the views that see the point; 0 where none does."""


@torch.no_grad()
def seen_colors(points: Tensor, normals: Tensor, views: Views, occluders: Sequence[Occluder]) -> Seen:
    """The colour of each point that the views that see it agree on, by the square of the cosine to the view.

    A mean, and then another in which a view counts the less the more it differs from the first (Cauchy's weight), since
    a thin strand or the rim of glasses may hide a point and be no part of any occluder.

    ``points`` and unit ``normals`` (N, 3) in the world of the cameras; ``occluders`` as those cameras see them. A point
    is seen where it faces the camera, lies in the picture and on no occluder's far side.
    """
    first = _agreed(points, normals, views, occluders, None)
    return _agreed(points, normals, views, occluders, first.colors)


def _agreed(
    points: Tensor, normals: Tensor, views: Views, occluders: Sequence[Occluder], around: Tensor | None
) -> Seen:
    """The weighted mean; with ``around`` (N, 3), colours far from it count less."""
    total, weight, trust = torch.zeros_like(points), torch.zeros_like(points[:, 0]), torch.zeros_like(points[:, 0])
    for number, (camera, picture) in enumerate(zip(views.cameras, views.pictures, strict=True)):
        colors, share = _look(points, normals, camera, picture, occluders, number)
        weight += share
        if around is not None:
            share = share / (1 + (colors - around).square().sum(1) / SPREAD**2)
        total += share[:, None] * colors
        trust += share
    return Seen(total / trust.clamp_min(1e-8)[:, None], weight)


def _look(
    points: Tensor, normals: Tensor, camera: Camera, picture: Tensor, occluders: Sequence[Occluder], number: int
) -> tuple[Tensor, Tensor]:
    """Colours (N, 3) where one camera sees the points, and its squared cosines (N,), 0 where it does not."""
    pixels, depth = camera.project(points)
    cosine = _cosine(points, normals, camera)
    slope = (1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(LEAST_COSINE)
    bias = slope * depth / float(camera.K[0, 0])  # how deep a pixel is on a slanted surface
    visible = (cosine > LEAST_COSINE) & _inside(pixels, camera)
    for occluder in occluders:
        visible &= depth <= _at(occluder.depths[number], pixels) + occluder.tolerance + bias
    sampled = _sample(picture, pixels, points)
    return sampled[:, :3], torch.where(visible & (sampled[:, 3] > OPAQUE), cosine.square(), 0.0)


def _cosine(points: Tensor, normals: Tensor, camera: Camera) -> Tensor:
    to_camera = torch.nn.functional.normalize(camera.position.to(points) - points, dim=1)
    return (to_camera * normals).sum(1)


def _inside(pixels: Tensor, camera: Camera) -> Tensor:
    size = pixels.new_tensor([camera.width, camera.height])
    return ((pixels > 0) & (pixels < size)).all(1)


def _at(image: Tensor, pixels: Tensor) -> Tensor:
    """(H, W) at the nearest pixels (N, 2): (N,)."""
    column, row = pixels.floor().long().unbind(1)
    return image[row.clamp(0, image.shape[0] - 1), column.clamp(0, image.shape[1] - 1)]


def _sample(picture: Tensor, pixels: Tensor, like: Tensor) -> Tensor:
    """(H, W, 4) uint8 between the pixels (N, 2): (N, 4) 0..1."""
    size = pixels.new_tensor([picture.shape[1], picture.shape[0]])
    channels = picture.to(like).div(255).permute(2, 0, 1)[None]
    return grid_sample(channels, (2 * pixels / size - 1)[None, None], align_corners=False)[0, :, 0].T
