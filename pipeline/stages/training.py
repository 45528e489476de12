"""`Training`: everything of a phase that changes from step to step, and how it is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.heads.rig import Rig
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.densification import Change, Statistics, densify, prune
from pipeline.stages.journal import State
from pipeline.stages.learnable_shape import LearnableShape, learnable_shape
from pipeline.stages.randomness import generator
from pipeline.stages.regularizers import Start
from pipeline.stages.splat_optimizer import SplatOptimizer
from pipeline.stages.super_dense import trained_mask

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
        self._shape = self._learnable_shape()
        self._coefficients = torch.zeros(0 if self._shape is None else self._shape.count, device=device)
        self.start = Start(self.avatar.means.detach().clone(), self.avatar.log_scales.detach().clone())
        self.statistics = Statistics.empty(self.start.means)
        if state is not None:
            self._load(state)

    @property
    def has_shape(self) -> bool:
        """Whether the shape of the head can be learned in this phase."""
        return self._shape is not None

    @property
    def learns_shape(self) -> bool:
        """Whether the next step changes the shape of the head."""
        return self._shape is not None and self.done < self._config.shape_until

    def rig(self) -> Rig:
        """The rig of the next step, differentiable in the coefficients of its shape while they are learned."""
        if self._shape is None or not self.learns_shape:
            return self.avatar.rig
        return self._shape.rig(self._coefficients.requires_grad_())

    def finished(self) -> SplatAvatar:
        """The avatar; where its shape was learned, on the rig that the head model makes of that shape."""
        if self._shape is None:
            return self.avatar
        baked = self._shape.baked(self._coefficients)
        return with_attributes(self.avatar, attributes(self.avatar), baked).to(self._device)

    def take_gradients(self) -> dict[str, Tensor]:
        """What has come together in each attribute, by name, for the trained splats; 0 for the others."""
        gradients = {}
        for name in LEARNED:
            parameter = getattr(self.avatar, name)
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients[name] = gradient * self.trained.view(-1, *[1] * (gradient.dim() - 1))
            parameter.grad = None
        if self.learns_shape:
            learned = self._coefficients.grad
            gradients["shape"] = torch.zeros_like(self._coefficients) if learned is None else learned
            self._coefficients = self._coefficients.detach()
        return gradients

    def step(self, gradients: dict[str, Tensor], norms: Tensor | None = None, radii: Tensor | None = None) -> None:
        """Move against gradients by name; ``norms`` and ``radii`` (views, N) are of the splats on screen."""
        if norms is not None and radii is not None:
            self.statistics.add(norms, radii, self._phase.densification.normalized)
        parameters = {name: getattr(self.avatar, name) for name in LEARNED}
        self.optimizer.step(parameters | {"shape": self._coefficients}, gradients)
        self._move_rig()
        self.done += 1

    @property
    def wants_statistics(self) -> bool:
        """Whether splats will still be added after a later step."""
        return max(self._phase.densification.steps, default=0) > self.done

    def restructure(self, extent: float) -> None:
        """Add and remove splats if it is time to, in a scene of ``extent`` metres."""
        options = self._phase.densification
        adds, removes = self.done in options.steps, self.done in options.prune_steps
        if adds:
            draws = generator(self._config.seed, self._phase.name, self.done, "split")
            self._change(densify(self.avatar, self.statistics, options, self.trained, extent, draws))
        if removes:
            seen = self.statistics if adds else None
            self._change(prune(self.avatar, seen, options, self.trained, self.start.log_scales, extent))
        if adds:
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
            "shape": self._coefficients.detach().clone(),
        }

    def _load(self, state: State) -> None:
        self.done = state["step"]
        self._take(self.avatar, state["avatar"])
        self.optimizer.load(state["optimizer"], self._device)
        self.start = Start(**copies(state["start"], self._device))
        self.statistics = Statistics(**copies(state["densification"], self._device))

        self._coefficients = state["shape"].to(self._device, copy=True)
        self._move_rig()

    def _learnable_shape(self) -> LearnableShape | None:
        if not self._config.learning_rates.shape:
            return None
        rig = self.avatar.rig  # its places are overwritten as they move
        return learnable_shape(replace(rig, vertices=rig.vertices.clone(), joints=rig.joints.clone()))

    @torch.no_grad()
    def _move_rig(self) -> None:
        """Put the avatar on the shape as it is now."""
        if self._shape is not None:
            moved = self._shape.rig(self._coefficients)
            self.avatar.rig.vertices.copy_(moved.vertices)
            self.avatar.rig.joints.copy_(moved.joints)

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


def with_attributes(avatar: SplatAvatar, values: dict[str, Tensor], rig: Rig | None = None) -> SplatAvatar:
    """An avatar with other splats, on the same rig or on another of the same triangles."""
    config = avatar.config
    return SplatAvatar.from_parts(
        rig or avatar.rig, **values, rasterize_mode=config["rasterize_mode"], sh_frame=config["sh_frame"]
    )


def copies(values: dict[str, Any], device: torch.device | None = None) -> dict[str, Tensor]:
    """Tensors of their own with the same numbers."""
    return {name: value.detach().to(device, copy=True) for name, value in values.items()}
