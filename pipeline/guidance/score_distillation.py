"""Losses that pull latents towards what a diffusion model expects: interval score matching and its relatives.

Each is a function of the model and a `Step` with the gradient of its paper, for a whole batch of crops: one row's
gradient is the same whatever the others are. They are sums over everything, so that a step of several views divides by
their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.prompts import PromptBatch

INTERVAL, WARM_INTERVAL = 50, 50
"""Of interval score matching, in timesteps: the interval, and what it is longer at first."""
INVERSION_STRIDE = 50
"""Timesteps of one step of the inversion that leads to the interval's start."""
CLEAN_TIMESTEP = 200
"""Below it HeadStudio takes the noise that an empty prompt sees for the direction to the domain of pictures."""


@dataclass(frozen=True)
class Step:
    """What one step of a distillation looks at; B crops."""

    latents: Tensor
    """(B,C,h,w) float32, with gradient."""
    prompts: PromptBatch
    conditions: Tensor | None
    """(B,K,H,W) in 0..1."""
    condition_scale: Tensor
    """(B,) weight of the ControlNet in each row, 0 where it sees nothing."""
    noise: Tensor
    """(B,C,h,w) standard normal."""
    timesteps: Tensor
    """(B,) whole numbers."""
    guidance_scale: float
    interval: int = INTERVAL
    """Timesteps between the two noises that `ism` compares."""
    weight: Tensor | None = None
    """(B,1,h,w) in 0..1: 0 where another crop guides better."""
    inversions: int = 3
    """Steps of the inversion of `ism`; 3 is the paper's."""


Distillation = Callable[[DiffusionModel, Step], Tensor]


def ism(model: DiffusionModel, step: Step) -> Tensor:
    """Interval score matching (Liang et al. 2024, LucidDreamer, equation 17) as AnimPortrait3D runs it.

    The latents are inverted to timestep s = t - Δ, and from there in one step to t, always with the empty prompt and
    the condition (`_invert`). The gradient is sqrt((1 - ᾱ_t)/ᾱ_t) (ε̂(z_t) - ε(z_s)), ε̂ being guided by the prompt and
    away from the negative one. Δ is the step's interval. At most five calls of the UNet, fewer for small t, where the
    inversion is shorter.

    Raises `ValueError` when the rows have different timesteps: the number of steps would differ.
    """
    t = int(step.timesteps[0])
    if (step.timesteps != t).any():
        raise ValueError(f"interval score matching takes one timestep for all crops, not {step.timesteps.tolist()}")
    s = max(t - step.interval, 0)
    with torch.no_grad():
        start = max(s - INVERSION_STRIDE * step.inversions, 0)
        noisy = model.add_noise(step.latents.detach(), step.noise, _all_rows(step, start))
        for now in range(start, s, INVERSION_STRIDE):
            noisy, _ = _invert(model, step, noisy, now, min(now + INVERSION_STRIDE, s))
        noisy, seen = _invert(model, step, noisy, s, t)
        negative, positive = _predict(model, step, noisy, step.timesteps, ("negative", "positive"))
        signal, spread = model.schedule(step.timesteps)
        gradient = spread / signal * (negative + step.guidance_scale * (positive - negative) - seen)
    return _with_gradient(step, gradient)


def interval(index: int, warm_steps: int) -> int:
    """Timesteps Δ between the two noises that `ism` compares after ``index`` steps: 100 at first, 50 after
    ``warm_steps``, 400 as published."""
    return INTERVAL + math.ceil(WARM_INTERVAL * (1 - min(index / max(warm_steps, 1), 1)))


def sds(model: DiffusionModel, step: Step) -> Tensor:
    """Score distillation sampling: gradient (1 - ᾱ_t)(ε̂ - ε) (Poole et al. 2023, DreamFusion, equation 3).

    ε̂ = ε_null + s (ε_text - ε_null), as there: the negative prompt has no part in it.
    """
    with torch.no_grad():
        noisy = model.add_noise(step.latents.detach(), step.noise, step.timesteps)
        text, null = _predict(model, step, noisy, step.timesteps, ("positive", "null"))
        noise = step.noise.to(text)
        gradient = _power(model, step) * (null + step.guidance_scale * (text - null) - noise)
    return _with_gradient(step, gradient)


def dsd(model: DiffusionModel, step: Step) -> Tensor:
    """Denoised score distillation of HeadStudio (Zhou et al. 2024), after noise-free score distillation.

    Gradient (1 - ᾱ_t)(δ_C + δ_D) with δ_C = s (ε_text - ε_null), and δ_D = ε_null for t < 200, else ε_null - ε_negative
    (Katzir et al. 2024, section 4). That is what HeadStudio's published commands run and the paper names; an option of
    its code that they leave off takes 2 ε_null - ε_negative.
    """
    with torch.no_grad():
        noisy = model.add_noise(step.latents.detach(), step.noise, step.timesteps)
        text, null, negative = _predict(model, step, noisy, step.timesteps, ("positive", "null", "negative"))
        is_clean = (step.timesteps.to(model.device) < CLEAN_TIMESTEP).view(-1, 1, 1, 1)
        domain = torch.where(is_clean, null, null - negative)
        gradient = _power(model, step) * (step.guidance_scale * (text - null) + domain)
    return _with_gradient(step, gradient)


DISTILLATIONS: dict[str, Distillation] = {"ism": ism, "sds": sds, "dsd": dsd}


def _invert(model: DiffusionModel, step: Step, noisy: Tensor, now: int, then: int) -> tuple[Tensor, Tensor]:
    """Noisy latents at a later timestep, and the noise that the model sees at the earlier one.

    The deterministic step of DDIM backwards in time (Song et al. 2021, equation 12 with σ = 0 read from left to right):
    z_then = sqrt(ᾱ_then) (z_now - sqrt(1 - ᾱ_now) ε) / sqrt(ᾱ_now) + sqrt(1 - ᾱ_then) ε, with ε = ε(z_now, now).
    """
    (seen,) = _predict(model, step, noisy, _all_rows(step, now), ("null",))
    signal, spread = model.schedule(torch.tensor([now]))
    signal_then, spread_then = model.schedule(torch.tensor([then]))
    return signal_then * (noisy - spread * seen) / signal + spread_then * seen, seen


def _predict(
    model: DiffusionModel, step: Step, noisy: Tensor, timesteps: Tensor, texts: tuple[str, ...]
) -> tuple[Tensor, ...]:
    """The noise seen with each of the step's texts, all in one call of the UNet."""
    times = len(texts)
    predicted = model.predict_noise(
        noisy.repeat(times, 1, 1, 1),
        timesteps.repeat(times),
        torch.cat([getattr(step.prompts, text) for text in texts]),
        None if step.conditions is None else step.conditions.repeat(times, 1, 1, 1),
        step.condition_scale.repeat(times),
    )
    return predicted.chunk(times)


def _power(model: DiffusionModel, step: Step) -> Tensor:
    """1 - ᾱ_t (B,1,1,1)."""
    return model.schedule(step.timesteps)[1].square()


def _all_rows(step: Step, timestep: int) -> Tensor:
    return torch.full((len(step.latents),), timestep)


def _with_gradient(step: Step, gradient: Tensor) -> Tensor:
    """0.5 ‖z - sg(z - g)‖², whose gradient in the latents z is g."""
    if step.weight is not None:
        gradient = gradient * step.weight.to(gradient)
    target = step.latents.detach() - gradient
    return 0.5 * (step.latents - target).square().sum()
