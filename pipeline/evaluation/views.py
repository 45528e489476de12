"""What the splats show and what the mesh shows, from one camera: everything that the figures of a pose compare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.avatar import Gaussians, Layer, SplatAvatar
from pipeline.camera import PORTRAIT_FOV_DEGREES, Camera, Framing, orbit_camera, portrait_framing
from pipeline.geometry import triangle_frames
from pipeline.heads.rig import Rig
from pipeline.rendering.mesh import Fragments, interpolate, rasterize_mesh
from pipeline.rendering.portrait import STUDIO_GREY
from pipeline.rendering.rasterize import RasterizeMode, rasterize
from pipeline.rendering.spherical_harmonics import sh_colors

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

NOT_COVERED = ("hair_cage", "lashes_left", "lashes_right", "limbs")
"""Regions that no skin is drawn on: what hair hangs on, cards of lashes, and what no portrait shows."""
HEAD = ("face", "scalp", "ears")
ON_THE_SURFACE = (Layer.SKIN, Layer.EYE, Layer.MOUTH)
"""Layers that lie on the mesh; the others may stand off it."""
FACE_HEIGHTS = 1.7
"""Height of the picture, in heights of the face: room for an open jaw and a turned head."""
SUPERSAMPLES = 3
"""Per side of a pixel, for the share of it that the mesh covers. Odd, so that one sample is the pixel's centre."""
NOTHING = 1e-6
"""Opacity that is taken for the least when something is divided by it."""
SH_DEGREE = {4: 1, 9: 2, 16: 3}
"""By the number of coefficients."""


@dataclass(frozen=True, eq=False)
class MeshView:
    """The posed mesh, seen from a camera."""

    inside: Mask
    """(H, W) whether the pixel's centre sees it."""
    coverage: Floats
    """(H, W) share of the pixel that it covers, 0..1."""
    head: Mask
    """(H, W) whether the pixel sees face, scalp or ears; any of the mesh where the rig knows no such regions."""
    depth: Floats
    """(H, W) metres along the camera's axis; 0 outside."""
    posed: Floats
    """(H, W, 3) the point that is seen, metres; zeros outside."""
    rest: Floats
    """(H, W, 3) where that point lies on the rig at rest, metres."""


@dataclass(frozen=True, eq=False)
class SplatView:
    """The posed splats, seen from the same camera."""

    picture: Floats
    """(H, W, 3) display sRGB 0..1 before the studio's grey."""
    alpha: Floats
    """(H, W)."""
    depth: Floats
    """(H, W) mean camera-space depth of what is seen, metres."""
    surface_alpha: Floats
    """(H, W) of the splats on the surface alone (`ON_THE_SURFACE`)."""
    back: Floats
    """(H, W, 3, 4) the motion that takes a posed point to where it lay at rest, as the surface splats seen there make
    it: rotation and translation, blended as a colour; undefined where there are none."""


def face_camera(rig: Rig, size: int, yaw: float) -> Camera:
    """A square picture of the face of ``size`` pixels from ``yaw`` degrees to the subject's left."""
    return orbit_camera(_face_framing(rig), yaw, 0.0, size, size)


def pixel_width(rig: Rig, size: int) -> float:
    """Metres that a pixel of `face_camera` spans in the middle of the face."""
    framing = _face_framing(rig)
    return 2 * framing.distance * math.tan(math.radians(framing.fov_degrees) / 2) / size


def _face_framing(rig: Rig) -> Framing:
    """The whole portrait where the rig knows no face."""
    faces = rig.regions.get("face")
    if faces is None or not bool(faces.any()):
        return portrait_framing(rig)
    points = rig.vertices[rig.faces[faces].unique()]
    low, high = points.amin(0), points.amax(0)
    height = FACE_HEIGHTS * float(high[1] - low[1])
    distance = height / (2 * math.tan(math.radians(PORTRAIT_FOV_DEGREES) / 2))
    x, y, z = ((low + high) / 2).tolist()
    return Framing((x, y, z), distance, PORTRAIT_FOV_DEGREES)


def covered_faces(rig: Rig) -> Tensor:
    """(F,) bool: the triangles that the splats of a whole head cover."""
    covered = torch.ones(len(rig.faces), dtype=torch.bool)
    for name in NOT_COVERED:
        if name in rig.regions:
            covered &= ~rig.regions[name].cpu()
    return covered


