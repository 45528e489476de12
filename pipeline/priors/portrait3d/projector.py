"""Latents and noise with which a generator shows a given picture: the projector of StyleGAN2.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), appendix D, with a latent for each
layer of its own, as Portrait3D runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from pipeline.errors import UserError
from pipeline.priors.portrait3d.config import INVERSION, InversionConfig
from pipeline.priors.portrait3d.pictures import shown, unit
from pipeline.stages.appearance import Compare
from pipeline.stages.journal import Journal, Progress, State
from pipeline.stages.randomness import generator

SMALLEST_NOISE = 8
"""Rows of the last noise image of the pyramid whose neighbours are compared."""

Synthesis = Callable[[Tensor, Sequence[Tensor], torch.Generator], Tensor]
"""Latents (1, L, W), noise images (R, R) and draws for the samples of rays → picture (3, H, W) in -1..1."""


@dataclass(frozen=True)
class Projected:
    """What shows the picture."""

    ws: Tensor
    """(1, L, W), one latent for each layer."""
    noises: tuple[Tensor, ...]
    """(R, R) each, of mean 0 and deviation 1."""


@dataclass(frozen=True)
class Spread:
    """Where a generator's latents lie."""

    mean: Tensor
    """(1, L, W), alike in all layers."""
    deviation: float
    """Root of the summed variances: how far they lie from the mean."""

    @classmethod
    def of(cls, ws: Tensor) -> Spread:
        """Of latents (B, L, W), alike in all layers."""
        mean = ws.mean(0, keepdim=True)
        distances = (ws[:, :1] - mean[:, :1]).square().sum()
        return cls(mean, float((distances / len(ws)).sqrt()))


@torch.enable_grad()
def project(
    synthesis: Synthesis,
    target: Tensor,
    spread: Spread,
    noises: Sequence[Tensor],
    compare: Compare,
    config: InversionConfig,
    journal: Journal,
    seed: int,
) -> Projected:
    """Latents and noise images that show ``target`` (3, H, W), -1..1.

    ``noises`` are only looked at for their sizes and their place; they begin as draws of the seed. Raises `Interrupted`
    when the journal asks to stop, and `UserError` when the loss is no finite number.
    """
    found = journal.resume((INVERSION,))
    projection = _Projection(synthesis, target, spread, noises, compare, config, seed)
    if found is not None:
        projection.load(found[1])
    return projection.run(journal)


class _Projection:
    def __init__(
        self,
        synthesis: Synthesis,
        target: Tensor,
        spread: Spread,
        noises: Sequence[Tensor],
        compare: Compare,
        config: InversionConfig,
        seed: int,
    ) -> None:
        self.done = 0
        self._synthesis, self._compare, self._config, self._seed = synthesis, compare, config, seed
        self._deviation = spread.deviation
        self._target = _compared(target, config.compared_size)
        draws = generator(seed, INVERSION, "noise")
        self._ws = spread.mean.detach().clone().requires_grad_()
        self._noises = [torch.randn(noise.shape, generator=draws).to(noise).requires_grad_() for noise in noises]
        self._optimizer = torch.optim.Adam([self._ws, *self._noises], betas=config.betas)

    def run(self, journal: Journal) -> Projected:
        config = self._config
        while self.done < config.steps:
            losses, picture = self._step()
            journal.step(Progress(INVERSION, self.done, config.steps, losses), shown(picture), self._state)
        return Projected(self._ws.detach(), tuple(noise.detach() for noise in self._noises))

    def load(self, state: State) -> None:
        self.done = state["step"]
        for parameter, values, moments in zip(self._parameters, state["values"], state["moments"], strict=True):
            with torch.no_grad():
                parameter.copy_(values)
            self._optimizer.state[parameter] = {
                name: moment.clone() if name == "step" else moment.to(parameter, copy=True)
                for name, moment in moments.items()
            }

    @property
    def _parameters(self) -> list[Tensor]:
        return [self._ws, *self._noises]

    def _state(self) -> State:
        parameters = self._parameters
        return {
            "step": self.done,
            "values": [parameter.detach().clone() for parameter in parameters],
            "moments": [
                {name: moment.clone() for name, moment in self._optimizer.state[parameter].items()}
                for parameter in parameters
            ],
        }

    def _step(self) -> tuple[dict[str, float], Tensor]:
        config, share = self._config, self.done / self._config.steps
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * ramp(share, config.ramp_up, config.ramp_down)
        strength = self._deviation * config.latent_noise * noise_share(share, config.latent_noise_until)
        jitter = torch.randn(self._ws.shape, generator=generator(self._seed, INVERSION, self.done, "latents"))
        ws = self._ws + strength * jitter.to(self._ws)
        picture = self._synthesis(ws, self._noises, generator(self._seed, INVERSION, self.done, "rays"))
        distance = self._compare(_compared(picture, config.compared_size), self._target).sum()
        correlation = autocorrelation(self._noises)
        loss = distance + config.noise_weight * correlation
        if not math.isfinite(float(loss.detach())):
            raise UserError(
                f"the inversion's loss is not finite in step {self.done + 1}; lower inversion.learning_rate"
            )
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        _renormalise(self._noises)
        self.done += 1
        return {"perceptual": float(distance.detach()), "noise": float(correlation.detach())}, picture.detach()


def ramp(share: float, up: float, down: float) -> float:
    """The learning rate's part of its peak after a share 0..1 of the steps: up in a line, down as a cosine."""
    falling = min(1.0, (1.0 - share) / down) if down else 1.0
    rising = min(1.0, share / up) if up else 1.0
    return (0.5 - 0.5 * math.cos(math.pi * falling)) * rising


def noise_share(share: float, until: float) -> float:
    """Of the latents' noise, what is left after a share 0..1 of the steps."""
    return max(0.0, 1.0 - share / until) ** 2 if until else 0.0


def autocorrelation(noises: Sequence[Tensor]) -> Tensor:
    """Sum over noise images (R, R) and their halvings of the squared mean products of neighbours, round the border.

    Equation of appendix D: without it the noise would hold the picture.
    """
    total = noises[0].new_zeros(())
    for noise in noises:
        image = noise[None, None]
        while True:
            for dim in (2, 3):
                total = total + (image * image.roll(1, dim)).mean().square()
            if image.shape[-1] <= SMALLEST_NOISE:
                break
            image = avg_pool2d(image, 2)
    return total


@torch.no_grad()
def _renormalise(noises: Sequence[Tensor]) -> None:
    for noise in noises:
        noise -= noise.mean()
        noise *= noise.square().mean().rsqrt()


def _compared(picture: Tensor, size: int) -> Tensor:
    """(1, 3, size, size) in 0..1 of a picture (3, H, W) in -1..1; larger ones are averaged, smaller ones stay."""
    small = picture[None]
    if picture.shape[-1] > size:
        small = interpolate(small, (size, size), mode="area")
    return unit(small)
