"""The CPU kernels as PyTorch operations.

Two operations, so that the projected means stand between them as a tensor of their own, whose gradient densification
reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .arrays import Gradients, Picture, Splats
from .frame import Frame, View
from .projection_backward import means2d_backward
from .workers import Lease


class _Screen:
    """What the projection tells about every splat, for C cameras."""

    def __init__(self, cameras: int, splats: int) -> None:
        self.means2d = torch.empty((cameras, splats, 2))
        self.radii = torch.empty((cameras, splats, 2), dtype=torch.int32)
        self.depths = torch.empty((cameras, splats))

    def arrays(self, camera: int) -> tuple[Any, Any, Any]:
        return self.means2d[camera].numpy(), self.radii[camera].numpy(), self.depths[camera].numpy()


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def rasterize_on_cpu(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, backgrounds: Tensor | None,
    views: list[View], *, with_depth: bool, absgrad: bool,
) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
    """Renders `views`; arguments and results as in `rasterize`, depth as the last channel when asked for.

    colors: (N,D) or (C,N,D), D may be 0; backgrounds: (C,D) or None.
    """
    device = means.device
    inputs = [t.to("cpu", torch.float32) for t in (means, quats, scales, opacities, colors)]
    channels = colors.shape[-1]
    if backgrounds is None:
        backgrounds = torch.zeros(len(views), channels)
    behind = backgrounds.to("cpu", torch.float32)
    if with_depth:
        behind = torch.nn.functional.pad(behind, (0, 1))
    depth_channel = channels if with_depth else None
    screen = _Screen(len(views), len(means))
    if torch.is_grad_enabled() and any(t.requires_grad for t in (*inputs, behind)):
        frames = _Frames(inputs, views, depth_channel)
        means2d = _Project.apply(inputs[0], frames, screen).to(device)
        renders, alphas = _Blend.apply(means2d.cpu(), *inputs, behind, frames, [means2d] if absgrad else None)
    else:
        means2d = screen.means2d.to(device)
        renders, alphas = _render(inputs, behind, views, depth_channel, screen)
    meta = {
        "means2d": means2d,
        "radii": screen.radii.to(device),
        "depths": screen.depths.to(device),
        "width": views[0].width,
        "height": views[0].height,
        "n_cameras": len(views),
        "gaussian_ids": None,
    }
    return renders.to(device), alphas.to(device), meta


def _splats(inputs: list[Tensor], camera: int) -> Splats:
    means, quats, scales, opacities, colors = inputs
    own = colors[camera] if colors.dim() == 3 else colors
    return Splats(_array(means), _array(quats), _array(scales), _array(opacities), _array(own))


def _render(
    inputs: list[Tensor], behind: Tensor, views: list[View], depth_channel: int | None, screen: _Screen
) -> tuple[Tensor, Tensor]:
    height, width = views[0].height, views[0].width
    renders = torch.empty(len(views), height, width, behind.shape[1])
    alphas = torch.empty(len(views), height, width, 1)
    lease = Lease(1)
    for camera, view in enumerate(views):
        frame = Frame(_splats(inputs, camera), view, lease.buffers[0], depth_channel)
        frame.project(screen.arrays(camera))
        frame.bin()
        frame.blend(_array(behind[camera]), Picture(renders[camera].numpy(), alphas[camera, ..., 0].numpy()))
    return renders, alphas


class _Frames:
    """The frames of a differentiable render, and the buffers they live in."""

    def __init__(self, inputs: list[Tensor], views: list[View], depth_channel: int | None) -> None:
        self.lease = Lease(len(views))
        self.frames = [
            Frame(_splats(inputs, camera), view, buffers, depth_channel)
            for camera, (view, buffers) in enumerate(zip(views, self.lease.buffers, strict=True))
        ]


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means: Tensor, frames: _Frames, screen: _Screen) -> Tensor:
        for camera, frame in enumerate(frames.frames):
            frame.project(screen.arrays(camera))
        ctx.cameras = [frame.camera for frame in frames.frames]
        ctx.save_for_backward(means)
        return screen.means2d

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_means2d: Tensor) -> tuple[Tensor, None, None]:
        (means,) = ctx.saved_tensors
        v_means = torch.zeros_like(means, memory_format=torch.contiguous_format)
        for camera, v in zip(ctx.cameras, v_means2d, strict=True):
            means2d_backward(_array(means), camera, _array(v), v_means.numpy())
        return v_means, None, None


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means2d: Tensor, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor,
        behind: Tensor, frames: _Frames, absgrad_of: list[Tensor] | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        view = frames.frames[0].view
        renders = torch.empty(len(frames.frames), view.height, view.width, behind.shape[1])
        alphas = torch.empty(len(frames.frames), view.height, view.width, 1)
        for camera, frame in enumerate(frames.frames):
            frame.bin(for_backward=True)
            frame.blend(_array(behind[camera]), Picture(renders[camera].numpy(), alphas[camera, ..., 0].numpy()))
        ctx.save_for_backward(means, quats, scales, opacities, colors, renders, alphas)
        ctx.frames, ctx.absgrad_of = frames, absgrad_of
        return renders, alphas

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_renders: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, renders, alphas = ctx.saved_tensors  # raises if one was changed in place since
        colors = inputs[4]
        frames = ctx.frames.frames
        cameras, (n, _) = len(frames), inputs[0].shape
        v_means, v_quats, v_scales, v_opacities = (
            torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs[:4]
        )
        v_colors = torch.empty(cameras, n, colors.shape[-1])
        v_means2d, v_absolute = torch.empty(cameras, n, 2), torch.empty(cameras, n, 2)
        for camera, frame in enumerate(frames):
            shared = (v_means, v_quats, v_scales, v_opacities)
            own = (v_colors[camera], v_means2d[camera], v_absolute[camera])
            frame.backward(
                Picture(renders[camera].numpy(), alphas[camera, ..., 0].numpy()),
                Picture(_array(v_renders[camera]), _array(v_alphas[camera, ..., 0])),
                Gradients(*(t.numpy() for t in (*shared, *own))),
                accumulate=camera > 0,
                absgrad=ctx.absgrad_of is not None,
            )
        if ctx.absgrad_of is not None:
            means2d = ctx.absgrad_of[0]
            means2d.absgrad = v_absolute.to(means2d.device)
        v_behind = (v_renders * (1.0 - alphas)).sum((1, 2)) if ctx.needs_input_grad[6] else None
        v_colors = v_colors if colors.dim() == 3 else v_colors.sum(0) if cameras > 1 else v_colors[0]
        return v_means2d, v_means, v_quats, v_scales, v_opacities, v_colors, v_behind, None, None
