"""What each triangle of a portrait's surface shows: every labelled pixel that sees it votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.rendering.mesh import rasterize_mesh

GRAZING = 0.1
"""Cosine between normal and view below which a pixel does not vote: an outline may lie a pixel beside the labels."""


def vote(surface: Surface, cameras: Sequence[Camera], labels: Tensor) -> Surface:
    """The surface with the part that most of its pixels show, each counted by the cosine at which it is seen.

    As AnimPortrait3D's segment_mesh.py, except that every pixel counts, not one of each view. Hair grows by a ring of
    triangles, so that no skin shines through at its roots; what no view sees is what the nearest seen triangle is.

    Args:
        labels: (C, H, W) uint8 `Part`, what each pixel of the cameras shows. Background does not vote.

    Raises:
        UserError: no view shows any part of the surface.
        ValueError: labels are not of the cameras' sizes.
    """
    votes = torch.zeros(len(surface.faces), len(Part), device=surface.vertices.device)
    normals, centroids = _normals_and_centroids(surface)
    for camera, label in zip(cameras, labels, strict=True):
        if label.shape != (camera.height, camera.width):
            raise ValueError(
                f"labels of {tuple(label.shape)} do not fit a camera of {(camera.height, camera.width)} pixels"
            )
        seen = _seen_faces(surface, camera)
        towards = normalize(camera.position.to(centroids) - centroids, dim=1)
        weight = (normals * towards).sum(1)
        part = label.to(seen.device).long()
        counts = (seen >= 0) & (part != Part.BACKGROUND)
        face, part = seen[counts], part[counts]
        heavy = weight[face].where(weight[face] > GRAZING, 0.0)
        votes.view(-1).index_add_(0, face * len(Part) + part, heavy)
    return replace(surface, parts=_grown(surface, _decided(votes, centroids)))


def _normals_and_centroids(surface: Surface) -> tuple[Tensor, Tensor]:
    """(F, 3) unit normals outwards and (F, 3) middles."""
    corners = surface.vertices[surface.faces]
    return normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])), corners.mean(1)


def _seen_faces(surface: Surface, camera: Camera) -> Tensor:
    """(H, W) long, −1 where there is none."""
    viewmat, K = (each[None].to(surface.vertices) for each in (camera.viewmat, camera.K))
    fragments = rasterize_mesh(surface.vertices, surface.faces, viewmat, K, camera.width, camera.height)
    return fragments.face[0].long()


def _decided(votes: Tensor, centroids: Tensor) -> Tensor:
    """(F,) uint8: the part with most votes, and for those without any that of the nearest triangle with some."""
    most, part = votes.max(1)
    seen = most > 0
    if not bool(seen.any()):
        raise UserError("no view shows a labelled part of the surface; the labels or the cameras are of another head")
    tree = cKDTree(centroids[seen].cpu().numpy())
    nearest = torch.from_numpy(tree.query(centroids[~seen].cpu().numpy())[1]).to(part.device)
    part[~seen] = part[seen][nearest]
    return part.to(torch.uint8)


def _grown(surface: Surface, parts: Tensor) -> Tensor:
    """Hair and the triangles that touch it."""
    at_hair = torch.zeros(len(surface.vertices), dtype=torch.bool, device=parts.device)
    at_hair[surface.faces[parts == Part.HAIR].flatten()] = True
    return torch.where(at_hair[surface.faces].any(1), int(Part.HAIR), parts)
