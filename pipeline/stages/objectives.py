"""What a phase pulls at: what a diffusion model says of the current pictures, or pictures that it has edited."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.files import reading, whole_file
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.score_distillation import DISTILLATIONS, Step, interval
from pipeline.guidance.sdedit import Targets, edit
from pipeline.guidance.shot import View
from pipeline.stages.appearance import photometric_loss
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.drawing import Drawn, conditions_of, draw, pose_vertices, uncovered
from pipeline.stages.journal import Journal, State
from pipeline.stages.processes import main_decides, own_share
from pipeline.stages.randomness import generator
from pipeline.stages.sampling import ViewSampler
from pipeline.stages.training import attributes, with_attributes

FROZEN = "frozen"
"""In the state of a phase that keeps no folder: the splats that it began with."""
FROZEN_FILE = "start.safetensors"
"""The same in a folder."""


class Objective(Protocol):
    """Which views a step looks at, and what is lost in them."""

    def views(self, step: int, numbers: Sequence[int]) -> list[View]:
        """Those of the step's views that have these numbers."""

    def loss(self, step: int, numbers: Sequence[int], drawn: Sequence[Drawn]) -> Tensor:
        """One number: the sum over the views."""

    def state(self) -> State:
        """What an interrupted phase needs besides its avatar and optimiser."""


