"""Adan: an optimiser that looks ahead along the change of the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.priors.portrait3d.config import AdanConfig

State = dict[str, Any]


class Adan:
    """Adaptive Nesterov momentum (Xie et al., TPAMI 2024, algorithm 1) over tensors, each with its own learning rate.

    With k the share that is kept, 1 - β of the paper, and g the gradient after clipping, each step does

    - m ← k₁ m + (1 - k₁) g, v ← k₂ v + (1 - k₂)(g - g₋₁), n ← k₃ n + (1 - k₃)(g + k₂ (g - g₋₁))²;
    - θ ← (θ - η (m̂ + k₂ v̂) / (√n̂ + ε)) / (1 + λη), hats being the corrections of the start at zero, x̂ = x / (1 - kᵗ),
      which the authors' code has; there is no difference yet in the first step.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rates: Sequence[float], config: AdanConfig) -> None:
        """``parameters`` are changed in place by `step`."""
        self.done = 0
        """Steps."""
        self._parameters = list(parameters)
        self._rates = list(learning_rates)
        if len(self._rates) != len(self._parameters):
            raise ValueError(f"{len(self._parameters)} tensors with {len(self._rates)} learning rates")
        self._config = config
        self._means, self._changes, self._squares, self._last = (
            [torch.zeros_like(parameter) for parameter in self._parameters] for _ in range(4)
        )

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the tensors against their gradients."""
        self.done += 1
        scale = self._clipping(gradients)
        for index, gradient in enumerate(gradients):
            self._move(index, gradient * scale)

    def state(self) -> State:
        """A copy of everything that the next step depends on but the tensors themselves."""
        lists = {
            "means": self._means,
            "changes": self._changes,
            "squares": self._squares,
            "last": self._last,
        }
        return {"done": self.done} | {name: [tensor.clone() for tensor in kept] for name, kept in lists.items()}

    def load(self, state: State) -> None:
        """Go on from what `state` gave."""
        self.done = state["done"]
        kept = (self._means, self._changes, self._squares, self._last)
        for own, given in zip(kept, ("means", "changes", "squares", "last"), strict=True):
            for tensor, value in zip(own, state[given], strict=True):
                tensor.copy_(value)

    def _clipping(self, gradients: Sequence[Tensor]) -> Tensor:
        """What brings the norm of all gradients together down to the most that it may be."""
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        return (self._config.max_grad_norm / (norm + self._config.eps)).clamp(max=1.0)

    def _move(self, index: int, gradient: Tensor) -> None:
        config, rate = self._config, self._rates[index]
        kept_mean, kept_change, kept_square = config.betas
        if self.done == 1:
            self._last[index].copy_(gradient)
        change = gradient - self._last[index]
        self._last[index].copy_(gradient)
        mean = self._means[index].lerp_(gradient, 1 - kept_mean)
        drift = self._changes[index].lerp_(change, 1 - kept_change)
        ahead = change.mul_(kept_change).add_(gradient)
        square = self._squares[index].mul_(kept_square).addcmul_(ahead, ahead, value=1 - kept_square)
        below = square.sqrt().div_(math.sqrt(1 - kept_square**self.done)).add_(config.eps)
        parameter = self._parameters[index]
        parameter.addcdiv_(mean, below, value=-rate / (1 - kept_mean**self.done))
        parameter.addcdiv_(drift, below, value=-rate * kept_change / (1 - kept_change**self.done))
        parameter.div_(1 + rate * config.weight_decay)