@torch.no_grad()
def view_mesh(rig: Rig, vertices: Tensor, camera: Camera) -> MeshView:
    """The covered triangles of ``rig`` at ``vertices`` (V, 3)."""
    covered = covered_faces(rig)
    triangles = rig.faces[covered].long()
    finer = camera.K * torch.tensor([[SUPERSAMPLES], [SUPERSAMPLES], [1.0]])
    width, height = camera.width * SUPERSAMPLES, camera.height * SUPERSAMPLES
    fine = rasterize_mesh(vertices, triangles, camera.viewmat[None], finer[None], width, height)
    middle = slice(SUPERSAMPLES // 2, None, SUPERSAMPLES)
    centres = Fragments(*(values[:, middle, middle].contiguous() for values in fine))
    attributes = torch.cat([vertices, rig.vertices], dim=1)
    points = interpolate(centres, triangles, attributes, torch.zeros(6))[0].numpy()
    face = centres.face[0]
    inside = face.numpy() >= 0
    blocks = (fine.face[0].numpy() >= 0).reshape(camera.height, SUPERSAMPLES, camera.width, SUPERSAMPLES)
    return MeshView(
        inside=inside,
        coverage=blocks.mean((1, 3), dtype=np.float32),
        head=inside & _head_faces(rig)[covered][face.long().clamp_min(0)].numpy(),
        depth=np.where(inside, centres.depth[0].numpy(), 0),
        posed=points[..., :3],
        rest=points[..., 3:],
    )


@torch.no_grad()
def mesh_mask(rig: Rig, vertices: Tensor, camera: Camera) -> Mask:
    """(H, W) whether the pixel's centre sees the covered triangles of ``rig`` at ``vertices`` (V, 3)."""
    triangles = rig.faces[covered_faces(rig)].long()
    seen = rasterize_mesh(vertices, triangles, camera.viewmat[None], camera.K[None], camera.width, camera.height)
    return seen.face[0].numpy() >= 0


@torch.no_grad()
def view_splats(avatar: SplatAvatar, vertices: Tensor, camera: Camera) -> SplatView:
    """The splats of ``avatar`` with its rig at ``vertices`` (V, 3)."""
    mode: RasterizeMode = "classic" if avatar.config["rasterize_mode"] == "classic" else "antialiased"
    gaussians = avatar.gaussians(vertices)
    depth = gaussians.means @ camera.viewmat[2, :3] + camera.viewmat[2, 3]
    seen, alpha = blend(gaussians, torch.cat([colors_seen(gaussians, camera), depth[:, None]], dim=1), camera, mode)
    chosen = surface_splats(avatar)
    surface = Gaussians(
        gaussians.means[chosen], gaussians.quats[chosen], gaussians.scales[chosen],
        gaussians.opacities[chosen], gaussians.sh[chosen],
    )  # fmt: skip
    motion = _back_to_rest(avatar, vertices, gaussians)[chosen].flatten(1)
    first, surface_alpha = blend(surface, motion[:, :6], camera, mode)
    second, _ = blend(surface, motion[:, 6:], camera, mode)
    back = np.concatenate([first, second], axis=2) / surface_alpha.clip(min=NOTHING)[..., None]
    return SplatView(
        picture=before_grey(seen[..., :3], alpha),
        alpha=alpha,
        depth=seen[..., 3] / alpha.clip(min=NOTHING),
        surface_alpha=surface_alpha,
        back=back.reshape(*alpha.shape, 3, 4),
    )


def _back_to_rest(avatar: SplatAvatar, vertices: Tensor, posed: Gaussians) -> Tensor:
    """(N, 3, 4) the rigid motion of each splat from its posed place and direction to those at rest."""
    rig, face = avatar.rig, avatar.face.long()
    at_rest = rig.pose(*rig.neutral())[0]
    rotation = triangle_frames(at_rest, rig.faces).rotation @ triangle_frames(vertices, rig.faces).rotation.mT
    turn = rotation[face]
    shift = avatar.gaussians(at_rest).means - (turn @ posed.means[..., None]).squeeze(-1)
    return torch.cat([turn, shift[..., None]], dim=-1)


def surface_splats(avatar: SplatAvatar) -> Tensor:
    """(N,) bool: the splats that lie on the mesh; all of them where the avatar knows no such layer."""
    chosen = torch.isin(avatar.layer, torch.tensor(ON_THE_SURFACE, dtype=avatar.layer.dtype))
    return chosen if bool(chosen.any()) else torch.ones_like(chosen)


def colors_seen(gaussians: Gaussians, camera: Camera) -> Tensor:
    """(N, 3) display sRGB of each splat as this camera sees it."""
    degree = SH_DEGREE.get(gaussians.sh.shape[1])
    if degree is None:
        return gaussians.colors
    return sh_colors(degree, gaussians.means - camera.position, gaussians.sh)


def blend(gaussians: Gaussians, values: Tensor, camera: Camera, mode: RasterizeMode) -> tuple[Floats, Floats]:
    """Values (N, D) of the splats blended to (H, W, D), multiplied by alpha, and alpha (H, W)."""
    renders, alphas, _ = rasterize(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, values,
        camera.viewmat[None], camera.K[None], camera.width, camera.height, rasterize_mode=mode,
    )  # fmt: skip
    return renders[0].numpy(), alphas[0, ..., 0].numpy()


def before_grey(picture: Floats, alpha: Floats) -> Floats:
    """A picture (H, W, 3) that is multiplied by alpha (H, W), before the studio's grey."""
    return picture + (1 - alpha)[..., None] * np.array(STUDIO_GREY, np.float32)


def _head_faces(rig: Rig) -> Tensor:
    """(F,) bool: face, scalp and ears."""
    known = [rig.regions[name] for name in HEAD if name in rig.regions]
    return torch.stack(known).any(0) if known else torch.ones(len(rig.faces), dtype=torch.bool)
