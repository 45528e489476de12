"""Diffusion modules so small that what they answer can be written out: linear, and called as diffusers' are."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn

from pipeline.guidance.diffusion import DiffusionModel

LATENT_CHANNELS, EMBED, CONDITION_CHANNELS = 4, 6, 4
SCALE = 8
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


class ToyUnet(nn.Module):
    """Noise = M z (over channels) + t/1000 c + N mean(text) + what the ControlNet adds. Counts calls and rows."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(seed)
        self.mix = nn.Parameter(torch.randn(LATENT_CHANNELS, LATENT_CHANNELS, generator=made) / 2)
        self.time = nn.Parameter(torch.randn(LATENT_CHANNELS, generator=made))
        self.text = nn.Parameter(torch.randn(LATENT_CHANNELS, EMBED, generator=made))
        self.config = SimpleNamespace(time_cond_proj_dim=None)
        self.rows: list[int] = []

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: tuple[Tensor, ...] = (),
        mid_block_additional_residual: Tensor | float = 0.0,
    ) -> SimpleNamespace:
        self.rows.append(len(latents))
        noise = torch.einsum("ij,bjhw->bihw", self.mix, latents)
        noise = noise + (timesteps.float()[:, None] / 1000 * self.time)[..., None, None]
        noise = noise + (encoder_hidden_states.mean(1) @ self.text.T)[..., None, None]
        return SimpleNamespace(sample=noise + sum(down_block_additional_residuals) + mid_block_additional_residual)


class ToyControlNet(nn.Module):
    """Two residuals: the condition averaged over each latent's pixels, and half of it. Counts rows."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.rows: list[int] = []

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        encoder_hidden_states: Tensor,
        controlnet_cond: Tensor,
        return_dict: bool,
    ) -> tuple[list[Tensor], Tensor]:
        self.rows.append(len(latents))
        pooled = self.gain * nn.functional.avg_pool2d(controlnet_cond, SCALE)
        return [pooled], pooled / 2


class ToyVae(nn.Module):
    """A fixed linear map of each square of pixels, and its pseudo-inverse back."""

    def __init__(self, scale: int = SCALE, std: float = 0.1) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(1)
        axes = torch.linalg.qr(torch.randn(3 * scale**2, LATENT_CHANNELS, generator=made))[0]
        self.axes = nn.Parameter(axes)  # orthonormal columns
        self.scale, self.std = scale, std
        blocks = [1] * (scale.bit_length())
        self.config = SimpleNamespace(
            scaling_factor=0.18215, latent_channels=LATENT_CHANNELS, block_out_channels=blocks
        )

    def encode(self, images: Tensor) -> SimpleNamespace:
        squares = nn.functional.pixel_unshuffle(images, self.scale)
        mean = torch.einsum("ki,bkhw->bihw", self.axes, squares)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=torch.full_like(mean, self.std)))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        squares = torch.einsum("ki,bihw->bkhw", self.axes, latents)
        return SimpleNamespace(sample=nn.functional.pixel_shuffle(squares, self.scale))


def toy_scheduler(prediction_type: str = "epsilon") -> DDIMScheduler:
    """The noise schedule of Stable Diffusion 1.5."""
    return DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction_type)


def toy_model(prediction_type: str = "epsilon", rows: int | None = None) -> DiffusionModel:
    """The three modules put together; the counters are ``model.unet.rows`` and ``model.controlnet.rows``."""
    return DiffusionModel(ToyUnet(), ToyVae(), toy_scheduler(prediction_type), ToyControlNet(), rows=rows)


def toy_encode(texts: list[str]) -> Tensor:
    """Texts to embeddings (B,3,EMBED) that depend on their letters alone."""
    rows = [torch.randn(3, EMBED, generator=torch.Generator().manual_seed(sum(text.encode()))) for text in texts]
    return torch.stack(rows)
