"""`fit`: the one loop that every phase of a refinement runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.errors import UserError
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.shot import View
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.drawing import Drawn, draw, pose_vertices
from pipeline.stages.journal import Journal, Progress, State
from pipeline.stages.motion_pool import motion_pool
from pipeline.stages.objectives import Distillation, Editing, Objective, frozen_start
from pipeline.stages.processes import main_answers, main_decides, own_share, summed
from pipeline.stages.regularizers import adaptive_penalties, headstudio_unit, position_penalty, scale_penalty
from pipeline.stages.sampling import ViewSampler
from pipeline.stages.training import Training

UNKNOWN_SHAPE = "The shape of this head is that of a portrait, or not known to a head model; it stays as it is."
LOSSES = ("guidance", "position", "scale")


@torch.enable_grad()
def fit(
    avatar: SplatAvatar,
    phase: Phase,
    guidance: Guidance,
    config: RefinementConfig,
    accelerator: Accelerator,
    journal: Journal,
    state: State | None = None,
) -> SplatAvatar:
    """Optimise the splats of ``avatar``, which stays as it is, by what the phase says.

    The views of a step are shared out among the accelerator's processes and their gradients summed, so that all take
    the same step; all draws come from the seed, the phase, the step and the view, so that how many processes there
    are, and where an earlier attempt was interrupted, makes no difference beyond rounding.

    Args:
        journal: that of the first process counts; what others have is not asked.
        state: of an earlier attempt at this phase, as the journal was given it; of ``avatar`` only the rig counts then.

    Raises:
        Interrupted: the journal asked to stop.
        UserError: a loss or a gradient is no finite number; what the journal has is the avatar of earlier steps.
    """
    if state is not None and state["step"] >= phase.steps:  # it was stopped at its end
        return Training(avatar, phase, config, accelerator.device, state).finished()
    return _Fit(avatar, phase, guidance, config, accelerator, journal, state).run()


class _Fit:
    def __init__(
        self,
        avatar: SplatAvatar,
        phase: Phase,
        guidance: Guidance,
        config: RefinementConfig,
        accelerator: Accelerator,
        journal: Journal,
        state: State | None,
    ) -> None:
        self.phase, self.config, self.accelerator, self.journal = phase, config, accelerator, journal
        self.training = Training(avatar, phase, config, accelerator.device, state)
        self.unit = headstudio_unit(avatar.rig)
        self.sampler = ViewSampler(avatar.rig, phase, config, motion_pool(avatar.rig, phase))
        if config.learning_rates.shape and not self.training.has_shape:
            main_decides(partial(journal.note, UNKNOWN_SHAPE), accelerator)
        self.objective: Objective
        if phase.method == "sdedit":
            folder = main_answers(lambda: journal.folder(phase.name), accelerator)
            start = frozen_start(self.training.avatar, folder, accelerator, state)
            self.objective = Editing(start, phase, guidance, config, self.sampler, folder, journal, accelerator)
        else:
            self.objective = Distillation(phase, guidance, config, self.sampler)

    def run(self) -> SplatAvatar:
        training = self.training
        while training.done < self.phase.steps:
            losses = self._step()
            training.restructure(self.sampler.extent)
            progress = Progress(self.phase.name, training.done, self.phase.steps, losses)
            main_decides(partial(self.journal.step, progress, training.avatar, self._state), self.accelerator)
        return training.finished()

    def _state(self) -> State:
        return self.training.state() | self.objective.state()

    def _step(self) -> dict[str, float]:
        """One step of the optimiser; the losses by name."""
        training = self.training
        numbers = own_share(self.phase.views, self.accelerator)
        drawn = self._draw(self.objective.views(training.done, numbers))
        losses = self._losses(drawn, numbers)
        if drawn:
            losses.sum().backward()
        gradients = training.take_gradients()
        seen = self._screens(drawn, numbers) if training.wants_statistics else []
        *sums, total = summed([*gradients.values(), *seen, losses.detach()], self.accelerator)
        gradients = dict(zip(gradients, sums, strict=False))
        figures = torch.stack([*total, *(gradient.abs().amax() for gradient in gradients.values())]).tolist()
        if not all(map(math.isfinite, figures)):
            raise UserError(
                f"phase {self.phase.name} came to a number that is not finite in step {training.done + 1}; lower the "
                "learning rates or the guidance scale, or compute in float32, and go on from the last checkpoint"
            )
        training.step(gradients, *sums[len(gradients) :])
        return dict(zip(LOSSES, figures, strict=False))

    def _draw(self, views: Sequence[View]) -> list[Drawn]:
        """All shots of the views; the places on screen keep their gradient while it is wanted."""
        if not views:
            return []
        vertices = pose_vertices(self.training.rig(), [view.pose for view in views])
        drawn = [
            draw(self.training.avatar, view, posed, self.config.background)
            for view, posed in zip(views, vertices, strict=True)
        ]
        if self.training.wants_statistics:
            for each in drawn:
                each.means2d.retain_grad()
        return drawn

    def _losses(self, drawn: Sequence[Drawn], numbers: Sequence[int]) -> Tensor:
        """This process's part of the `LOSSES`: sums over its views, divided by the views of the step."""
        if not drawn:
            return torch.zeros(len(LOSSES), device=self.accelerator.device)
        guidance = self.objective.loss(self.training.done, numbers, drawn)
        return torch.stack([guidance, *self._penalties(drawn)]) / self.phase.views

    def _penalties(self, drawn: Sequence[Drawn]) -> tuple[Tensor, Tensor]:
        """Of position and of scale, weighted, summed over the views."""
        phase, training = self.phase, self.training
        avatar = training.avatar
        if phase.regularizer == "area":
            corners = [each.vertices.index_select(0, avatar.rig.faces.flatten()).view(-1, 3, 3) for each in drawn]
            pairs = [
                adaptive_penalties(each.gaussians, avatar.face, posed, self.unit)
                for each, posed in zip(drawn, corners, strict=True)
            ]
            place, size = (torch.stack(parts).sum() for parts in zip(*pairs, strict=True))
        else:  # the same in every pose
            place = len(drawn) * position_penalty(avatar, training.start)
            size = len(drawn) * scale_penalty(avatar, training.start)
        position_weight = phase.position_weight if training.done >= phase.position_from else 0.0
        return position_weight * place, phase.scale_weight * size

    def _screens(self, drawn: Sequence[Drawn], numbers: Sequence[int]) -> list[Tensor]:
        """Gradient norms and radii on screen, (views, N) each, of all views of the step; 0 in those of others."""
        shape = (self.phase.views, len(self.training.avatar.means))
        norms, radii = (torch.zeros(shape, device=self.accelerator.device) for _ in range(2))
        for number, each in zip(numbers, drawn, strict=True):
            norms[number], radii[number] = each.screen(self.config.frame)
        return [norms, radii]
