"""Convolutions in which the planes of a tri-grid know of each other.

The operator of Mimic3D (Chen et al., ICCV 2023, section 3.3), which 3DPortraitGAN's pyramid has in every layer that
makes planes: a plane is convolved together with what the other two say along the axis that each shares with it,
averaged over the axis that it does not. The planes are (width, height) = (x,y), (y,z) and (z,x), so that plane p has
axis p across and axis p + 1 down, both modulo 3. The renderer of tri-grids reads them as (x,y), (x,z) and (y,z):
published weights were trained with the two as they are, so they stay so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.priors.portrait3d.trigrid import PLANES

STRIP = 3
"""Samples after which a convolution of 3×3 has shown all that it makes of a map that is the same along an axis."""


def convolve_aware(x: Tensor, weights: Tensor, convolve: Callable[[Tensor, Tensor], Tensor], up: bool) -> Tensor:
    """Convolve planes beside what they tell each other: (3·B,C,R,R) by kernels (3·B,out,3·C,k,k) → (3·B,out,S,S).

    The batch holds the three planes of each sample in turn. Channel group q of the kernels is for plane q: in plane q
    the plane itself; in the plane before, its mean over its height, down; in the plane after, its mean over its width,
    across. ``convolve(x, weights)`` has zeros outside; with `up` there are zeros between the samples too (S = 2R + 1).

    A mean is the same along one axis, and so is what a convolution makes of it, but at the borders. Hence it is
    convolved as a strip, which is then stretched: a third of the work and of the memory.
    """
    planes = x.unflatten(0, (-1, PLANES))
    down = planes.mean(dim=-2).roll(-1, dims=1).flatten(0, 1)[..., :, None].expand(-1, -1, -1, STRIP)
    across = planes.mean(dim=-1).roll(1, dims=1).flatten(0, 1)[..., None, :].expand(-1, -1, STRIP, -1)
    own, after, before = (_groups(weights, offset) for offset in range(PLANES))
    y = convolve(x, own)
    y = y + _stretched(convolve(down, after), y.shape[-1], up, dim=-1)
    return y + _stretched(convolve(across, before), y.shape[-2], up, dim=-2)


def _groups(weights: Tensor, offset: int) -> Tensor:
    """The kernels (3·B,out,C,k,k) in every plane p for what plane p + offset says."""
    kernels = weights.unflatten(2, (PLANES, -1)).unflatten(0, (-1, PLANES))
    chosen = [kernels[:, plane, :, (plane + offset) % PLANES] for plane in range(PLANES)]
    return torch.stack(chosen, dim=1).flatten(0, 1)


def _stretched(strip: Tensor, length: int, up: bool, dim: int) -> Tensor:
    """A strip whose middle is repeated along an axis until it has this length."""
    period = 2 if up else 1
    first, middle = strip.narrow(dim, 0, 1), strip.narrow(dim, 1, period)
    last = strip.narrow(dim, strip.shape[dim] - period, period)
    return torch.cat([first, *[middle] * ((length - 1) // period - 1), last], dim=dim)
