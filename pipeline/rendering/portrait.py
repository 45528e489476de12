"""One picture of an avatar: previews, thumbnails and checks."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera, portrait_camera
from pipeline.rendering.rasterize import rasterize

STUDIO_GREY = (0.55, 0.57, 0.60)
"""Default backdrop, display sRGB: between the brightness of dark and of white hair."""


@torch.no_grad()
def draw(avatar: SplatAvatar, vertices: Tensor, camera: Camera, background: tuple[float, float, float]) -> Tensor:
    """The avatar in one pose, ``vertices`` (V, 3), from one camera → (H, W, 3) display sRGB 0..1."""
    posed = avatar.gaussians(vertices)
    degree = None if posed.sh.shape[1] == 1 else {4: 1, 9: 2, 16: 3}[posed.sh.shape[1]]
    picture, _, _ = rasterize(
        posed.means, posed.quats, posed.scales, posed.opacities, posed.colors if degree is None else posed.sh,
        camera.viewmat[None], camera.K[None], camera.width, camera.height,
        sh_degree=degree, backgrounds=torch.tensor([background]), rasterize_mode=avatar.config["rasterize_mode"],
    )  # fmt: skip
    return picture[0].clamp(0, 1)


def portrait(
    avatar: SplatAvatar,
    size: int = 512,
    *,
    yaw: float = 0.0,
    expression: Tensor | None = None,
    rotations: Tensor | None = None,
    background: tuple[float, float, float] = STUDIO_GREY,
) -> Tensor:
    """The standard portrait, ``size`` pixels square, as (size, size, 3) uint8.

    ``expression`` (1, E) and ``rotations`` (1, J, 3) default to the rest pose; ``yaw`` degrees towards the subject's
    left.
    """
    rig = avatar.rig
    rest = rig.neutral()
    vertices = rig.pose(rest[0] if expression is None else expression, rest[1] if rotations is None else rotations)[0]
    picture = draw(avatar, vertices, portrait_camera(rig, size, size, yaw=yaw), background)
    return (picture * 255 + 0.5).to(torch.uint8)
