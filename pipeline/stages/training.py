"""`Training`: everything of a phase that changes from step to step, and how it is stored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.densification import Change, Statistics, densify, prune
from pipeline.stages.initialization import trained_mask
from pipeline.stages.journal import State
from pipeline.stages.randomness import generator
from pipeline.stages.regularizers import Start
from pipeline.stages.splat_optimizer import SplatOptimizer

LEARNED = ("means", "quats", "log_scales", "opacity_logits", "sh")
"""Attributes of splats that are optimised."""
BOUND = ("face", "layer")
"""Attributes that they keep for life."""


class Training:
    """An avatar of its own on ``device``, its optimiser, and what densification has seen."""

    def __init__(
        self,
        avatar: SplatAvatar,
        phase: Phase,
        config: RefinementConfig,
        device: torch.device,
        state: State | None = None,
    ) -> None:
        """``state``: what `state` gave, to go on from there; of ``avatar`` only the rig counts then."""
        self.done = 0
        """Steps."""
        self._phase, self._config, self._device = phase, config, device
        self.optimizer = SplatOptimizer(config.learning_rates)
        self._take(avatar, attributes(avatar))
        self.start = Start(self.avatar.means.detach().clone(), self.avatar.log_scales.detach().clone())
        self.statistics = Statistics.empty(self.start.means)
        if state is not None:
            self._load(state)

    def take_gradients(self) -> dict[str, Tensor]:
        """What has come together in each attribute, by name, for the trained splats; 0 for the others."""
        gradients = {}
        for name in LEARNED:
            parameter = getattr(self.avatar, name)
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients[name] = gradient * self.trained.view(-1, *[1] * (gradient.dim() - 1))
            parameter.grad = None
        return gradients

    def step(self, gradients: dict[str, Tensor], norms: Tensor | None = None, radii: Tensor | None = None) -> None:
        """Move against gradients by name; ``norms`` and ``radii`` (views, N) are of the splats on screen."""
        if norms is not None and radii is not None:
            self.statistics.add(norms, radii, self._phase.densification.normalized)
        self.optimizer.step({name: getattr(self.avatar, name) for name in gradients}, gradients)
        self.done += 1

    @property
    def wants_statistics(self) -> bool:
        """Whether splats will still be added or removed after a later step."""
        densification = self._phase.densification
        return max((*densification.steps, *densification.prune_steps), default=0) > self.done

    def restructure(self, extent: float) -> None:
        """Add and remove splats if it is time to, in a scene of ``extent`` metres."""
        options = self._phase.densification
        adds, removes = self.done in options.steps, self.done in options.prune_steps
        if adds:
            draws = generator(self._config.seed, self._phase.name, self.done, "split")
            self._change(densify(self.avatar, self.statistics, options, self.trained, extent, draws))
        if removes:
            self._change(prune(self.avatar, self.statistics, options, self.trained, self.start.log_scales, extent))
        if adds or removes:
            self.statistics = Statistics.empty(self.start.means)

    def state(self) -> State:
        """A copy of everything that the next step depends on."""
        return {
            "phase": self._phase.name,
            "step": self.done,
            "avatar": attributes(self.avatar),
            "optimizer": self.optimizer.state(),
            "start": copies(vars(self.start)),
            "densification": copies(vars(self.statistics)),
        }

    def _load(self, state: State) -> None:
        self.done = state["step"]
        self._take(self.avatar, state["avatar"])
        self.optimizer.load(state["optimizer"], self._device)
        self.start = Start(**copies(state["start"], self._device))
        self.statistics = Statistics(**copies(state["densification"], self._device))

    def _take(self, avatar: SplatAvatar, values: dict[str, Tensor]) -> None:
        self.avatar = with_attributes(avatar, values).to(self._device)
        self.trained = trained_mask(self.avatar, self._phase.trained)

    def _change(self, change: Change) -> None:
        values = {name: change.rows(getattr(self.avatar, name).detach()) for name in (*LEARNED, *BOUND)}
        self._take(self.avatar, values | {"means": change.means, "log_scales": change.log_scales})
        self.optimizer.follow(change.momentum, LEARNED)
        self.start = Start(change.rows(self.start.means), change.rows(self.start.log_scales))
        self.statistics = Statistics(*(change.momentum(values) for values in vars(self.statistics).values()))


def attributes(avatar: SplatAvatar) -> dict[str, Tensor]:
    """A copy of the splats of an avatar, by name."""
    return copies({name: getattr(avatar, name) for name in (*LEARNED, *BOUND)})


def with_attributes(avatar: SplatAvatar, values: dict[str, Tensor]) -> SplatAvatar:
    """An avatar with other splats on the same rig."""
    config = avatar.config
    return SplatAvatar.from_parts(
        avatar.rig, **values, rasterize_mode=config["rasterize_mode"], sh_frame=config["sh_frame"]
    )


def copies(values: dict[str, Any], device: torch.device | None = None) -> dict[str, Tensor]:
    """Tensors of their own with the same numbers."""
    return {name: value.detach().to(device, copy=True) for name, value in values.items()}
