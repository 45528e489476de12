"""`DiffusionModel`: a latent diffusion model with its ControlNet, as the losses and the editing of pictures use it.

It is made of diffusers' modules, of which it needs no more than this, so that stand-ins are short:

- ``unet(latents, t (B,), encoder_hidden_states=, down_block_additional_residuals=, mid_block_additional_residual=)``
  with ``.sample``; ``unet.config.time_cond_proj_dim`` where the guidance scale is an input (LCM);
- ``vae.encode(x).latent_dist`` with ``.mean`` and ``.std``, ``vae.decode(z)`` with ``.sample``, pictures -1..1;
  ``vae.config.scaling_factor``, ``.latent_channels``, and ``.block_out_channels``: latents are half as large for each
  entry after the first;
- ``scheduler.alphas_cumprod`` and ``.config.prediction_type``;
- ``controlnet(latents, t, encoder_hidden_states=, controlnet_cond=, return_dict=False)``: residuals of the way down and
  that of the middle.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.errors import UserError

VAE_PIXELS = 6 * 512**2
"""Pixels that the VAE sees at once: with gradient and 16 bits it keeps 1.6 GB for each 512²."""
PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


class DiffusionModel:
    """Encodes and decodes pictures and predicts noise.

    The modules are frozen and set to inference. Neither UNet nor ControlNet ever carries a gradient: distillation needs
    only their answers, so that the VAE alone keeps activations.
    """

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module,
        scheduler: Any,
        controlnet: nn.Module | None = None,
        *,
        device: torch.device | None = None,
        rows: int | None = None,
    ) -> None:
        """
        Args:
            unet, vae, controlnet: diffusers' modules or stand-ins, see above.
            scheduler: gives the noise schedule that the model was trained on.
            device: where to compute, when the modules are moved there only while they run.
            rows: most rows of one UNet call; all at once when None.

        Raises:
            UserError: the scheduler has no noise schedule of this kind, as flow matching has none.
        """
        self.unet, self.vae, self.controlnet = unet, vae, controlnet
        for module in (unet, vae, controlnet):
            if module is not None:
                module.requires_grad_(False).eval()
        self.dtype = _parameter(unet).dtype
        self.device = torch.device(device or _parameter(unet).device)
        self.prediction_type = getattr(scheduler.config, "prediction_type", "epsilon")
        if not hasattr(scheduler, "alphas_cumprod") or self.prediction_type not in PREDICTION_TYPES:
            raise UserError(
                f"the scheduler is {type(scheduler).__name__} with prediction_type {self.prediction_type!r}; the "
                "distillation needs a noise schedule as Stable Diffusion has it, e.g. that of DDIMScheduler"
            )
        self.alphas_cumprod: Tensor = scheduler.alphas_cumprod.to(self.device, torch.float32)
        """(T,) share of the signal's power that is left at each timestep."""
        self.rows = rows
        config: Any = vae.config
        self.latent_scale: int = 2 ** (len(config.block_out_channels) - 1)
        """Pixels of a picture to one of the latents, along each side."""
        self.latent_channels: int = config.latent_channels
        self.scaling_factor: float = config.scaling_factor
        self._guidance_size: int | None = getattr(getattr(unet, "config", None), "time_cond_proj_dim", None)

    @property
    def guided_inside(self) -> bool:
        """Whether the guidance scale is an input of the UNet, as latent consistency models have it."""
        return self._guidance_size is not None

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Channels, rows and columns of the latents of a picture of that many pixels."""
        return self.latent_channels, height // self.latent_scale, width // self.latent_scale

    def encode(self, images: Tensor, noise: Tensor) -> Tensor:
        """Latents of pictures: drawn from the VAE's posterior with the given noise, and scaled.

        Differentiable in the pictures. Pictures of no more than `VAE_PIXELS` keep their activations; those of the
        others are computed again on the way back.

        Args:
            images: (B,3,H,W) in 0..1, scaled to the size of which the noise is the latents' where it differs.
            noise: (B,C,h,w) standard normal.

        Returns:
            (B,C,h,w) float32.
        """
        size = (noise.shape[-2] * self.latent_scale, noise.shape[-1] * self.latent_scale)
        images = images.to(self.device)
        if images.shape[-2:] != size:
            images = functional.interpolate(images, size, mode="bilinear", antialias=True)
        rows = _vae_rows(*size)
        parts = list(zip(images.split(rows), noise.to(self.device).split(rows), strict=True))
        latents = [
            checkpoint(self._encode, *part, use_reentrant=False, preserve_rng_state=False) for part in parts[:-1]
        ]
        return torch.cat([*latents, self._encode(*parts[-1])])

    def _encode(self, images: Tensor, noise: Tensor) -> Tensor:
        vae: Any = self.vae
        posterior = vae.encode((2 * images - 1).to(_parameter(vae).dtype)).latent_dist
        return self.scaling_factor * (posterior.mean.float() + posterior.std.float() * noise)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B,3,H,W) float32 in 0..1 of latents (B,C,h,w)."""
        vae: Any = self.vae
        scaled = (latents / self.scaling_factor).to(self.device, _parameter(vae).dtype)
        rows = _vae_rows(*(side * self.latent_scale for side in latents.shape[-2:]))
        images = torch.cat([vae.decode(part).sample for part in scaled.split(rows)])
        return (images.float() / 2 + 0.5).clamp(0, 1)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What latents (B,C,h,w) are at timesteps (B,): sqrt(ᾱ) z + sqrt(1 - ᾱ) ε (DDPM, equation 4)."""
        signal, spread = self.schedule(timesteps)
        return signal * latents + spread * noise.to(latents.device)

    def schedule(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(ᾱ) and sqrt(1 - ᾱ) at timesteps (B,), each (B,1,1,1)."""
        kept = self.alphas_cumprod[timesteps.to(self.device)].view(-1, 1, 1, 1)
        return kept.sqrt(), (1 - kept).sqrt()

    @torch.no_grad()
    def predict_noise(
        self,
        latents: Tensor,
        timesteps: Tensor,
        embeds: Tensor,
        conditions: Tensor | None,
        condition_scale: Tensor | None = None,
    ) -> Tensor:
        """The noise (B,C,h,w) float32 that the model sees in noisy latents, whatever it was trained to predict.

        The arguments are those of `predict`. A prediction v is sqrt(ᾱ) ε - sqrt(1 - ᾱ) z (Salimans and Ho 2022,
        appendix D), so that ε = sqrt(ᾱ) v + sqrt(1 - ᾱ) z_t.
        """
        predicted = self.predict(latents, timesteps, embeds, conditions, condition_scale)
        if self.prediction_type == "epsilon":
            return predicted
        signal, spread = self.schedule(timesteps)
        latents = latents.to(self.device, torch.float32)
        if self.prediction_type == "v_prediction":
            return signal * predicted + spread * latents
        return (latents - signal * predicted) / spread

    @torch.no_grad()
    def predict(
        self,
        latents: Tensor,
        timesteps: Tensor,
        embeds: Tensor,
        conditions: Tensor | None,
        condition_scale: Tensor | None = None,
        guidance_scale: float = 1.0,
    ) -> Tensor:
        """The UNet's own answer (B,C,h,w) float32, in one call, or in calls of `rows` rows.

        Args:
            latents: (B,C,h,w).
            timesteps: (B,) whole numbers, or fractions where the scheduler has them.
            embeds: (B,L,D) of the prompts.
            conditions: (B,K,H,W) in 0..1 for the ControlNet; None where no row has any.
            condition_scale: (B,) of each row's residuals; rows with 0 cost the ControlNet nothing. 1 when None.
            guidance_scale: an input of the UNet where `guided_inside`, else without effect.
        """
        count = len(latents)
        scale = torch.ones(count) if condition_scale is None else condition_scale.float().cpu()
        if conditions is None or self.controlnet is None:
            conditions, scale = None, torch.zeros(count)
        answers = []
        for rows in torch.arange(count).split(self.rows or count):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            given = (latents[part].to(self.device, self.dtype), timesteps[part].to(self.device))
            texts = embeds[part].to(self.device, self.dtype)
            residuals = self._residuals(*given, texts, conditions, scale, part)
            answers.append(self._call(*given, texts, residuals, guidance_scale))
        return torch.cat(answers)

    def _call(
        self, latents: Tensor, timesteps: Tensor, embeds: Tensor, residuals: dict[str, Any], guidance_scale: float
    ) -> Tensor:
        if self._guidance_size is not None:
            embedding = guidance_embedding(guidance_scale, self._guidance_size).to(latents)
            residuals = {**residuals, "timestep_cond": embedding.expand(len(latents), -1)}
        return self.unet(latents, timesteps, encoder_hidden_states=embeds, **residuals).sample.float()

    def _residuals(
        self,
        latents: Tensor,
        timesteps: Tensor,
        embeds: Tensor,
        conditions: Tensor | None,
        scale: Tensor,
        part: slice,
    ) -> dict[str, Any]:
        """What the ControlNet adds inside the UNet: zero in the rows that it does not see."""
        seen = scale[part].nonzero().flatten()
        if conditions is None or self.controlnet is None or not len(seen):
            return {}
        size = (latents.shape[-2] * self.latent_scale, latents.shape[-1] * self.latent_scale)
        rows = seen.to(self.device)
        shown = conditions[part][seen.to(conditions.device)].to(latents)
        if shown.shape[-2:] != size:
            shown = functional.interpolate(shown, size, mode="bilinear", antialias=True)
        down, middle = self.controlnet(
            latents[rows],
            timesteps[rows],
            encoder_hidden_states=embeds[rows],
            controlnet_cond=shown,
            return_dict=False,
        )
        weights = scale[part][seen].to(latents).view(-1, 1, 1, 1)

        def scattered(residual: Tensor) -> Tensor:
            residual = residual * weights
            if len(seen) == len(latents):
                return residual
            return residual.new_zeros(len(latents), *residual.shape[1:]).index_copy(0, rows, residual)

        return {
            "down_block_additional_residuals": tuple(map(scattered, down)),
            "mid_block_additional_residual": scattered(middle),
        }


def guidance_embedding(guidance_scale: float, size: int) -> Tensor:
    """(1, size): the guidance scale as sines and cosines, which latent consistency models take as an input.

    Source: Luo et al. 2023, section 4.2 with w = guidance_scale - 1; frequencies as in the timesteps' embedding, of
    1000 w.
    """
    half = size // 2
    frequencies = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = 1000 * (guidance_scale - 1) * frequencies[None]
    return functional.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, size % 2))


def for_speed(model: DiffusionModel) -> DiffusionModel:
    """Lay the modules out as CUDA convolves fastest; gives the model back.

    Attention is PyTorch's scaled dot product, diffusers' default. ``unet.compile(dynamic=True)`` beforehand takes
    minutes once per process, which a full refinement repays and a short one does not.
    """
    if model.device.type == "cuda":
        for module in (model.unet, model.vae, model.controlnet):
            if module is not None:
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _vae_rows(height: int, width: int) -> int:
    return max(1, VAE_PIXELS // (height * width))


def _parameter(module: nn.Module) -> Tensor:
    """A tensor that tells a module's type and place; those of a module without parameters are PyTorch's defaults."""
    return next((tensor for tensor in module.parameters() if tensor.is_floating_point()), torch.empty(0))
