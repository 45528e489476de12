"""The mesh of a rig as a surface: which of its faces are solid, and a grey picture of it."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.heads.rig import Rig
from pipeline.rendering.mesh import interpolate, rasterize_mesh, vertex_normals
from pipeline.rendering.portrait import Colour, Picture

NOT_SOLID = ("hair_cage", "lashes_left", "lashes_right")
"""Regions that no surface of the head is: splats hang on them, nothing is hidden by them."""
GREYS = (
    (("inner_mouth", "tongue"), 0.45),
    (("teeth",), 0.95),
    (("eye_left", "eye_right"), 0.95),
    (("iris_left", "iris_right"), 0.3),
)
"""Brightness of regions, later ones over earlier ones; the skin has `SKIN_GREY`."""
SKIN_GREY = 0.75
LIGHT = (-0.30, -0.40, -0.866)
"""Unit direction to the light in camera space (OpenCV axes): from the upper left behind the camera."""
AMBIENT = 0.25
OVERSAMPLING = 2
"""Samples of a pixel, along each side."""


def solid_faces(rig: Rig) -> Tensor:
    """(F,) bool, the faces that hide what lies behind them."""
    return ~rig.faces_in(NOT_SOLID)


class MeshPainter:
    """Draws a rig's mesh, shaded, as AnimPortrait3D's `render_animation.py` puts it beside the splats."""

    def __init__(self, rig: Rig) -> None:
        solid = solid_faces(rig)
        grey = rig.vertices.new_full((len(rig.faces),), SKIN_GREY)
        for names, value in GREYS:
            grey[rig.faces_in(names)] = value
        self._faces, self._grey = rig.faces[solid], grey[solid]

    @torch.no_grad()
    def draw(self, vertices: Tensor, camera: Camera, background: Colour | None) -> Picture:
        """One view of posed ``vertices`` (V, 3): (H, W, 3) uint8, or (H, W, 4) with straight alpha where the background
        is None."""
        device = vertices.device
        faces, view, K = self._faces.to(device), camera.viewmat[None].to(device), camera.K[None].to(device)
        finer = K * torch.tensor([[OVERSAMPLING], [OVERSAMPLING], [1.0]], device=device)
        width, height = camera.width * OVERSAMPLING, camera.height * OVERSAMPLING
        fragments = rasterize_mesh(vertices, faces, view, finer, width, height)
        towards = vertex_normals(vertices, faces) @ (view[0, :3, :3].T @ vertices.new_tensor(LIGHT))
        lit = AMBIENT + (1 - AMBIENT) * towards.abs()[:, None]  # whichever way the faces are wound
        grey = (
            self._grey.to(device)[fragments.face[0].clamp_min(0)] * interpolate(fragments, faces, lit, 0.0)[0, ..., 0]
        )
        grey, alpha = _pixels(grey), _pixels((fragments.face[0] >= 0).float())
        if background is None:
            straight = grey / alpha.clamp_min(1e-6)
            picture = torch.stack([straight, straight, straight, alpha], -1)
        else:
            picture = grey[..., None] + (1 - alpha)[..., None] * torch.tensor(background, device=device)
        return (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()


def _pixels(samples: Tensor) -> Tensor:
    """Means of the samples of every pixel."""
    return torch.nn.functional.avg_pool2d(samples[None], OVERSAMPLING)[0]
