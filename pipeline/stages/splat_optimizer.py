"""Adam over the attributes of splats, whose number changes while they are optimised."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from pipeline.stages.config import LearningRates

EPSILON = 1e-15
"""As in 3D Gaussian splatting: gradients of single splats are tiny."""
HIGHER_DEGREES = 20
"""The learning rate of spherical harmonics above degree 0 is divided by this, as in 3D Gaussian splatting."""


class SplatOptimizer:
    """Adam (Kingma and Ba, 2015, algorithm 1) with running averages that follow their splats.

    Not torch.optim.Adam, since rows come and go between steps and since the degrees of one tensor learn at two rates.
    """

    def __init__(self, rates: LearningRates) -> None:
        self._rates = rates
        self._steps = 0
        self._first: dict[str, Tensor] = {}
        self._second: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, parameters: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """Move ``parameters``, by name, against ``gradients`` of the same shapes, in place.

        A row whose gradient has always been zero stays exactly where it is.
        """
        self._steps += 1
        forget_first, forget_second = self._rates.betas
        bias_first, bias_second = 1 - forget_first**self._steps, 1 - forget_second**self._steps
        for name, gradient in gradients.items():
            first = self._first.setdefault(name, torch.zeros_like(gradient))
            second = self._second.setdefault(name, torch.zeros_like(gradient))
            first.lerp_(gradient, 1 - forget_first)
            second.mul_(forget_second).addcmul_(gradient, gradient, value=1 - forget_second)
            change = (first / bias_first) / ((second / bias_second).sqrt_() + EPSILON)
            parameters[name].sub_(change.mul_(self._rate(name, gradient)))

    def follow(self, rows: Callable[[Tensor], Tensor], names: tuple[str, ...]) -> None:
        """Rearrange the running averages of ``names`` as their splats were, by `Change.momentum`."""
        for averages in (self._first, self._second):
            averages.update({name: rows(averages[name]) for name in names if name in averages})

    def state(self) -> dict[str, dict[str, Tensor] | int]:
        """Everything that the next step depends on."""
        return {"steps": self._steps, "first": _copies(self._first), "second": _copies(self._second)}

    def load(self, state: dict, device: torch.device) -> None:
        """Go on from what `state` gave."""
        self._steps = state["steps"]
        self._first, self._second = _copies(state["first"], device), _copies(state["second"], device)

    def _rate(self, name: str, like: Tensor) -> Tensor | float:
        rate = getattr(self._rates, name)
        if name != "sh":
            return rate
        rates = like.new_full((like.shape[1], 1), rate)
        rates[1:] /= HIGHER_DEGREES
        return rates


def _copies(tensors: Mapping[str, Tensor], device: torch.device | None = None) -> dict[str, Tensor]:
    return {name: tensor.detach().to(device, copy=True) for name, tensor in tensors.items()}
