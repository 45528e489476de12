"""From a tri-grid's features to density and colour: two small layers, and the generator's last one."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.priors.portrait3d.layers import FullyConnected
from pipeline.priors.portrait3d.trigrid import FEATURES

HIDDEN = 32
COLORS = 32
"""Channels that are rendered, from which the last layer makes red, green and blue."""
LATENT = 512


class Decoder(nn.Module):
    """12 → 32 → 1 + 32 with a softplus between; it does not see the viewing direction."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(FullyConnected(FEATURES, HIDDEN), nn.Softplus(), FullyConnected(HIDDEN, 1 + COLORS))

    @property
    def first(self) -> FullyConnected:
        return cast(FullyConnected, self.net[0])

    @property
    def second(self) -> FullyConnected:
        return cast(FullyConnected, self.net[2])


class ToRGB(nn.Module):
    """A 1×1 convolution whose input channels are scaled by the latent code, without demodulation (StyleGAN2)."""

    def __init__(self) -> None:
        super().__init__()
        self.affine = FullyConnected(LATENT, COLORS, bias_init=1)
        self.weight = nn.Parameter(torch.zeros(3, COLORS, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def matrix(self, w: Tensor) -> Tensor:
        """(3, 32) for the latent code w (512,)."""
        return self.weight[:, :, 0, 0] * self.affine(w) / math.sqrt(COLORS)


class Painter(nn.Module):
    """What a tri-grid needs to become visible; the state dict has the keys of the published ``decoder_512.ckpt``.

    The second layer is linear, so that what a ray collects of it can be computed from the hidden units that the ray has
    collected: `hidden`, `density` and `colors` are `decode` taken apart for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()
        self.torgb = ToRGB()

    def decode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features per plane (M, 3, 12) → raw density (M,) and colour channels (M, 32)."""
        hidden = self.hidden(features)
        return self.density(hidden), self.colors(hidden, hidden.new_ones(len(hidden)))

    def hidden(self, features: Tensor) -> Tensor:
        """Features per plane (M, 3, 12) → hidden units (M, 32) of their mean."""
        return functional.softplus(self.decoder.first(features.mean(dim=1)))

    def density(self, hidden: Tensor) -> Tensor:
        """Hidden units (…, 32) → raw density (…)."""
        weight, bias = self.second()
        return functional.linear(hidden, weight[:1].to(hidden.dtype), bias[:1].to(hidden.dtype))[..., 0]

    def colors(self, hidden: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums of hidden units (…, 32) with the sums of their weights (…) → colour channels (…, 32)."""
        weight, bias = (parameter[1:].to(hidden.dtype) for parameter in self.second())
        return functional.linear(hidden, weight) + weights[..., None] * bias

    def paint(self, features: Tensor, ws: Tensor) -> Tensor:
        """Colour channels (…, 32) and the latent code (1, 14, 512) → red, green, blue (…, 3), mostly in −1..1."""
        matrix = self.torgb.matrix(ws[0, -1])
        return functional.linear(features, matrix.to(features.dtype), self.torgb.bias.to(features.dtype))

    def second(self) -> tuple[Tensor, Tensor]:
        """Weight (33, 32) and bias (33,) that the second layer multiplies by and adds; row 0 is the density."""
        layer = self.decoder.second
        return layer.weight * layer.weight_gain, layer.bias * layer.lr_multiplier
