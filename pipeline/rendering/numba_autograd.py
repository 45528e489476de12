"""The CPU kernels as PyTorch operations.

Two operations, so that the projected means stand between them as a tensor of their own: densification reads its gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .numba_kernels import POOL, Buffers, Frame, Gradients, Splats, View
from .projection_backward import means2d_backward


class _Lease:
    """Buffers that a graph keeps until it is freed."""

    def __init__(self, count: int) -> None:
        self.buffers: list[Buffers] = [POOL.take() for _ in range(count)]

    def __del__(self) -> None:
        for buffers in self.buffers:
            POOL.give_back(buffers)


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
    colors = inputs[4]
    return Splats(*map(_array, inputs[:4]), _array(colors[camera] if colors.dim() == 3 else colors))


def _render(
    inputs: list[Tensor], behind: Tensor, views: list[View], depth_channel: int | None, screen: _Screen
) -> tuple[Tensor, Tensor]:
    height, width = views[0].height, views[0].width
    renders = torch.empty(len(views), height, width, behind.shape[1])
    alphas = torch.empty(len(views), height, width, 1)
    for camera, view in enumerate(views):
        with POOL.lend() as buffers:
            frame = Frame(_splats(inputs, camera), view, buffers, depth_channel)
            frame.project(screen.arrays(camera))
            frame.bin()
            frame.blend(_array(behind[camera]), renders[camera].numpy(), alphas[camera, ..., 0].numpy())
    return renders, alphas.neg_().add_(1.0)


class _Frames:
    """The frames of a differentiable render, and the buffers they live in."""

    def __init__(self, inputs: list[Tensor], views: list[View], depth_channel: int | None) -> None:
        self.lease = _Lease(len(views))
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
        transmittances = torch.empty(len(frames.frames), view.height, view.width)
        for camera, frame in enumerate(frames.frames):
            frame.bin(for_backward=True)
            frame.blend(_array(behind[camera]), renders[camera].numpy(), transmittances[camera].numpy())
        ctx.save_for_backward(means, quats, scales, opacities, colors, renders, transmittances)
        ctx.frames, ctx.absgrad_of = frames, absgrad_of
        return renders, (1.0 - transmittances)[..., None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_renders: Tensor, v_alphas: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, renders, transmittances = ctx.saved_tensors  # raises if one was changed in place since
        colors = inputs[4]
        frames = ctx.frames.frames
        gradients = Gradients(frames[0].splats)
        v_means2d, v_absolute, v_colors = [], [], []
        for camera, frame in enumerate(frames):
            if camera:
                gradients.next_camera()
            frame.backward(
                renders[camera].numpy(), transmittances[camera].numpy(), _array(v_renders[camera]),
                _array(v_alphas[camera, ..., 0]), gradients, ctx.absgrad_of is not None,
            )  # fmt: skip
            v_means2d.append(torch.from_numpy(gradients.means2d))
            v_absolute.append(torch.from_numpy(gradients.absolute))
            v_colors.append(torch.from_numpy(gradients.colors))
        if ctx.absgrad_of is not None:
            means2d = ctx.absgrad_of[0]
            means2d.absgrad = torch.stack(v_absolute).to(means2d.device)
        v_behind = (v_renders * transmittances[..., None]).sum((1, 2)) if ctx.needs_input_grad[6] else None
        return (
            torch.stack(v_means2d),
            torch.from_numpy(gradients.means),
            torch.from_numpy(gradients.quats),
            torch.from_numpy(gradients.scales),
            torch.from_numpy(gradients.opacities),
            torch.stack(v_colors) if colors.dim() == 3 else sum(v_colors[1:], v_colors[0]),
            v_behind,
            None,
            None,
        )
