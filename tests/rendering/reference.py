"""A slow splat renderer in float64 torch: every formula written out, every gradient by autograd, no tiles.

It also says where it could have decided otherwise: a pixel in which some splat is within a hair of a cut-off (alpha at
1/255, alpha at 0.999, transmittance at 1e-4) or in which two splats have almost the same depth may rightly differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ALPHA_MIN, ALPHA_MAX, T_MIN = 1 / 255, 0.999, 1e-4
HAIR = 3e-4  # relative; covers float32 rounding of the projection and the exponential's polynomial


@dataclass(frozen=True)
class Reference:
    render: Tensor
    """(H,W,D) with the background."""
    alpha: Tensor
    """(H,W,1)"""
    depth: Tensor
    """(H,W,1) accumulated camera-space depth."""
    certain: Tensor
    """(H,W) bool: no decision was close."""


def rotation_matrices(quats: Tensor) -> Tensor:
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _project(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, viewmat: Tensor, K: Tensor, width: int,
    height: int, eps2d: float, antialiased: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Screen means (N,2), inverse covariances (N,2,2), opacities (N,), depths (N,)."""
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    axes = rotation_matrices(quats) * scales[:, None, :]
    covariance = rotation @ axes @ axes.transpose(1, 2) @ rotation.T
    X, Y, Z = (means @ rotation.T + translation).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    x_margin, y_margin = 0.15 * width / fx, 0.15 * height / fy
    x_low, x_high = (-cx / fx - x_margin).detach(), ((width - cx) / fx + x_margin).detach()
    y_low, y_high = (-cy / fy - y_margin).detach(), ((height - cy) / fy + y_margin).detach()
    x_slope = torch.clamp(X / Z, x_low, x_high)
    y_slope = torch.clamp(Y / Z, y_low, y_high)
    none = torch.zeros_like(Z)
    rows = [torch.stack([fx / Z, none, -fx * x_slope / Z], -1), torch.stack([none, fy / Z, -fy * y_slope / Z], -1)]
    jacobian = torch.stack(rows, -2)
    sharp = jacobian @ covariance @ jacobian.transpose(1, 2)
    blurred = sharp + eps2d * torch.eye(2, dtype=sharp.dtype)
    if antialiased:
        opacities = opacities * torch.sqrt(torch.clamp(torch.det(sharp) / torch.det(blurred), min=0.0))
    return torch.stack([fx * X / Z + cx, fy * Y / Z + cy], -1), torch.linalg.inv(blurred), opacities, Z


def render_reference(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmat: Tensor, K: Tensor,
    width: int, height: int, *, background: Tensor | None = None, near_plane: float = 0.01, eps2d: float = 0.3,
    antialiased: bool = True,
) -> Reference:  # fmt: skip
    """One picture from float64 inputs shaped as in `rasterize`; memory grows with splats times pixels."""
    in_front = (means @ viewmat[2, :3] + viewmat[2, 3]) >= near_plane
    means, quats, scales, opacities, colors = (t[in_front] for t in (means, quats, scales, opacities, colors))
    mean2d, conic, opacity, depth = _project(
        means, quats, scales, opacities, viewmat, K, width, height, eps2d, antialiased
    )
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 2).to(means.dtype)
    order = torch.argsort(depth.detach(), stable=True)
    transmittance = torch.ones(len(pixels), dtype=means.dtype)
    running = torch.ones(len(pixels), dtype=torch.bool)
    certain = torch.ones(len(pixels), dtype=torch.bool)
    last_depth = torch.full((len(pixels),), -1.0, dtype=means.dtype)
    render = torch.zeros(len(pixels), colors.shape[1], dtype=means.dtype)
    accumulated = torch.zeros(len(pixels), 1, dtype=means.dtype)
    for i in order.tolist():
        offset = pixels - mean2d[i]
        power = -0.5 * ((offset @ conic[i]) * offset).sum(-1)
        raw = opacity[i] * torch.exp(power)
        alpha = torch.clamp(raw, max=ALPHA_MAX)
        seen = raw.detach() >= ALPHA_MIN
        rest = transmittance * (1 - alpha)
        ends = rest.detach() <= T_MIN
        with torch.no_grad():
            near_cut = ((raw / ALPHA_MIN - 1).abs() < HAIR) | ((raw / ALPHA_MAX - 1).abs() < HAIR)
            near_end = seen & ((rest / T_MIN - 1).abs() < 30 * HAIR)
            tie = seen & ((depth[i] - last_depth).abs() < 1e-6 * depth[i])
            certain &= ~(running & (near_cut | near_end | tie))
            last_depth = torch.where(seen & running, depth[i], last_depth)
        counts = running & seen & ~ends
        weight = torch.where(counts, alpha * transmittance, torch.zeros_like(alpha))
        render = render + weight[:, None] * colors[i]
        accumulated = accumulated + weight[:, None] * depth[i]
        transmittance = torch.where(counts, rest, transmittance)
        running = running & ~(seen & ends)
    if background is not None:
        render = render + transmittance[:, None] * background
    image = (height, width)
    return Reference(
        render.reshape(*image, -1), (1 - transmittance).reshape(*image, 1), accumulated.reshape(*image, 1),
        certain.reshape(image),
    )  # fmt: skip
