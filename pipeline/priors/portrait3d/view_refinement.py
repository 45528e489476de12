"""Sharper views of a tri-grid, and the tri-grid fitted to them (Portrait3D, section 3.5)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from pipeline.camera import Camera
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.sdedit import Targets, edit
from pipeline.priors.portrait3d.cameras import sampled_camera
from pipeline.priors.portrait3d.config import VIEW_FIT, ViewRefinementConfig
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.level_training import LevelTraining
from pipeline.priors.portrait3d.pictures import shown, signed, unit
from pipeline.priors.portrait3d.rendering import PORTRAIT3D, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts
from pipeline.stages.journal import Journal, Progress
from pipeline.stages.randomness import generator

VIEWS = "refined views"
"""What a journal is told while they are made."""


def view_cameras(config: ViewRefinementConfig, seed: int) -> list[Camera]:
    """The views, from above to below, each row round the head."""
    cameras = []
    for row, level in enumerate(config.vertical):
        for column in range(config.horizontal):
            draw = torch.rand(1, generator=generator(seed, VIEW_FIT, "angle", row, column), dtype=torch.float64)
            around = config.horizontal_offset + 360.0 * column / config.horizontal
            jitter = config.vertical_jitter * (2 * float(draw) - 1)
            cameras.append(sampled_camera(around, level + jitter, config.size))
    return cameras


@torch.no_grad()
def refined_views(
    trigrid: TriGrid,
    painter: Painter,
    background: Tensor | None,
    cameras: Sequence[Camera],
    model: DiffusionModel,
    scheduler: Any,
    prompts: ViewPrompts,
    config: ViewRefinementConfig,
    journal: Journal,
) -> Tensor:
    """What the diffusion model makes of the views: (C, 3, H, W) in 0..1, of 8 bits a channel.

    Views are noised up to the config's timestep and denoised again by the last steps of DDIM, told the person alone.
    ``background`` (1, 32, h, w) is that of the generator. What is made is kept where the journal keeps it. Raises
    `Interrupted` between two batches when the journal asks to stop.
    """
    options = replace(PORTRAIT3D, coarse=config.view_samples, fine=config.view_samples)
    ddim = ddim_like(scheduler)
    strength = strength_of(ddim, config)

    def make(numbers: list[int]) -> Tensor:
        views = [
            render(trigrid, painter, cameras[number], options, background=background, draws=_rays(config, number)).image
            for number in numbers
        ]
        return edit(
            model,
            ddim,
            unit(torch.stack(views)).clamp(0, 1),
            prompts.plain(len(views)),
            None,
            torch.zeros(len(views)),
            strength=strength,
            steps=config.schedule,
            guidance_scale=config.guidance_scale,
            generators=[generator(config.edit_seed, VIEW_FIT, "edit", number) for number in numbers],
            batch=config.batch,
        )

    targets = Targets(journal.folder(VIEW_FIT), config.batch)
    missing = targets.missing(range(len(cameras)))
    for at in range(0, len(missing), config.batch):
        if at:
            journal.pause()
        journal.at(VIEWS, len(cameras) - len(missing) + at, len(cameras))
        targets.make(missing[at : at + config.batch], make)
    return targets.of(range(len(cameras)), make)


def ddim_like(scheduler: Any) -> Any:
    """DDIM with the noise of another scheduler and Stable Diffusion's own settings, which others need not have."""
    return DDIMScheduler.from_config(scheduler.config, clip_sample=False, set_alpha_to_one=False, steps_offset=1)


def strength_of(scheduler: Any, config: ViewRefinementConfig) -> float:
    """Share of the schedule's steps that lie at the config's timestep or below it; one step at least."""
    tried = copy.deepcopy(scheduler)  # it counts its steps
    tried.set_timesteps(config.schedule)
    return (int((tried.timesteps <= config.timestep).sum()) + 0.5) / config.schedule  # as `edit` rounds down


@torch.enable_grad()
def fit_views(
    trigrid: TriGrid,
    painter: Painter,
    cameras: Sequence[Camera],
    targets: Tensor,
    config: ViewRefinementConfig,
    journal: Journal,
    seed: int,
) -> TriGrid:
    """A tri-grid whose views are more like ``targets`` (C, 3, H, W) in 0..1 where it covers them.

    The coverage that weighs the differences carries no gradient here. In the published code it does, so that what
    differs may also vanish: a start that is far from the targets dissolves.

    Raises `Interrupted` when the journal asks to stop, and `UserError` when a gradient is no finite number.
    """
    device = next(painter.parameters()).device
    training = LevelTraining(trigrid, [config.learning_rate] * len(trigrid.levels), config.adan, device)
    found = journal.resume((VIEW_FIT,))
    if found is not None:
        training.load(found[1])
    options = replace(PORTRAIT3D, coarse=config.samples, fine=config.samples)
    steps = config.epochs * len(cameras)
    while training.done < steps:
        number, left, top = patch_of(config, len(cameras), seed, training.done)
        rows, columns = slice(top, top + config.patch), slice(left, left + config.patch)
        target = signed(targets[number][:, rows, columns].to(device))
        camera = cropped(cameras[number], left, top, config.patch)
        rays = generator(seed, VIEW_FIT, training.done, "rays")
        seen = render(training.trigrid(), painter, camera, options, draws=rays)
        loss = config.weight * ((seen.image - target).square() * seen.mask.detach()).mean()
        training.step(loss)
        journal.step(
            Progress(VIEW_FIT, training.done, steps, {"views": float(loss.detach())}), shown(seen.image), training.state
        )
    return TriGrid(tuple(training.levels()), training.trigrid().ws)


def patch_of(config: ViewRefinementConfig, views: int, seed: int, step: int) -> tuple[int, int, int]:
    """The view that a step looks at, each once in an epoch, and the left and top pixel of its patch."""
    epoch, place = divmod(step, views)
    number = int(torch.randperm(views, generator=generator(seed, VIEW_FIT, "order", epoch))[place])
    room = config.size - config.patch + 1
    left, top = torch.randint(0, room, (2,), generator=generator(seed, VIEW_FIT, step, "patch")).tolist()
    return number, left, top


def cropped(camera: Camera, left: int, top: int, size: int) -> Camera:
    """The camera that sees ``size``² pixels of another's picture alone."""
    shift = torch.tensor([[0.0, 0.0, left], [0.0, 0.0, top], [0.0, 0.0, 0.0]])
    return Camera(camera.viewmat, camera.K - shift, size, size)


def _rays(config: ViewRefinementConfig, number: int) -> torch.Generator:
    return generator(config.edit_seed, VIEW_FIT, "rays", number)
