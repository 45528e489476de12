"""Stable Diffusion 1.5 and a ControlNet of 4 channels, random, at their own size or small enough for a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

TOKENS = 77


@dataclass(frozen=True)
class Size:
    """What the networks are made of; the layout of their blocks is always that of Stable Diffusion 1.5."""

    name: str
    resolution: int
    """Pixels of a crop's side."""
    frame: int
    """Pixels of a view's side."""
    unet: tuple[int, int, int, int]
    vae: tuple[int, int, int, int]
    embedding: tuple[int, int, int, int]
    """Of the ControlNet's condition."""
    layers: int
    groups: int
    text: int
    text_layers: int


REAL = Size(
    "Stable Diffusion 1.5", 512, 896, (320, 640, 1280, 1280), (128, 256, 512, 512), (16, 32, 96, 256), 2, 32, 768, 12
)
REDUCED = Size("a reduced model", 64, 112, (32, 32, 64, 64), (16, 16, 32, 32), (8, 16, 16, 32), 1, 8, 64, 2)


@dataclass(frozen=True)
class Networks:
    """Random networks of one size."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    controlnet: ControlNetModel
    text_encoder: CLIPTextModel
    scheduler: DDIMScheduler

    def encode_text(self, count: int) -> Tensor:
        """Embeddings (count, 77, D) of texts whose words do not matter."""
        tokens = torch.zeros(count, TOKENS, dtype=torch.long, device=self.text_encoder.device)
        with torch.no_grad():
            return self.text_encoder(tokens).last_hidden_state


def random_networks(size: Size, device: torch.device, dtype: torch.dtype) -> Networks:
    """Networks with the weights that their constructors draw."""
    torch.manual_seed(0)
    with torch.device(device):
        unet = UNet2DConditionModel(
            sample_size=size.resolution // 8, block_out_channels=size.unet, layers_per_block=size.layers,
            norm_num_groups=size.groups, cross_attention_dim=size.text, attention_head_dim=8,
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=size.vae, layers_per_block=size.layers, norm_num_groups=size.groups,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            sample_size=size.resolution,
        )  # fmt: skip
        controlnet = ControlNetModel.from_unet(
            unet, conditioning_channels=4, conditioning_embedding_out_channels=size.embedding
        )
        text = CLIPTextModel(
            CLIPTextConfig(
                hidden_size=size.text, intermediate_size=4 * size.text, num_hidden_layers=size.text_layers,
                num_attention_heads=size.text // 64 or 1, max_position_embeddings=TOKENS,
            )
        )  # fmt: skip
    made: list[Any] = [module.to(device, dtype).eval() for module in (unet, vae, controlnet, text)]
    return Networks(*made, scheduler=_scheduler())


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False,
        set_alpha_to_one=False,
    )  # fmt: skip


class Counter:
    """Calls and rows of a module's forward."""

    def __init__(self, module: nn.Module, name: str = "forward") -> None:
        self.calls = self.rows = 0
        inner = getattr(module, name)

        def counted(first: Tensor, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            self.rows += len(first)
            return inner(first, *arguments, **options)

        setattr(module, name, counted)
