"""Splat scenes for the tests: small enough for the reference, awkward enough to matter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scene:
    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmat: Tensor
    K: Tensor
    width: int
    height: int

    @property
    def parameters(self) -> list[Tensor]:
        return [self.means, self.quats, self.scales, self.opacities, self.colors]

    @property
    def camera(self) -> tuple[Tensor, Tensor, int, int]:
        """viewmats, Ks, width, height as `rasterize` takes them."""
        return self.viewmat[None], self.K[None], self.width, self.height

    def double(self) -> Scene:
        tensors = {name: value.double() for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def random_scene(
    count: int = 150, width: int = 51, height: int = 38, channels: int = 3, pixels: float = 2.5,
    stretch: tuple[float, float, float] = (1, 1, 1), seed: int = 0,
) -> Scene:  # fmt: skip
    """Splats of about `pixels` standard deviation, some beyond the image's edge, before a turned, off-centre camera."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    focal = 1.2 * width
    depth = 2 + 2 * uniform(count)
    x = (uniform(count) - 0.5) * 1.2 * depth * width / focal
    y = (uniform(count) - 0.5) * 1.2 * depth * height / focal
    angle = 0.1
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.tensor(
        [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
    )
    viewmat[2, 3] = 0.2
    size = torch.exp(0.6 * torch.randn(count, 3, generator=generator)) * pixels * 3 / focal
    return Scene(
        means=torch.stack([x, y, depth], -1),
        quats=torch.randn(count, 4, generator=generator),
        scales=size * torch.tensor(stretch),
        opacities=0.02 + 0.98 * uniform(count),
        colors=uniform(count, channels),
        viewmat=viewmat,
        K=torch.tensor([[focal, 0, width / 2 + 1.5], [0, 1.1 * focal, height / 2 - 2], [0, 0, 1.0]]),
        width=width,
        height=height,
    )


NEEDLES = (8.0, 0.15, 0.08)
