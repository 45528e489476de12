"""How a picture is compared with the picture that it ought to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipeline.stages.perceptual import find_lpips

PIXEL_WEIGHT, PERCEPTUAL_WEIGHT = 0.8, 0.2
"""AnimPortrait3D (SIGGRAPH 2025), as its code has it."""
GRADIENT_SCALES = 4
NO_LPIPS = (
    "The weights of LPIPS are not on this machine: edges are compared at four scales instead, which keep structure but "
    "know less of texture. The doctor tells how to have them."
)

Compare = Callable[[Tensor, Tensor], Tensor]
"""Pictures and targets, both (B, 3, H, W) 0..1 → (B,)."""


def photometric_loss(
    kind: Literal["l2", "l1+lpips"], device: torch.device, note: Callable[[str], None]
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a phase: pictures and targets (B, 3, H, W) 0..1 → (B,) one number per picture.

    0.8 · mean squared error, or 0.8 · mean absolute error + 0.2 · LPIPS. Without LPIPS's weights `gradient_difference`
    stands in, and ``note`` is told so in a sentence.
    """
    if kind == "l2":
        return lambda images, targets: PIXEL_WEIGHT * (images - targets).square().flatten(1).mean(1)
    perceptual = _perceptual(device, note)

    def loss(images: Tensor, targets: Tensor) -> Tensor:
        pixels = (images - targets).abs().flatten(1).mean(1)
        return PIXEL_WEIGHT * pixels + PERCEPTUAL_WEIGHT * perceptual(images, targets)

    return loss


def gradient_difference(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical differences at four scales, each half the last: → (B,)."""
    difference = images - targets
    total = difference.new_zeros(len(difference))
    for _ in range(GRADIENT_SCALES):
        if min(difference.shape[-2:]) < 2:
            break
        total = total + difference.diff(dim=-1).abs().flatten(1).mean(1)
        total = total + difference.diff(dim=-2).abs().flatten(1).mean(1)
        difference = avg_pool2d(difference, 2)
    return total / (2 * GRADIENT_SCALES)


def _perceptual(device: torch.device, note: Callable[[str], None]) -> Compare:
    lpips = find_lpips()
    if lpips is None:
        note(NO_LPIPS)
        return gradient_difference
    return lpips.to(device)
