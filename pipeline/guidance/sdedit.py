"""Pictures edited by a diffusion model: noised part of the way and denoised again (Meng et al. 2022, SDEdit).

`edit` does it, `Targets` keeps what it made ahead of a fit.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.prompts import PromptBatch

Make = Callable[[list[int]], Tensor]
"""Numbers of pictures to those pictures (B,3,H,W) in 0..1."""


@torch.no_grad()
def edit(
    model: DiffusionModel,
    scheduler: Any,
    images: Tensor,
    prompts: PromptBatch,
    conditions: Tensor | None,
    condition_scale: Tensor,
    *,
    strength: float,
    steps: int,
    guidance_scale: float,
    generators: Sequence[torch.Generator],
    batch: int,
) -> Tensor:
    """What the diffusion model makes of pictures; one picture's result is the same whatever the others are.

    Guided by the prompts and away from the negative ones, both in one call of the UNet; at a guidance scale of 1 or
    less, which suits few-step models, the negative prompt is not asked.

    Args:
        scheduler: any of diffusers'; it is left as it was.
        images: (B,3,H,W) in 0..1.
        conditions, condition_scale: as `DiffusionModel.predict` takes them.
        strength: share of the noise schedule that is run again, 0..1.
        steps: of the whole schedule, so that ``int(steps * strength)`` are run, at least one.
        generators: one for each picture, on the CPU.
        batch: most pictures at once.

    Returns:
        (B,3,H,W) float32 in 0..1.

    Raises:
        UserError: the scheduler cannot start in the middle of its schedule, or a picture is no finite numbers.
    """
    parts = []
    for rows in torch.arange(len(images)).split(batch):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        denoised = _Edit(model, scheduler, list(generators[part]), strength, steps).run(
            images[part],
            prompts[part],
            None if conditions is None else conditions[part],
            condition_scale[part],
            guidance_scale,
        )
        parts.append(denoised)
    return torch.cat(parts)


class _Edit:
    """One batch on its way through the noise schedule; schedulers count their steps, so each batch has its own."""

    def __init__(
        self, model: DiffusionModel, scheduler: Any, generators: list[torch.Generator], strength: float, steps: int
    ) -> None:
        self.model = model
        self.scheduler = copy.deepcopy(scheduler)
        self.generators = generators
        self.timesteps = _timesteps(self.scheduler, steps, strength, model.device)
        takes = inspect.signature(self.scheduler.step).parameters
        self._options = {"generator": generators} if "generator" in takes else {}

    def run(
        self,
        images: Tensor,
        prompts: PromptBatch,
        conditions: Tensor | None,
        condition_scale: Tensor,
        guidance_scale: float,
    ) -> Tensor:
        model, count = self.model, len(images)
        shape = model.latent_shape(*images.shape[-2:])
        latents = model.encode(images, self._noise(shape))
        latents = self.scheduler.add_noise(latents, self._noise(shape), self.timesteps[:1].repeat(count))
        is_guided = guidance_scale > 1 and not model.guided_inside
        times = 2 if is_guided else 1
        embeds = torch.cat([prompts.negative, prompts.positive]) if is_guided else prompts.positive
        shown = None if conditions is None else conditions.repeat(times, 1, 1, 1)
        scale = condition_scale.repeat(times)
        for timestep in self.timesteps:
            scaled = self.scheduler.scale_model_input(latents, timestep).repeat(times, 1, 1, 1)
            answer = model.predict(scaled, timestep.repeat(len(scaled)), embeds, shown, scale, guidance_scale)
            if is_guided:
                negative, positive = answer.chunk(2)
                answer = negative + guidance_scale * (positive - negative)
            latents = self.scheduler.step(answer, timestep, latents, **self._options, return_dict=False)[0]
        edited = model.decode(latents)
        if not edited.isfinite().all():
            raise UserError("a picture that the diffusion model edited is no finite numbers; compute it in float32")
        if edited.shape != images.shape:
            edited = functional.interpolate(edited, images.shape[-2:], mode="bilinear", antialias=True)
        return edited

    def _noise(self, shape: tuple[int, int, int]) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g) for g in self.generators]).to(self.model.device)


def _timesteps(scheduler: Any, steps: int, strength: float, device: torch.device) -> Tensor:
    """The last part of the noise schedule, as diffusers' image-to-image pipelines take it."""
    if not hasattr(scheduler, "add_noise"):
        raise UserError(f"{type(scheduler).__name__} cannot start from a picture; DDIM, DPM++, Euler, LCM or PNDM can")
    kept = max(1, min(int(steps * strength), steps))
    if "strength" in inspect.signature(scheduler.set_timesteps).parameters:  # few-step schedulers choose by themselves
        scheduler.set_timesteps(kept, device=device, strength=strength)
        return scheduler.timesteps
    scheduler.set_timesteps(steps, device=device)
    first = (steps - kept) * getattr(scheduler, "order", 1)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:]


class Targets:
    """Pictures by number, each made once. What was read back equals what was made: both are of 8 bits a channel."""

    def __init__(self, folder: Path | None, batch: int) -> None:
        """
        Args:
            folder: where each picture is a file, whole or not there, so that a run that was killed goes on with what
                it has and processes that share the folder share the pictures; None keeps them in memory alone.
            batch: most pictures to make at once.
        """
        self._folder = folder
        self._batch = batch
        self._pictures: dict[int, Tensor] = {}

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those that are still to be made, once each, in order."""
        return [number for number in dict.fromkeys(numbers) if self._find(number) is None]

    def make(self, numbers: Iterable[int], make: Make) -> None:
        """Make those that are missing, in batches that are kept as soon as they are there.

        Raises `UserError` when the folder cannot be written, and whatever ``make`` raises.
        """
        missing = self.missing(numbers)
        for at in range(0, len(missing), self._batch):
            part = missing[at : at + self._batch]
            made = (make(part) * 255).round().clamp(0, 255).to("cpu", torch.uint8)
            for number, picture in zip(part, made, strict=True):
                self._keep(number, picture)

    def of(self, numbers: Sequence[int], make: Make) -> Tensor:
        """(B,3,H,W) float32 in 0..1, made where they are missing."""
        self.make(numbers, make)
        return torch.stack([self._pictures[number] for number in numbers]).float() / 255

    def _find(self, number: int) -> Tensor | None:
        """A picture from memory or from its file; one that cannot be read is as good as missing."""
        if number not in self._pictures and self._folder is not None:
            try:
                pixels = np.array(Image.open(self._file(self._folder, number)).convert("RGB"))
            except (OSError, ValueError, SyntaxError):  # the last is Pillow's for a PNG with a broken chunk
                return None
            self._pictures[number] = torch.from_numpy(pixels).permute(2, 0, 1)
        return self._pictures.get(number)

    def _keep(self, number: int, picture: Tensor) -> None:
        if self._folder is not None:
            with whole_file(self._file(self._folder, number), durable=False) as partial:
                image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
                image.save(partial, format="PNG", compress_level=1)
        self._pictures[number] = picture

    @staticmethod
    def _file(folder: Path, number: int) -> Path:
        return folder / f"{number:05}.png"
