"""Triangles to fragments in plain torch, for any device: every pixel of every triangle's box is a candidate, and the
nearest one wins by the least of 64-bit keys that hold the depth above the face's number."""

from __future__ import annotations

import torch
from torch import Tensor

CANDIDATES = 1 << 20
"""Pixels looked at together; a single face may have more. Some 300 bytes each."""
SMALLEST_AREA, INSIDE = 1e-6, -1e-6
"""As in `cpu.mesh_kernels`."""
NOTHING = torch.iinfo(torch.int64).max


def rasterize_views(
    screen: Tensor, faces: Tensor, width: int, height: int, near_plane: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Face (C,H,W) int32, barycentrics (C,H,W,3) and depth (C,H,W) float32 of meshes ``screen`` (C,V,3) float64: x and
    y in pixels, z in metres."""
    cameras = len(screen)
    corners = screen[:, faces].flatten(0, 1)
    boxes = _boxes(corners, width, height, near_plane)
    used = (boxes[:, 2:] >= boxes[:, :2]).all(-1).nonzero().squeeze(1)
    sizes = (boxes[used, 2:] - boxes[used, :2] + 1).prod(-1)
    keys = torch.full((cameras * height * width,), NOTHING, dtype=torch.int64, device=screen.device)
    for chunk in _chunks(sizes):
        _draw(corners, boxes, used[chunk], sizes[chunk], len(faces), (width, height), keys)
    return _resolve(keys, corners, len(faces), (cameras, height, width))


def _boxes(corners: Tensor, width: int, height: int, near_plane: float) -> Tensor:
    """(N, 3, 3) → (N, 4) long: first column and row, last column and row; last < first where nothing can be drawn."""
    points, depth = corners[..., :2], corners[..., 2]
    edge, side = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    area = edge[:, 0] * side[:, 1] - edge[:, 1] * side[:, 0]
    drawn = (depth >= near_plane).all(-1) & (area.abs() > SMALLEST_AREA) & area.isfinite()
    points = torch.where(drawn[:, None, None], points, torch.full_like(points, -1.0))
    low, high = points.amin(1) - 0.5, points.amax(1) - 0.5
    first = low.clamp_min(0).clamp_max(max(width, height)).ceil()
    last = torch.minimum(high, high.new_tensor([width - 1.0, height - 1.0])).clamp_min(-1).floor()
    return torch.cat([first, last], -1).long()


def _chunks(sizes: Tensor) -> list[slice]:
    """Slices of the faces whose boxes have `CANDIDATES` pixels together, or one face that has more."""
    group = sizes.cumsum(0) // CANDIDATES
    counts = torch.unique_consecutive(group, return_counts=True)[1].tolist()
    chunks, begin = [], 0
    for count in counts:
        chunks.append(slice(begin, begin + count))
        begin += count
    return chunks


def _draw(
    corners: Tensor, boxes: Tensor, used: Tensor, sizes: Tensor, faces: int, size: tuple[int, int], keys: Tensor
) -> None:
    width, height = size
    rows = torch.repeat_interleave(torch.arange(len(used), device=used.device), sizes)
    place = torch.arange(len(rows), device=used.device) - (sizes.cumsum(0) - sizes)[rows]
    triangle = used[rows]
    left, top, right, _ = boxes[triangle].unbind(-1)
    columns = right - left + 1
    x, y = left + place % columns, top + place // columns
    barycentrics = _screen_barycentrics(corners[triangle], x, y)
    inside = (barycentrics >= INSIDE).all(-1).nonzero().squeeze(1)
    triangle, x, y = triangle[inside], x[inside], y[inside]
    inverse = (barycentrics[inside] / corners[triangle, :, 2]).sum(-1)
    depth_bits = inverse.reciprocal().float().view(torch.int32).long()
    pixel = (triangle // faces * height + y) * width + x
    keys.scatter_reduce_(0, pixel, depth_bits << 32 | triangle % faces, "amin")


def _screen_barycentrics(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Of pixel centres (N,) in triangles (N, 3, 3), as they are on the screen: (N, 3)."""
    to = corners[..., :2] - torch.stack([x, y], -1)[:, None] - 0.5
    following, last = to.roll(-1, 1), to.roll(-2, 1)
    parts = following[..., 0] * last[..., 1] - following[..., 1] * last[..., 0]
    return parts / parts.sum(-1, keepdim=True)


def _resolve(keys: Tensor, corners: Tensor, faces: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    _, height, width = shape
    hit = (keys != NOTHING).nonzero().squeeze(1)
    face = (keys[hit] & 0xFFFFFFFF).int()
    all_faces = torch.full_like(keys, -1, dtype=torch.int32)
    all_faces[hit] = face
    depth = torch.full_like(keys, torch.inf, dtype=torch.float32)
    depth[hit] = (keys[hit] >> 32).int().view(torch.float32)
    camera, pixel = hit // (height * width), hit % (height * width)
    own = corners[camera * faces + face]
    flat = _screen_barycentrics(own, pixel % width, pixel // width).clamp_min(0) / own[..., 2]
    barycentrics = torch.zeros(len(keys), 3, dtype=torch.float32, device=keys.device)
    barycentrics[hit] = (flat / flat.sum(-1, keepdim=True)).float()
    return all_faces.view(shape), barycentrics.view(*shape, 3), depth.view(shape)
