"""`NormalPredictor`: which way the surface looks at every pixel of a picture, by Marigold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import MarigoldNormalsPipeline
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize

from pipeline.errors import UserError
from pipeline.reconstruction.normal_refinement import NormalPredictor
from pipeline.reconstruction.published import NORMALS_MODEL
from pipeline.stages.randomness import generator

STEPS = 10
"""Of denoising, where a model names none of its own."""
LATENTS_OF_BOTH = 8
"""Channels that its UNet sees: four of the picture, four of the normals."""


def load_normal_predictor(folder: Path, device: torch.device | str = "cpu", seed: int = 0) -> NormalPredictor:
    """A predictor from a folder that holds a Marigold for normals in diffusers' layout, as safetensors.

    Ke et al., Repurposing Diffusion-Based Image Generators for Monocular Depth Estimation, CVPR 2024, and its model for
    normals. In half precision on a GPU. What it draws depends on ``seed`` and on the number of a picture in its call.
    Raises `UserError` for a folder without such a model, or a damaged one.
    """
    dtype = torch.float16 if torch.device(device).type == "cuda" else torch.float32
    try:
        pipeline: Any = MarigoldNormalsPipeline.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype
        )
    except (ImportError, OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"{folder} holds no Marigold for normals that diffusers can read as safetensors ({reason}); "
            f"fetch {NORMALS_MODEL}"
        ) from error
    channels = pipeline.unet.config.in_channels
    if channels != LATENTS_OF_BOTH:
        raise UserError(
            f"the UNet in {folder} sees {channels} channels and one for normals {LATENTS_OF_BOTH}; "
            f"fetch {NORMALS_MODEL}"
        )
    pipeline.set_progress_bar_config(disable=True)
    return _Marigold(pipeline.to(device), seed)


class _Marigold:
    def __init__(self, pipeline: Any, seed: int) -> None:
        self._pipeline, self._seed = pipeline, seed

    def __call__(self, pictures: Tensor) -> Tensor:
        """(C, H, W, 3) uint8 → unit normals (C, H, W, 3) on the CPU, one picture after the other."""
        return torch.stack([self._predict(picture, number) for number, picture in enumerate(pictures)])

    def _predict(self, picture: Tensor, number: int) -> Tensor:
        """Marigold's axes are ours: x right, y up, z towards the viewer."""
        image = picture.cpu().numpy().astype(np.float32) / 255
        steps = self._pipeline.default_denoising_steps or STEPS
        resolution = self._pipeline.default_processing_resolution
        found = self._pipeline(
            image,
            num_inference_steps=steps,
            processing_resolution=0 if resolution is None else resolution,
            generator=generator(self._seed, "normals", number),
        )
        return normalize(torch.from_numpy(found.prediction[0]).float(), dim=-1)
