"""A diffusion model that knows the answer: it recognises a condition map and points at what a hidden avatar shows.

Its parts are called as diffusers' are. For the prompt, its UNet returns the noise that leads to the hidden avatar's
latents; for the empty and the negative text, the noise that leads to the latents that were encoded last, those of the
picture under way. A crop that the ControlNet does not see says nothing. The VAE turns squares of pixels into channels,
so that latents and pictures are the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.guidance.conditions import Condition
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.prompts import PromptTable
from pipeline.rendering.rasterize import rasterize

PROMPT = "an old man"
SQUARE = 8
Answer = Callable[[Tensor, Camera], Tensor]
"""Posed vertices (V,3) and a camera to latents (C,h,w)."""


def draw(avatar: SplatAvatar, vertices: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Picture (3,H,W) on white and alpha (H,W)."""
    with torch.no_grad():
        splats = avatar.gaussians(vertices)
        white = torch.ones(1, 3)
        picture, alpha, _ = rasterize(
            splats.means, splats.quats, splats.scales, splats.opacities, splats.colors,
            camera.viewmat[None], camera.K[None], camera.width, camera.height, backgrounds=white,
        )  # fmt: skip
    return picture[0].permute(2, 0, 1).clamp(0, 1), alpha[0, ..., 0]


class Memory:
    """Of what each condition map was made, found again by its values."""

    def __init__(self) -> None:
        self._sights: dict[bytes, tuple[Tensor, Camera]] = {}

    def add(self, condition: Tensor, vertices: Tensor, camera: Camera) -> None:
        self._sights[condition.numpy().tobytes()] = vertices, camera

    def find(self, condition: Tensor) -> tuple[Tensor, Camera]:
        """Posed vertices (V,3) and camera of a map (4,H,W); `KeyError` for one that was never made."""
        return self._sights[condition.contiguous().numpy().tobytes()]


class RememberedCondition:
    """The real condition maps, remembered; ``mistake`` changes the vertices that they are made of."""

    def __init__(self, condition: Condition, memory: Memory, mistake: Callable[[Tensor], Tensor] | None = None) -> None:
        self._condition, self._memory = condition, memory
        self._mistake = mistake or (lambda vertices: vertices)

    def __call__(self, vertices: Tensor, cameras: Sequence[Camera]) -> Tensor:
        shown = self._mistake(vertices)
        maps = self._condition(shown, cameras)
        for each, camera in zip(maps, cameras, strict=True):
            self._memory.add(each, shown, camera)
        return maps


class OracleControlNet(nn.Module):
    """Hands the condition map on as its one residual."""

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        encoder_hidden_states: Tensor,
        controlnet_cond: Tensor,
        return_dict: bool,
    ) -> tuple[list[Tensor], Tensor]:
        return [controlnet_cond], latents.new_zeros(len(latents), 1)


class OracleVae(nn.Module):
    """Squares of pixels as channels; remembers the latents that it made last."""

    def __init__(self) -> None:
        super().__init__()
        blocks = [1] * SQUARE.bit_length()
        self.config = SimpleNamespace(scaling_factor=1.0, latent_channels=3 * SQUARE**2, block_out_channels=blocks)
        self.unused = nn.Parameter(torch.zeros(1))
        self.current = torch.zeros(0)

    def encode(self, images: Tensor) -> SimpleNamespace:
        mean = pixel_unshuffle(images, SQUARE)
        self.current = mean.detach()
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=torch.zeros_like(mean)))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=pixel_shuffle(latents, SQUARE))


class OracleUnet(nn.Module):
    """Noise = (z_t - sqrt(ᾱ) z_0) / sqrt(1 - ᾱ), for the z_0 that the text and the condition stand for."""

    def __init__(self, vae: OracleVae, memory: Memory, answer: Answer, alphas_cumprod: Tensor) -> None:
        super().__init__()
        self.config = SimpleNamespace(time_cond_proj_dim=None)
        self.unused = nn.Parameter(torch.zeros(1))
        self._vae, self._memory, self._answer, self._kept = vae, memory, answer, alphas_cumprod

    def forward(
        self,
        latents: Tensor,
        timesteps: Tensor,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: Sequence[Tensor] = (),
        mid_block_additional_residual: Tensor | None = None,
    ) -> SimpleNamespace:
        clean = self._vae.current.repeat(len(latents) // len(self._vae.current), 1, 1, 1).clone()
        for condition in down_block_additional_residuals:
            for row in (encoder_hidden_states[:, 0, 0] > 0).nonzero().flatten().tolist():
                if condition[row].any():
                    clean[row] = self._answer(*self._memory.find(condition[row]))
        kept = self._kept[timesteps.long()].view(-1, 1, 1, 1)
        return SimpleNamespace(sample=(latents - kept.sqrt() * clean) / (1 - kept).sqrt())


def oracle(target: SplatAvatar, condition: Condition, mistake: Callable[[Tensor], Tensor] | None = None) -> Guidance:
    """Guidance towards ``target``; with a ``mistake`` the ControlNet sees the head model of other vertices."""
    memory, vae = Memory(), OracleVae()
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip

    def answer(vertices: Tensor, camera: Camera) -> Tensor:
        picture, _ = draw(target, vertices, camera)
        return pixel_unshuffle(2 * picture - 1, SQUARE)

    unet = OracleUnet(vae, memory, answer, scheduler.alphas_cumprod)
    model = DiffusionModel(unet, vae, scheduler, OracleControlNet())
    return Guidance(model, scheduler, _prompts(), RememberedCondition(condition, memory, mistake))


def _prompts() -> PromptTable:
    """1 for every text with the person in it, 0 for the others."""
    return PromptTable(lambda texts: torch.tensor([[[float("old man" in text)]] for text in texts]), PROMPT)
