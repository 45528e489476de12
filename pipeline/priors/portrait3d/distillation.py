"""A tri-grid pulled towards its sentence: score distillation of views from all around (Portrait3D, section 3.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pipeline.camera import Camera
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.score_distillation import Step, sds
from pipeline.priors.portrait3d.cameras import EXTENT, focal_of_fov
from pipeline.priors.portrait3d.config import DISTILLATION, DistillationConfig
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.level_training import LevelTraining
from pipeline.priors.portrait3d.pictures import shown, unit
from pipeline.priors.portrait3d.rendering import PORTRAIT3D, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts
from pipeline.stages.cameras import Orbit
from pipeline.stages.journal import Journal, Progress, State
from pipeline.stages.randomness import generator

WARM_UPDATES = 9
"""The running mean keeps no more than (n + 1) / (n + 1 + 9) at its n-th update, so that the start is soon forgotten:
torch_ema's default, without which a third of the result would be the start."""


@dataclass(frozen=True)
class Draws:
    """What one step looks at."""

    azimuth: float
    """Degrees from the front towards the subject's left."""
    polar: float
    """Degrees from straight up."""
    timestep: int
    posterior: Tensor
    """(1, C, h, w) the VAE's noise."""
    noise: Tensor
    """(1, C, h, w) the noise that is to be seen."""


@torch.enable_grad()
def distill(
    trigrid: TriGrid,
    painter: Painter,
    model: DiffusionModel,
    prompts: ViewPrompts,
    config: DistillationConfig,
    journal: Journal,
    seed: int,
) -> TriGrid:
    """Optimise the levels of ``trigrid``, which stays as it is; the running mean of them is the result.

    ``painter`` is on the model's device and frozen. Raises `Interrupted` when the journal asks to stop, and `UserError`
    when a gradient is no finite number.
    """
    found = journal.resume((DISTILLATION,))
    distillation = _Distillation(trigrid, painter, model, prompts, config, seed)
    if found is not None:
        distillation.load(found[1])
    return distillation.run(journal)


class _Distillation:
    def __init__(
        self,
        trigrid: TriGrid,
        painter: Painter,
        model: DiffusionModel,
        prompts: ViewPrompts,
        config: DistillationConfig,
        seed: int,
    ) -> None:
        self.training = LevelTraining(trigrid, config.learning_rates, config.adan, model.device)
        self.mean = self.training.levels()
        self.updates = 0
        self._painter, self._model, self._prompts, self._config = painter, model, prompts, config
        self._seed = seed
        self._options = replace(PORTRAIT3D, coarse=config.samples, fine=config.samples)

    def run(self, journal: Journal) -> TriGrid:
        training, steps = self.training, self._config.steps
        while training.done < steps:
            losses, picture = self._step()
            if training.done % self._config.ema_every == 0 or training.done == steps:
                self._update_mean()
            journal.step(Progress(DISTILLATION, training.done, steps, losses), shown(picture), self._state)
        return TriGrid(tuple(self.mean), training.trigrid().ws)

    def load(self, state: State) -> None:
        self.training.load(state)
        self.updates = state["updates"]
        for own, values in zip(self.mean, state["mean"], strict=True):
            own.copy_(values)

    def _state(self) -> State:
        return self.training.state() | {"updates": self.updates, "mean": [level.clone() for level in self.mean]}

    def _step(self) -> tuple[dict[str, float], Tensor]:
        config, model, done = self._config, self._model, self.training.done
        drawn = draws_of(config, model.latent_shape(config.encoded_size, config.encoded_size), self._seed, done)
        camera = camera_of(config, drawn.azimuth, drawn.polar)
        rays = generator(self._seed, DISTILLATION, done, "rays")
        seen = render(self.training.trigrid(), self._painter, camera, self._options, draws=rays)
        large = interpolate(unit(seen.image)[None], (config.encoded_size,) * 2, mode="bilinear")
        latents = model.encode(large, drawn.posterior)
        latents.register_hook(torch.nan_to_num)  # 16 bits overflow now and then, which must not end a run
        step = Step(
            latents,
            self._prompts.seen_from(drawn.azimuth),
            None,
            torch.zeros(1),
            drawn.noise.to(model.device),
            torch.tensor([drawn.timestep]),
            config.guidance_scale,
        )
        guidance = sds(model, step).nan_to_num()
        assert seen.entropy is not None  # `render` always tells it
        entropy = seen.entropy.mean()
        self.training.step(guidance + entropy_weight(config, done) * entropy)
        return {"guidance": float(guidance.detach()), "entropy": float(entropy.detach())}, seen.image.detach()

    def _update_mean(self) -> None:
        self.updates += 1
        kept = min(self._config.ema, (1 + self.updates) / (1 + self.updates + WARM_UPDATES))
        for own, level in zip(self.mean, self.training.levels(), strict=True):
            own.lerp_(level, 1 - kept)


def draws_of(config: DistillationConfig, latent_shape: tuple[int, int, int], seed: int, step: int) -> Draws:
    """What a step looks at, by the seed and its number alone."""
    draws = generator(seed, DISTILLATION, step)
    around, down = torch.rand(2, generator=draws, dtype=torch.float64).tolist()
    lowest, highest = config.timesteps
    return Draws(
        azimuth=_between(config.azimuth, around),
        polar=_between(config.polar, down),
        timestep=int(torch.randint(lowest, highest + 1, (1,), generator=draws)),
        posterior=torch.randn(1, *latent_shape, generator=draws),
        noise=torch.randn(1, *latent_shape, generator=draws),
    )


def camera_of(config: DistillationConfig, azimuth: float, polar: float) -> Camera:
    """The view from ``azimuth`` degrees beside the front and ``polar`` degrees from straight up."""
    fov = math.degrees(2 * math.atan(0.5 / focal_of_fov(config.fov)))
    orbit = Orbit(torch.zeros(3), torch.tensor([0.0, config.pivot, 0.0]), config.radius, fov, EXTENT)
    return orbit.camera(90.0 + azimuth, polar, config.size)


def entropy_weight(config: DistillationConfig, step: int) -> float:
    """Of the entropy of the samples' weights: it rises linearly in the first half of the steps."""
    return config.entropy_weight * min(1.0, 2 * step / config.steps)


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
