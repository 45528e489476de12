"""StyleGAN2's generator: styles that modulate convolutions, blocks that add up an image, and the network of styles.

Written from Karras et al. 2020 (sections 2 and 3, appendix B) with the attribute names of NVIDIA's published networks.
A block may be *rolled*: its batch then holds the three planes of a tri-grid in turn, and each of its convolutions sees
every plane together with what the other two know along the axes that they share (`aware3d`).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.priors.portrait3d.aware3d import convolve_aware
from pipeline.priors.portrait3d.layers import (
    FullyConnected,
    activate,
    low_pass,
    normalize_second_moment,
    resample_filter,
    upsample,
)
from pipeline.priors.portrait3d.trigrid import PLANES

Noise = Literal["const", "none"] | torch.Generator
"""What is added to activations: the stored maps, nothing, or maps drawn anew by this CPU generator."""


def modulated_weight(weight: Tensor, styles: Tensor, *, demodulate: bool) -> Tensor:
    """Kernels (out,in,k,k) scaled for each sample by styles (B,in): (B,out,in,k,k).

    Demodulated, every output channel has unit expected variance: divided by √(Σ w² + 1e-8) (Karras et al. 2020, eq. 3).
    """
    scaled = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        scaled = scaled * (scaled.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    return scaled


def convolve(x: Tensor, weights: Tensor) -> Tensor:
    """Each sample of (B,in,H,W) with its own kernels (B,out,in,k,k), zeros outside: (B,out,H,W).

    One grouped convolution does all samples (Karras et al. 2020, appendix B).
    """
    batch, out, _, size, _ = weights.shape
    kernels = weights.flatten(0, 1).to(x.dtype)
    y = functional.conv2d(x.flatten(0, 1)[None], kernels, padding=size // 2, groups=batch)
    return y.unflatten(1, (batch, out))[0]


def convolve_spread(x: Tensor, weights: Tensor) -> Tensor:
    """As `convolve` with zeros between the samples, (B,in,H,W) → (B,out,2H+1,2W+1), to be low-passed.

    Here the kernels are those of a true convolution (flipped against `convolve`), as published weights are stored.
    """
    batch, out, inner, size, _ = weights.shape
    kernels = weights.transpose(1, 2).reshape(batch * inner, out, size, size).to(x.dtype)
    y = functional.conv_transpose2d(x.flatten(0, 1)[None], kernels, stride=2, groups=batch)
    return y.unflatten(1, (batch, out))[0]


class Modulated(nn.Module):
    """What convolutions with styles share: kernels, bias and the affine map from w to styles."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, kernel_size: int, rolled: bool) -> None:
        super().__init__()
        self.rolled = rolled
        inner = in_channels * (PLANES if rolled else 1)
        self.affine = FullyConnected(w_dim, inner * (PLANES if rolled else 1), bias_init=1.0)
        self.weight = nn.Parameter(torch.zeros(out_channels, inner, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def styles(self, w: Tensor) -> Tensor:
        """What w (B,W) scales input channels by: (B,in), or a row for each plane, (3·B, 3·in)."""
        styles = self.affine(w)
        return styles.reshape(PLANES * len(w), -1) if self.rolled else styles

    def convolved(self, x: Tensor, weights: Tensor, *, up: bool = False) -> Tensor:
        """Samples or planes (N,in,R,R) with their own kernels; with `up` spread out to 2R + 1."""
        convolution = convolve_spread if up else convolve
        return convolve_aware(x, weights, convolution, up) if self.rolled else convolution(x, weights)

    @torch.no_grad()
    def draw(self, draws: torch.Generator) -> None:
        """Kernels as training begins with them: normal."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=draws))


class SynthesisLayer(Modulated):
    """A modulated 3×3 convolution, noise, bias and leaky ReLU: (B,in,R/up,R/up) → (B,out,R,R)."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        *,
        up: bool = False,
        rolled: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, w_dim, 3, rolled)
        self.up = up
        self.register_buffer("resample_filter", resample_filter())
        self.register_buffer("noise_const", torch.zeros(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise: Noise) -> Tensor:
        weights = modulated_weight(self.weight, self.styles(w), demodulate=True)
        y = self.convolved(x, weights, up=self.up)
        if self.up:
            y = low_pass(y, 4.0 * self.resample_filter)
        if noise != "none":
            y = y + (self._noise(len(y), noise) * self.noise_strength).to(y.dtype)
        return activate(y + self.bias.to(y.dtype)[:, None, None], "lrelu")

    def _noise(self, batch: int, noise: Noise) -> Tensor:
        if not isinstance(noise, torch.Generator):
            return self.noise_const
        drawn = torch.randn((batch, 1, *self.noise_const.shape), generator=noise)
        return drawn.to(self.noise_const)

    @torch.no_grad()
    def draw(self, draws: torch.Generator) -> None:
        """Kernels and the constant noise as training begins with them: normal."""
        super().draw(draws)
        self.noise_const.copy_(torch.randn(self.noise_const.shape, generator=draws))


class ToRGB(Modulated):
    """A modulated 1×1 convolution without demodulation, (B,in,R,R) → (B,out,R,R); styles are scaled by 1/√in.

    Published rolled layers scale by the width of one plane, not by that of the three that they see.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, *, rolled: bool = False) -> None:
        super().__init__(in_channels, out_channels, w_dim, 1, rolled)
        self.weight_gain = 1.0 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        weights = modulated_weight(self.weight, self.styles(w) * self.weight_gain, demodulate=False)
        y = self.convolved(x, weights)
        return y + self.bias.to(y.dtype)[:, None, None]


class SynthesisBlock(nn.Module):
    """Two layers at one resolution and what they add to the image (skip architecture; Karras et al. 2020, section 4.1).

    The first block of a network (no input channels) begins with a learned constant and has one layer. `num_ws` counts
    the w that it takes, the last of them for the image.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        image_channels: int,
        *,
        rolled: bool = False,
    ) -> None:
        super().__init__()
        self.first = in_channels == 0
        self.register_buffer("resample_filter", resample_filter())
        if self.first:
            self.const = nn.Parameter(torch.zeros(1, out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution, up=True, rolled=rolled)
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, rolled=rolled)
        self.torgb = ToRGB(out_channels, image_channels, w_dim, rolled=rolled)
        self.num_ws = 2 if self.first else 3

    def forward(self, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Features (B,in,R/2,R/2), the image so far (B,C,R/2,R/2) and ws (B,num_ws,W): both at R."""
        x = self.const.expand(len(ws), -1, -1, -1) if x is None else self.conv0(x, ws[:, 0], noise)
        x = self.conv1(x, ws[:, -2], noise)
        added = self.torgb(x, ws[:, -1])
        return x, added if image is None else upsample(image, self.resample_filter) + added

    @torch.no_grad()
    def draw(self, draws: torch.Generator) -> None:
        """The constant as training begins with it: normal."""
        if self.first:
            self.const.copy_(torch.randn(self.const.shape, generator=draws))


def resolutions_up_to(resolution: int) -> list[int]:
    """4, 8, … up to a power of two."""
    return [2**power for power in range(2, resolution.bit_length())]


def slices(ws: Tensor, blocks: list[SynthesisBlock]) -> list[Tensor]:
    """The w of every block out of (B,num_ws,W): a block's last one, for its image, is also the next block's first."""
    parts, start = [], 0
    for block in blocks:
        parts.append(ws[:, start : start + block.num_ws])
        start += block.num_ws - 1
    return parts


class SynthesisNetwork(nn.Module):
    """Blocks ``b4``, ``b8`` … that make an image (B,C,R,R) from ws (B,num_ws,W).

    A block at resolution r is ``channel_base / r`` wide, at most `channel_max`.
    """

    def __init__(
        self, w_dim: int, resolution: int, image_channels: int, *, channel_base: int = 32768, channel_max: int = 512
    ) -> None:
        super().__init__()
        self.resolutions = resolutions_up_to(resolution)
        widths = {r: min(channel_base // r, channel_max) for r in self.resolutions}
        for r in self.resolutions:
            self.add_module(f"b{r}", SynthesisBlock(widths.get(r // 2, 0), widths[r], w_dim, r, image_channels))
        self.num_ws = 2 * len(self.resolutions)

    def forward(self, ws: Tensor, noise: Noise) -> Tensor:
        blocks = [self.get_submodule(f"b{r}") for r in self.resolutions]
        x = image = None
        for block, own in zip(blocks, slices(ws, blocks), strict=True):  # type: ignore[arg-type]
            x, image = block(x, image, own, noise)
        assert image is not None
        return image


class MappingNetwork(nn.Module):
    """From noise z (B,Z) and a condition c (B,C) to w (B,num_ws,W), the same for every layer."""

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_ws: int, *, layers: int) -> None:
        super().__init__()
        self.num_ws = num_ws
        self.embed = FullyConnected(c_dim, w_dim)
        self.layer_names = [f"fc{index}" for index in range(layers)]
        for index, name in enumerate(self.layer_names):
            inner = z_dim + w_dim if index == 0 else w_dim
            self.add_module(name, FullyConnected(inner, w_dim, activation="lrelu", lr_multiplier=0.01))

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        x = torch.cat([normalize_second_moment(z), normalize_second_moment(self.embed(c))], dim=1)
        for name in self.layer_names:
            x = self.get_submodule(name)(x)
        return x[:, None].expand(-1, self.num_ws, -1)
