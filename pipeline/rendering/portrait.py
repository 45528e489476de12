"""One picture of an avatar: frames of videos, previews, thumbnails and checks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.camera import Camera, portrait_camera
from pipeline.rendering.rasterize import RasterizeMode, rasterize, rasterize_rgb8

Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]

STUDIO_GREY = (0.55, 0.57, 0.60)
"""Default backdrop, display sRGB: between the brightness of dark and of white hair."""


@torch.no_grad()
def draw(gaussians: Gaussians, camera: Camera, background: Colour | None, mode: RasterizeMode) -> Picture:
    """One view by the shortest way: (H, W, 3) uint8, or (H, W, 4) with straight alpha where the background is None."""
    coefficients = gaussians.sh.shape[1]
    if background is not None and coefficients == 1 and not gaussians.means.is_cuda:
        return rasterize_rgb8(
            gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.colors,
            camera.viewmat, camera.K, camera.width, camera.height, background=background, rasterize_mode=mode,
        )  # fmt: skip
    degree = {1: None, 4: 1, 9: 2, 16: 3}[coefficients]
    device = gaussians.means.device
    renders, alphas, _ = rasterize(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities,
        gaussians.colors if degree is None else gaussians.sh,
        camera.viewmat[None].to(device), camera.K[None].to(device), camera.width, camera.height, sh_degree=degree,
        backgrounds=None if background is None else torch.tensor([background], device=device), rasterize_mode=mode,
    )  # fmt: skip
    picture = renders[0]
    if background is None:  # the colours are multiplied by alpha; a PNG's are not
        picture = torch.cat([picture / alphas[0].clamp_min(1e-6), alphas[0]], dim=-1)
    return (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()


@torch.no_grad()
def portrait(
    avatar: SplatAvatar,
    size: int = 512,
    *,
    yaw: float = 0.0,
    expression: Tensor | None = None,
    rotations: Tensor | None = None,
    background: Colour = STUDIO_GREY,
) -> Tensor:
    """The standard portrait, ``size`` pixels square, as (size, size, 3) uint8.

    ``expression`` (1, E) and ``rotations`` (1, J, 3) default to the rest pose; ``yaw`` degrees towards the subject's
    left.
    """
    rig = avatar.rig
    rest = rig.neutral()
    vertices = rig.pose(rest[0] if expression is None else expression, rest[1] if rotations is None else rotations)[0]
    camera = portrait_camera(rig, size, size, yaw=yaw)
    return torch.from_numpy(draw(avatar.gaussians(vertices), camera, background, avatar.config["rasterize_mode"]))
