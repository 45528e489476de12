"""Tri-grids whose density is known in closed form, and random ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.trigrid import HALF_SIDE, PLANES, TriGrid

STEEPNESS = 2000.0
RADIUS = 0.15


def random_scene(
    resolutions: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[TriGrid, Painter]:
    """Noise, with a decoder that makes clouds of it."""
    draws = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws, dtype=torch.float64).to(dtype)

    painter = Painter().to(dtype)
    for parameter in painter.parameters():
        parameter.data = noise(*parameter.shape)
    layer = painter.decoder.second
    layer.weight.data[0] *= 2.0
    layer.bias.data[0] = -3.0
    trigrid = TriGrid(tuple(2 * noise(1, PLANES, 36, r, r) for r in resolutions), noise(1, 14, 512))
    return trigrid, painter


def ball(resolutions: tuple[int, ...] = (8, 64), softness: float = 1.0) -> tuple[TriGrid, Painter]:
    """A solid ball of radius 0.15 about the origin: density as in `ball_density`, red on the side of +x.

    Feature 0 is the squared distance from the middle, in the finest level alone; feature 1 is x.
    """
    knots = _knots(resolutions[-1])
    finest = torch.zeros(PLANES, 12, 3, resolutions[-1], resolutions[-1])
    y, x = torch.meshgrid(knots, knots, indexing="ij")
    count = len(resolutions)
    finest[0, 0] = PLANES * count * (x * x + y * y)
    finest[1, 0] = PLANES * count * y * y
    finest[0, 1] = PLANES * count * x
    steep = STEEPNESS / softness
    painter = _painter({0: {0: -steep}, 1: {1: 40.0}}, {0: steep * RADIUS**2, 1: 0.0}, {0: 6 * softness}, -8.0)
    painter.decoder.second.weight.data[1, 1] = 0.5 * math.sqrt(32)
    return _trigrid(finest, resolutions), painter


def ball_density(points: Tensor, softness: float = 1.0) -> Tensor:
    """Raw density (M,) of `ball` at points (M, 3)."""
    return 6 * softness * softplus(STEEPNESS / softness * (RADIUS**2 - points.square().sum(-1))) - 8


def slab(half: float = 0.05, resolutions: tuple[int, ...] = (16,)) -> tuple[TriGrid, Painter]:
    """A plate across the z axis, of 2 · ``half``: density as in `slab_density`; feature 0 is z."""
    finest = torch.zeros(PLANES, 12, 3, resolutions[-1], resolutions[-1])
    finest[1, 0] = PLANES * len(resolutions) * _knots(resolutions[-1])[:, None]
    painter = _painter({0: {0: 100.0}, 1: {0: -100.0}}, {0: 0.0, 1: 0.0}, {0: -4.0, 1: -4.0}, 400.0 * half)
    return _trigrid(finest, resolutions), painter


def slab_density(z: Tensor, half: float = 0.05) -> Tensor:
    """Raw density of `slab`: about 400 · (half − |z|)."""
    return 400.0 * half - 4 * (softplus(100 * z) + softplus(-100 * z))


def _knots(resolution: int) -> Tensor:
    return ((torch.arange(resolution) + 0.5) / resolution * 2 - 1) * HALF_SIDE


def _trigrid(finest: Tensor, resolutions: tuple[int, ...]) -> TriGrid:
    levels = [torch.zeros(1, PLANES, 36, r, r) for r in resolutions[:-1]]
    return TriGrid((*levels, finest.flatten(1, 2)[None]), torch.ones(1, 14, 512))


def _painter(
    first: dict[int, dict[int, float]], offsets: dict[int, float], density: dict[int, float], bias: float
) -> Painter:
    """A decoder with these effective weights: hidden unit → feature → weight, and so on; the rest is 0."""
    painter = Painter()
    for unit, features in first.items():
        for feature, weight in features.items():
            painter.decoder.first.weight.data[unit, feature] = weight * math.sqrt(12)
        painter.decoder.first.bias.data[unit] = offsets[unit]
    for unit, weight in density.items():
        painter.decoder.second.weight.data[0, unit] = weight * math.sqrt(32)
    painter.decoder.second.bias.data[0] = bias
    painter.decoder.second.bias.data[1:4] = torch.tensor([-0.4, 0.1, 0.3])
    painter.torgb.weight.data[:, :3, 0, 0] = torch.eye(3) * math.sqrt(32)
    painter.torgb.bias.data = torch.tensor([0.0, 0.2, 0.5])
    return painter
