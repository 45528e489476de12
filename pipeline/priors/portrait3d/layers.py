"""The layers that StyleGAN2's networks are made of: equalised learning rate, leaky ReLU with gain, low-pass resampling.

Written from Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020) and "Progressive Growing
of GANs" (ICLR 2018, section 4.1). Parameters and buffers have the names of NVIDIA's published networks, so that their
state dicts fit by name. Everything is plain torch and differentiable. Weights are zero until they are loaded or drawn.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["linear", "lrelu"]

LEAK = 0.2
"""Slope of the leaky ReLU for negative numbers."""

ACTIVATION_GAIN = {"linear": 1.0, "lrelu": math.sqrt(2.0)}
"""What keeps the variance of activations at about 1 behind an activation."""


def activate(x: Tensor, activation: Activation) -> Tensor:
    """The activation with its gain, of any shape."""
    if activation == "linear":
        return x
    return functional.leaky_relu(x, LEAK) * ACTIVATION_GAIN[activation]


def normalize_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Rows (B,F) scaled so that their mean square is 1."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def resample_filter() -> Tensor:
    """The low-pass filter of every change of resolution, (4,4), of sum 1: [1,3,3,1] along either axis."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
    return torch.outer(taps, taps)


def low_pass(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve every channel of (B,C,H,W) with (4,4) taps, zeros one pixel around: (B,C,H−1,W−1)."""
    return functional.conv2d(x, _per_channel(taps.flip(0, 1), x), padding=1, groups=x.shape[1])


def upsample(x: Tensor, taps: Tensor) -> Tensor:
    """Twice the resolution of (B,C,H,W): zeros between the samples, low-passed by (4,4) taps with a gain of 4."""
    return functional.conv_transpose2d(x, _per_channel(4.0 * taps, x), stride=2, padding=1, groups=x.shape[1])


def _per_channel(taps: Tensor, x: Tensor) -> Tensor:
    """The same kernel (C,1,4,4) for each channel of (B,C,H,W)."""
    return taps.to(x.dtype).expand(x.shape[1], 1, -1, -1)


class FullyConnected(nn.Module):
    """A fully connected layer with equalised learning rate.

    What it multiplies by is ``weight · lr_multiplier / √in``, what it adds is ``bias · lr_multiplier`` (Karras et al.
    2018, section 4.1): stored weights have a standard deviation of ``1 / lr_multiplier``, and every layer learns as
    fast as any other.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr_multiplier: float = 1.0,
        activation: Activation = "linear",
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.lr_multiplier = lr_multiplier
        self.activation: Activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(…,in) → (…,out)."""
        weight = self.weight.to(x.dtype) * self.weight_gain
        bias = self.bias.to(x.dtype) * self.lr_multiplier
        return activate(functional.linear(x, weight, bias), self.activation)

    @torch.no_grad()
    def draw(self, draws: torch.Generator) -> None:
        """Weights as training begins with them: normal, of standard deviation ``1 / lr_multiplier``."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=draws) / self.lr_multiplier)