class Distillation:
    """Fresh views at every step, all of whose shots go through the diffusion model in one call."""

    def __init__(self, phase: Phase, guidance: Guidance, config: RefinementConfig, sampler: ViewSampler) -> None:
        self._phase, self._guidance, self._config, self._sampler = phase, guidance, config, sampler
        self._distill = DISTILLATIONS[phase.method]

    def views(self, step: int, numbers: Sequence[int]) -> list[View]:
        return self._sampler.views(step, numbers)

    def loss(self, step: int, numbers: Sequence[int], drawn: Sequence[Drawn]) -> Tensor:
        phase, guidance = self._phase, self._guidance
        model = guidance.model
        views = [each.view for each in drawn]
        shots = [shot for view in views for shot in view.shots]
        images = torch.cat([each.images for each in drawn])
        vertices = torch.stack([each.vertices.detach() for each in drawn])
        conditions, scale = conditions_of(views, vertices, guidance.condition, phase.condition_scale)
        shape = model.latent_shape(*images.shape[-2:])
        draws = [self._draws(step, number, len(view.shots), shape) for number, view in zip(numbers, views, strict=True)]
        posterior, noise, timesteps = (torch.cat(parts) for parts in zip(*draws, strict=True))
        return self._distill(
            model,
            Step(
                latents=model.encode(images, posterior),
                prompts=guidance.prompts.batch(shots, phase.negative, phase.named_views),
                conditions=conditions,
                condition_scale=scale,
                noise=noise.to(model.device),
                timesteps=timesteps,
                guidance_scale=phase.guidance_scale,
                interval=interval(step, phase.warm_steps),
                weight=uncovered(shots, *shape[1:], model.device),
                inversions=phase.inversions,
            ),
        ).to(images.device)

    def state(self) -> State:
        return {}

    def _draws(self, step: int, view: int, shots: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Noise of the VAE and of the diffusion (shots, C, h, w) and timesteps (shots,) of one view."""
        draws = generator(self._config.seed, self._phase.name, step, view, "noise")
        posterior, noise = (torch.randn(shots, *shape, generator=draws) for _ in range(2))
        return posterior, noise, timesteps_of(self._phase, step, shots, draws)


class Editing:
    """Views from a pool, whose shots of the frozen start were edited ahead."""

    def __init__(
        self,
        start: SplatAvatar,
        phase: Phase,
        guidance: Guidance,
        config: RefinementConfig,
        sampler: ViewSampler,
        folder: Path | None,
        journal: Journal,
        accelerator: Accelerator,
    ) -> None:
        """``folder``: where targets are kept and processes share them; in memory, each makes all, when None."""
        self._start, self._phase, self._guidance, self._config = start, phase, guidance, config
        self._pool = [
            sampler.view(generator(config.seed, phase.name, "pool", number), number, config.edit_pool)
            for number in range(config.edit_pool)
        ]
        self._first = torch.tensor([0] + [len(view.shots) for view in self._pool]).cumsum(0).tolist()
        self._in_folder = folder is not None
        self._targets = Targets(folder, config.batch)
        note = journal.note if accelerator.is_main_process else lambda sentence: None
        self._compare = photometric_loss(phase.photometric, accelerator.device, note)
        self._prepare(journal, accelerator)

    def views(self, step: int, numbers: Sequence[int]) -> list[View]:
        return [self._pool[self._member(step, number)] for number in numbers]

    def loss(self, step: int, numbers: Sequence[int], drawn: Sequence[Drawn]) -> Tensor:
        total = drawn[0].images.new_zeros(())
        for number, each in zip(numbers, drawn, strict=True):
            member = self._member(step, number)
            targets = self._targets.of(range(self._first[member], self._first[member + 1]), self._edited)
            _, _, height, width = each.images.shape
            seen = uncovered(each.view.shots, height, width, each.images.device) > 0
            wanted = torch.where(seen, targets.to(each.images.device), each.images.detach())
            total = total + self._compare(each.images, wanted).sum()
        return total

    def state(self) -> State:
        return {} if self._in_folder else {FROZEN: attributes(self._start)}

    def _member(self, step: int, number: int) -> int:
        draws = generator(self._config.seed, self._phase.name, step, number)
        return int(torch.randint(len(self._pool), (), generator=draws))

    def _prepare(self, journal: Journal, accelerator: Accelerator) -> None:
        """Make the targets, each process its share where all can read what the others have made."""
        accelerator.wait_for_everyone()
        missing = self._targets.missing(range(self._first[-1]))
        accelerator.wait_for_everyone()
        round_size = self._config.batch * (accelerator.num_processes if self._in_folder else 1)
        for at in range(0, len(missing), round_size):
            part = missing[at : at + round_size]
            own = [part[index] for index in own_share(len(part), accelerator)] if self._in_folder else part
            self._targets.make(own, self._edited)
            main_decides(journal.pause, accelerator)
        accelerator.wait_for_everyone()

    @torch.no_grad()
    def _edited(self, numbers: Sequence[int]) -> Tensor:
        """Shots of the start by number, edited: (B, 3, H, W)."""
        phase, guidance, config = self._phase, self._guidance, self._config
        views = [self._view_of(number) for number in numbers]
        vertices = pose_vertices(self._start.rig, [view.pose for view in views])
        images = [draw(self._start, *each, config.background).images for each in zip(views, vertices, strict=True)]
        conditions, scale = conditions_of(views, vertices, guidance.condition, phase.condition_scale)
        return edit(
            guidance.model, guidance.scheduler, torch.cat(images),
            guidance.prompts.batch([view.shots[0] for view in views], phase.negative, phase.named_views),
            conditions, scale, strength=phase.strength, steps=phase.edit_steps, guidance_scale=phase.guidance_scale,
            generators=[generator(config.seed, phase.name, "edit", number) for number in numbers], batch=config.batch,
        )  # fmt: skip

    def _view_of(self, number: int) -> View:
        """One shot of the pool as a view of its own."""
        member = bisect_right(self._first, number) - 1
        view = self._pool[member]
        return View(view.pose, (view.shots[number - self._first[member]],))


def timesteps_of(phase: Phase, step: int, shots: int, draws: torch.Generator) -> Tensor:
    """(shots,) timesteps of a step: ``ism`` goes down in equal steps, the same for all; others draw for each shot."""
    if phase.method == "ism":
        first, last = phase.timesteps
        share = step / max(1, phase.steps - 1)
        return torch.full((shots,), round(first + (last - first) * share))
    is_late = phase.late_timesteps is not None and step >= phase.late_from
    bounds = phase.late_timesteps if is_late and phase.late_timesteps else phase.timesteps
    return torch.randint(min(bounds), max(bounds) + 1, (shots,), generator=draws)


def frozen_start(
    avatar: SplatAvatar, folder: Path | None, accelerator: Accelerator, state: State | None
) -> SplatAvatar:
    """The avatar that an editing phase began with: ``avatar`` itself at the first attempt, kept for later ones."""
    if folder is None:
        return with_attributes(avatar, attributes(avatar) if state is None else state[FROZEN]).to(avatar.device)
    file = folder / FROZEN_FILE

    def keep() -> None:
        if not file.exists():
            with whole_file(file) as partial:
                save_file(attributes(avatar), partial)

    main_decides(keep, accelerator)
    with reading(file):
        return with_attributes(avatar, load_file(file)).to(avatar.device)
