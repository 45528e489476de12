"""Where a ray is sampled and what its samples add up to: the two passes of NeRF, with Portrait3D's choices.

Source: Mildenhall et al. 2020, section 5.2 (two passes, inverse transform sampling); Barron et al. 2021 (the blurred
distribution); Chan et al. 2022 (mid-points of neighbours, softplus(σ − 1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

FLOOR = 0.01
"""Weight that every interval has at least when samples are placed."""
SMALLEST = 1e-5
SPARED = 1e-10
"""What an opaque interval lets through."""


def coarse_depths(near: float, far: float, jitter: Tensor) -> Tensor:
    """Depths (rays, N) for ``jitter`` (rays, N) in 0..1: where each lies in its interval of (far − near) / (N − 1)."""
    count = jitter.shape[1]
    step = (far - near) / (count - 1)
    return near + step * (torch.arange(count, dtype=jitter.dtype, device=jitter.device) + jitter)


def interval_weights(depths: Tensor, sigma: Tensor) -> Tensor:
    """How much each interval between neighbouring samples is seen: (rays, N − 1).

    ``depths`` (rays, N) ascending, ``sigma`` (rays, N) raw density. An interval has softplus of one less than the mean
    of its ends; there is none behind the last sample.
    """
    middle = functional.softplus((sigma[:, 1:] + sigma[:, :-1]) / 2 - 1)
    alpha = 1 - torch.exp(-middle * (depths[:, 1:] - depths[:, :-1]))
    passed = torch.cumprod(1 - alpha + SPARED, dim=1)
    return alpha * torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], dim=1)


def fine_depths(depths: Tensor, weights: Tensor, u: Tensor) -> Tensor:
    """More depths (rays, F) where the weights are, by inversion of their distribution at ``u`` (rays, F) in 0..1.

    ``depths`` (rays, N), ``weights`` (rays, N − 1). The distribution is blurred by a maximum and a mean of neighbours;
    the two outermost weights are left out, and, as published, a weight stands half an interval before its own place.
    """
    blurred = functional.avg_pool1d(functional.max_pool1d(weights[:, None], 2, 1, padding=1), 2, 1)[:, 0] + FLOOR
    bins = (depths[:, 1:] + depths[:, :-1]) / 2
    share = blurred[:, 1:-1] + SMALLEST
    cdf = torch.cumsum(share / share.sum(dim=1, keepdim=True), dim=1)
    cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=1)
    above = torch.searchsorted(cdf, u.contiguous(), right=True).clamp_max(cdf.shape[1] - 1)
    below = (above - 1).clamp_min(0)
    low, high = cdf.gather(1, below), cdf.gather(1, above)
    width = torch.where(high - low < SMALLEST, 1.0, high - low)
    start, end = bins.gather(1, below), bins.gather(1, above)
    return start + (u - low) / width * (end - start)


@dataclass(frozen=True)
class Shares:
    """How much each sample adds to its ray."""

    samples: Tensor
    """(rays, N): half of the weights of the intervals before and behind it; an interval shows the mean of its ends."""
    total: Tensor
    """(rays,) the ray's coverage."""
    depth: Tensor
    """(rays,) mean distance from the camera, the last sample's where nothing is met."""
    entropy: Tensor
    """(rays,) mean over the intervals of the entropy of their weights: 0 where each hides all or nothing, 1 at most."""


def shares(depths: Tensor, sigma: Tensor) -> Shares:
    """The shares of samples at ``depths`` (rays, N), ascending, with raw density ``sigma`` (rays, N)."""
    weights = interval_weights(depths, sigma)
    none = torch.zeros_like(weights[:, :1])
    samples = (torch.cat([weights, none], dim=1) + torch.cat([none, weights], dim=1)) / 2
    total = weights.sum(dim=1)
    met = total > 0
    depth = (samples * depths).sum(dim=1) / torch.where(met, total, 1.0)
    return Shares(samples, total, torch.where(met, depth, depths[:, -1]), binary_entropy(weights).mean(dim=1))


def binary_entropy(weights: Tensor) -> Tensor:
    """Bits of a choice with these probabilities, element by element; differentiable also at 0 and 1."""
    p = weights.clamp(SMALLEST, 1 - SMALLEST)
    return -p * p.log2() - (1 - p) * (1 - p).log2()
