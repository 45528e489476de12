"""A diffusion model that knows the person: it is told from where, and points at what a hidden tri-grid shows there.

It is called as diffusers' modules are. The text's embedding is a mixture of front, side and back; the UNet turns it
back into an azimuth, and returns the noise that leads to the hidden scene's view from there. Which side, and how high,
it takes from the draws of the step, as real pictures would tell it. The empty text sees the noise that leads to the
latents that were encoded last. The VAE turns squares of pixels into channels, so that latents and pictures are the
same numbers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_unshuffle

from pipeline.guidance.diffusion import DiffusionModel
from pipeline.priors.portrait3d.config import DistillationConfig
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.distillation import camera_of, draws_of
from pipeline.priors.portrait3d.rendering import PORTRAIT3D, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts
from tests.guidance.toy import toy_scheduler
from tests.stages.oracle import SQUARE, OracleVae

PERSON = "a man"
DIRECTIONS = ("front", "side", "back")
EYES = replace(PORTRAIT3D, coarse=12, fine=12)


class SeerUnet(nn.Module):
    """Knows the hidden scene; counts its calls, of which there is one for each step."""

    def __init__(
        self, vae: OracleVae, trigrid: TriGrid, painter: Painter, config: DistillationConfig, seed: int, kept: Tensor
    ) -> None:
        super().__init__()
        self.config = SimpleNamespace(time_cond_proj_dim=None)
        self.unused = nn.Parameter(torch.zeros(1))
        self._vae, self._trigrid, self._painter = vae, trigrid, painter
        self._options, self._seed, self._kept = config, seed, kept
        self.calls = 0

    def forward(self, latents: Tensor, timesteps: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        clean = torch.cat([self._hidden(encoder_hidden_states[0, 0]), self._vae.current])
        self.calls += 1
        kept = self._kept[timesteps.long()].view(-1, 1, 1, 1)
        return SimpleNamespace(sample=(latents - kept.sqrt() * clean) / (1 - kept).sqrt())

    def _hidden(self, embed: Tensor) -> Tensor:
        side = self._options.encoded_size
        drawn = draws_of(self._options, (1, 1, 1), self._seed, self.calls)
        camera = camera_of(self._options, math.copysign(told_azimuth(embed), drawn.azimuth), drawn.polar)
        seen = render(self._trigrid, self._painter, camera, EYES).image[None]
        return pixel_unshuffle(interpolate(seen, (side, side), mode="bilinear"), SQUARE)


def told_azimuth(embed: Tensor) -> float:
    """Degrees from the front that a mixture (3,) of front, side and back stands for."""
    return float(embed @ torch.tensor([0.0, 90.0, 180.0]))


def prompts(words: tuple[str, str, str] = DIRECTIONS) -> ViewPrompts:
    """The real mixing, of embeddings that say which of ``words`` the text begins with."""

    def encode(texts: list[str]) -> Tensor:
        return torch.tensor([[[float(text.startswith(word)) for word in words]] for text in texts])

    return ViewPrompts(encode, PERSON, "")


def seer(trigrid: TriGrid, painter: Painter, config: DistillationConfig, seed: int) -> DiffusionModel:
    """The model that wants ``trigrid``."""
    vae, scheduler = OracleVae(), toy_scheduler()
    return DiffusionModel(SeerUnet(vae, trigrid, painter, config, seed, scheduler.alphas_cumprod), vae, scheduler)
