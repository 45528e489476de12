"""Whether the skin moves as the mesh does: where what is seen comes from, told by the splats and by the mesh.

The mesh says of the point that a pixel sees where it lay at rest (a map of canonical coordinates, Wang et al., CVPR
2019). The splats seen there say the same: each carries the point along its own rigid way back to its place at rest.
Where the two differ, the splats have not moved as their place of the mesh did; the distance, in the camera's pixels, is
the error. At rest it is zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.camera import Camera
from pipeline.evaluation.views import Floats, MeshView, SplatView
from pipeline.heads.rig import Rig

DRAWN = 0.5
"""Opacity of the surface splats below which they show nothing to be judged; holes have a figure of their own."""
HIDDEN_SHARE = 1 / 100
"""Share of the picture's width by which a landmark may lie behind what its pixel shows and still counts as seen."""

GRAZING = 0.3
"""Cosine to the camera below which a landmark's surface is seen too slantwise to be judged."""
TOLERANCE_SHARE = 1 / 256
"""Share of the picture's side: a landmark's error is the least within that many pixels of it, so that lips and lids,
where two surfaces that move apart meet, are not judged by which of them a pixel happens to see."""


@dataclass(frozen=True)
class Registration:
    """Errors of one view, pixels."""

    head_mean: float | None
    """Over the pixels of face, scalp and ears; None where none is seen."""
    head_p95: float | None
    landmark_mean: float | None
    """Over the landmarks that are seen; None where none is, or the rig has none."""
    landmark_worst: float | None
    worst_landmark: str


def compare_places(
    mesh: MeshView, splats: SplatView, rig: Rig, vertices: Tensor, camera: Camera
) -> tuple[Registration, Floats]:
    """The errors, and the map of them (H, W) in pixels, 0 where nothing is judged; ``vertices`` (V, 3) are posed."""
    judged = mesh.inside & (splats.surface_alpha >= DRAWN)
    told = (splats.back[..., :3] @ mesh.posed[..., None]).squeeze(-1) + splats.back[..., 3]
    apart = told - mesh.rest
    focal = float(camera.K[1, 1])
    errors = np.where(judged, np.linalg.norm(apart, axis=-1) * focal / np.maximum(mesh.depth, 1e-6), 0)
    errors = errors.astype(np.float32)
    head = errors[judged & mesh.head]
    names, values = _at_landmarks(errors, judged, mesh, rig, vertices, camera)
    worst = int(values.argmax()) if len(values) else -1
    return Registration(
        head_mean=float(head.mean()) if len(head) else None,
        head_p95=float(np.percentile(head, 95)) if len(head) else None,
        landmark_mean=float(values.mean()) if len(values) else None,
        landmark_worst=float(values[worst]) if len(values) else None,
        worst_landmark=names[worst] if len(values) else "",
    ), errors


def _facing(rig: Rig, vertices: Tensor, camera: Camera) -> Tensor:
    """(L,) cosine between the surface's normal at each landmark and the way to the camera."""
    assert rig.landmarks is not None
    corners = vertices[rig.faces[rig.landmarks.faces].long()]
    normals = normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)
    return (normals * normalize(camera.position - corners.mean(1), dim=-1)).sum(-1)


def _at_landmarks(
    errors: Floats, judged: np.ndarray, mesh: MeshView, rig: Rig, vertices: Tensor, camera: Camera
) -> tuple[list[str], Floats]:
    """Names and errors of the landmarks that this camera sees."""
    if rig.landmarks is None:
        return [], np.zeros(0, np.float32)
    points = rig.landmarks.positions(vertices, rig.faces.long()) @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    depth = points[:, 2]
    facing = _facing(rig, vertices, camera)
    pixels = ((points / depth[:, None]) @ camera.K.T)[:, :2].floor().long()
    within = (
        (depth > 0)
        & (facing > GRAZING)
        & (pixels >= 0).all(1)
        & (pixels < torch.tensor([camera.width, camera.height])).all(1)
    )
    index = within.nonzero()[:, 0].numpy()
    x, y = pixels[within].T.numpy()
    width = camera.width * mesh.depth[y, x] / float(camera.K[0, 0])
    seen = judged[y, x] & (depth[within].numpy() - mesh.depth[y, x] < HIDDEN_SHARE * width)
    around = np.where(judged, errors, np.inf)
    nearest = ndimage.minimum_filter(around, 2 * math.ceil(TOLERANCE_SHARE * max(errors.shape)) + 1)
    return [rig.landmarks.names[i] for i in index[seen]], nearest[y[seen], x[seen]]
