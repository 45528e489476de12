"""How a picture differs from its target: absolute difference, structural dissimilarity and coverage."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW, SIGMA = 11, 1.5
"""Of the Gaussian in which structure is compared (Wang et al., Image quality assessment, 2004)."""
C1, C2 = 0.01**2, 0.03**2


def photometric_loss(images: Tensor, alphas: Tensor, targets: Tensor, coverage: Tensor, structure: float) -> Tensor:
    """(1 − λ)·L1 + λ·(1 − SSIM), plus L1 of the coverage; means over all pixels (3D Gaussian Splatting, eq. 7).

    ``images`` and ``targets`` (B, 3, H, W) 0..1 over the same background, ``alphas`` and ``coverage`` (B, H, W),
    ``structure`` λ. Published avatars are fitted without the term of coverage, over white, where light hair comes out
    transparent.
    """
    difference = (images - targets).abs().mean()
    dissimilarity = 1 - ssim(images, targets)
    return (1 - structure) * difference + structure * dissimilarity + (alphas - coverage).abs().mean()


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity of pictures (B, C, H, W) 0..1 (Wang et al. 2004, eq. 13), differentiable."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    of_x, of_y = _blurred(x * x) - mean_x * mean_x, _blurred(y * y) - mean_y * mean_y
    both = _blurred(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    return (light * (2 * both + C2) / (of_x + of_y + C2)).mean()


def _blurred(x: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, WINDOW)
    across = conv2d(x, kernel, padding=(0, WINDOW // 2), groups=x.shape[1])
    return conv2d(across, kernel.transpose(2, 3), padding=(WINDOW // 2, 0), groups=x.shape[1])
