"""Where a refinement begins: HeadStudio's grey splats on every triangle, and which splats a phase moves."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.avatar import Layer, SplatAvatar
from pipeline.geometry import random_barycentrics, triangle_frames
from pipeline.heads.rig import Rig
from pipeline.stages.randomness import generator

NEIGHBOURS = 3
"""Splats whose mean distance becomes a splat's size, as in 3D Gaussian Splatting."""
SMALLEST = 1e-5
"""Metres of a splat's size: points may coincide on closed lids."""
OPACITY = 0.1
GREY = 0.5
"""Coefficient of degree 0: colour 0.641."""
CAGE = "hair_cage"
"""Region of the triangles that loose hair hangs on."""
UNSEEN = (CAGE, "limbs")
"""Regions whose triangles are no surface of a head and its shoulders."""
REGIONS: dict[Layer, tuple[str, ...]] = {
    Layer.EYE: ("eye_left", "eye_right", "iris_left", "iris_right"),
    Layer.MOUTH: ("inner_mouth", "teeth", "teeth_upper", "teeth_lower", "tongue"),
}
"""Parts of the head that have a layer of their own."""
ROUND_THE_EYES = (*REGIONS[Layer.EYE], "eyelids", "eye_socket", "lashes_left", "lashes_right")
APART = (Layer.HAIR, Layer.CLOTH, Layer.ACCESSORY)
"""Layers that belong to no part of the face, wherever they hang: a fringe, a frame of glasses."""


def super_dense(rig: Rig, per_triangle: int = 10, seed: int = 0) -> SplatAvatar:
    """HeadStudio's super-dense start on any rig: ``per_triangle`` grey splats, evenly spread, on each triangle.

    Source: HeadStudio (Zhou et al., ECCV 2024), section 4.2. Its frame of a triangle has the unit √area; the splats
    are those of the world, given in the units of `SplatAvatar`, so they are the same ones.
    """
    faces = torch.arange(len(rig.faces))[~rig.faces_in(UNSEEN).cpu()]
    vertices, triangles = rig.vertices.detach().cpu(), rig.faces.cpu()
    face = faces.repeat_interleave(per_triangle)
    corners = vertices[triangles[face]]
    world = (random_barycentrics(len(face), generator(seed, "super dense"))[:, :, None] * corners).sum(1)
    frames = triangle_frames(vertices, triangles)
    rotation, k = frames.rotation[face], frames.scale[face, None].clamp_min(SMALLEST)
    means = (rotation.transpose(1, 2) @ (world - frames.origin[face])[..., None]).squeeze(-1) / k
    count = len(face)
    return SplatAvatar.from_parts(
        rig,
        face=face,
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).expand(count, 4),
        log_scales=torch.log(_spacing(world)[:, None] / k).expand(count, 3),
        opacity_logits=torch.full((count,), OPACITY).logit(),
        sh=torch.full((count, 1, 3), GREY),
        layer=_layers(rig).cpu()[face],
    )


def trained_mask(avatar: SplatAvatar, trained: Literal["eyes", "mouth", "all"]) -> Tensor:
    """(N,) bool: which splats a phase moves; ``eyes`` are the eyeballs, lids and lashes, ``mouth`` all inside it."""
    if trained == "all":
        return torch.ones_like(avatar.layer, dtype=torch.bool)
    layer, names = (Layer.EYE, ROUND_THE_EYES) if trained == "eyes" else (Layer.MOUTH, REGIONS[Layer.MOUTH])
    on_face = ~torch.isin(avatar.layer, avatar.layer.new_tensor(APART))
    return (avatar.layer == layer) | (avatar.rig.faces_in(names)[avatar.face.long()] & on_face)


def _spacing(points: Tensor) -> Tensor:
    """(N,) root mean square distance of each point (N, 3) to its nearest neighbours."""
    cloud = points.double().numpy()
    distances = cKDTree(cloud).query(cloud, k=min(NEIGHBOURS + 1, len(cloud)))[0][:, 1:]
    return torch.from_numpy(np.sqrt((distances**2).mean(1))).float().clamp_min(SMALLEST)


def _layers(rig: Rig) -> Tensor:
    """(F,) uint8."""
    layers = torch.full((len(rig.faces),), int(Layer.SKIN), dtype=torch.uint8, device=rig.faces.device)
    for layer, names in REGIONS.items():
        layers[rig.faces_in(names)] = int(layer)
    return layers
