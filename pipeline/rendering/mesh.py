"""Triangle meshes to pictures: which face every pixel sees, and attributes of the corners carried over to pixels.

Nothing here is differentiable. CPU tensors go to Numba kernels, CUDA tensors to plain torch on their device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .cpu.mesh_frame import interpolate_view, rasterize_view
from .cpu.mesh_kernels import MOST_FACES, Output
from .mesh_torch import rasterize_views


class Fragments(NamedTuple):
    """What C cameras see of a mesh, pixel by pixel."""

    face: Tensor
    """(C, H, W) int32, the nearest face; −1 where there is none."""
    barycentrics: Tensor
    """(C, H, W, 3) float32 weights of its corners on the surface itself (perspective-correct); 0 without a face."""
    depth: Tensor
    """(C, H, W) float32 camera-space z, metres; infinite where there is none."""


@torch.no_grad()
def rasterize_mesh(
    vertices: Tensor, faces: Tensor, viewmats: Tensor, Ks: Tensor, width: int, height: int, *, near_plane: float = 0.01
) -> Fragments:
    """The nearest face at every pixel centre, both sides of a face alike; of equally near ones the first.

    Args:
        vertices: (V, 3) world space, metres.
        faces: (F, 3) long. Faces without area on the screen are left out; so are those that reach nearer than
            ``near_plane`` with any corner: they are not clipped.
        viewmats: (C, 4, 4) world to camera, OpenCV axes (x right, y down, z forward).
        Ks: (C, 3, 3) intrinsics in pixels; pixel centres lie at .5.
        width, height: of the pictures, in pixels.
        near_plane: metres, above 0.

    Raises:
        ValueError: a shape, a value or a device does not fit; the sentence names it.
    """
    _check(vertices, faces, viewmats, Ks, width, height, near_plane)
    screen = _screen(vertices, viewmats, Ks)
    if vertices.is_cuda:
        return Fragments(*rasterize_views(screen, faces, width, height, near_plane))
    shape = (len(viewmats), height, width)
    fragments = Fragments(torch.empty(shape, dtype=torch.int32), torch.empty(*shape, 3), torch.empty(shape))
    arrays = [tensor.numpy() for tensor in fragments]
    points, corners = screen.numpy(), faces.contiguous().numpy()
    for camera in range(len(viewmats)):
        rasterize_view(points[camera], corners, near_plane, Output(*(array[camera] for array in arrays)))
    return fragments


@torch.no_grad()
def interpolate(fragments: Fragments, faces: Tensor, attributes: Tensor, background: Tensor | float) -> Tensor:
    """Attributes of the corners at every fragment: (C, H, W, A) float32.

    ``faces`` long are rows of ``attributes``, which are (V, A): as many faces as were rasterised, though perhaps of
    other corners. Both may have a leading C where every camera has its own. ``background`` (A,), or a number for all
    channels, stands where there is no fragment.
    """
    cameras, height, width = fragments.face.shape
    channels = attributes.shape[-1]
    values = attributes.to(torch.float32).expand(cameras, -1, channels)
    corners = faces.expand(cameras, -1, 3)
    behind = torch.as_tensor(background, dtype=torch.float32, device=values.device).expand(channels)
    if attributes.is_cuda:
        return _interpolate_torch(fragments, corners, values, behind)
    out = torch.empty(cameras, height, width, channels)
    for camera in range(cameras):
        interpolate_view(
            fragments.face[camera].numpy(),
            fragments.barycentrics[camera].numpy(),
            corners[camera].contiguous().numpy(),
            values[camera].contiguous().numpy(),
            behind.contiguous().numpy(),
            out[camera].numpy(),
        )
    return out


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals (V, 3) of ``vertices`` (V, 3): faces (F, 3) round each weighted by area; 0 where there is none.

    They point to where the corners run counter-clockwise.
    """
    corners = vertices[faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = torch.zeros_like(vertices).index_add_(0, faces.flatten(), normals.repeat_interleave(3, 0))
    return torch.nn.functional.normalize(summed, dim=-1, eps=1e-20)


def _screen(vertices: Tensor, viewmats: Tensor, Ks: Tensor) -> Tensor:
    """(C, V, 3) float64: x and y in pixels, z in metres; x and y mean nothing where z ≤ 0."""
    views = viewmats.to(vertices.device, torch.float64)
    points = vertices.double() @ views[:, :3, :3].mT + views[:, None, :3, 3]
    projected = points @ Ks.to(vertices.device, torch.float64).mT
    depth = points[..., 2:]
    return torch.cat([projected[..., :2] / torch.where(depth > 0, depth, torch.ones_like(depth)), depth], -1)


def _interpolate_torch(fragments: Fragments, faces: Tensor, attributes: Tensor, background: Tensor) -> Tensor:
    camera, y, x = (fragments.face >= 0).nonzero(as_tuple=True)
    corners = faces[camera, fragments.face[camera, y, x].long()]
    values = attributes[camera[:, None], corners]
    out = background.expand(*fragments.face.shape, -1).clone()
    out[camera, y, x] = (values * fragments.barycentrics[camera, y, x, :, None]).sum(1)
    return out


def _check(
    vertices: Tensor, faces: Tensor, viewmats: Tensor, Ks: Tensor, width: int, height: int, near_plane: float
) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices has shape {tuple(vertices.shape)}; (V, 3) is needed.")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype != torch.int64:
        raise ValueError(f"faces is {faces.dtype} of shape {tuple(faces.shape)}; int64 (F, 3) is needed.")
    if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < len(vertices):
        raise ValueError(f"faces names vertices {int(faces.min())} to {int(faces.max())}; there are {len(vertices)}.")
    if len(faces) >= MOST_FACES:
        raise ValueError(f"faces has {len(faces)} rows; fewer than {MOST_FACES} can be drawn.")
    cameras = len(viewmats)
    if cameras == 0 or tuple(viewmats.shape) != (cameras, 4, 4) or tuple(Ks.shape) != (cameras, 3, 3):
        raise ValueError(
            f"viewmats has shape {tuple(viewmats.shape)} and Ks {tuple(Ks.shape)}; (C, 4, 4) and (C, 3, 3) are needed."
        )
    if faces.device != vertices.device:
        raise ValueError(f"faces is on {faces.device} and vertices on {vertices.device}; they must be on one device.")
    if width <= 0 or height <= 0:
        raise ValueError(f"the picture would have {width} × {height} pixels; both must be positive.")
    if not near_plane > 0:
        raise ValueError(f"near_plane is {near_plane}; it must be above 0.")
