"""The levels of a tri-grid while they are optimised; what decodes them stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.priors.portrait3d.adan import Adan
from pipeline.priors.portrait3d.config import AdanConfig
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.stages.journal import State


class LevelTraining:
    """Levels of their own with gradient, their optimiser, and how many steps are done."""

    def __init__(self, trigrid: TriGrid, rates: Sequence[float], config: AdanConfig, device: torch.device) -> None:
        """``rates``: a learning rate for each level. Raises `UserError` for another number of them."""
        if len(rates) != len(trigrid.levels):
            raise UserError(f"there are {len(rates)} learning rates for the {len(trigrid.levels)} levels of a tri-grid")
        self.done = 0
        """Steps."""
        self._levels = [
            level.detach().to(device, torch.float32, copy=True).requires_grad_() for level in trigrid.levels
        ]
        self._ws = trigrid.ws.to(device)
        self._optimizer = Adan(self._levels, rates, config)

    def trigrid(self) -> TriGrid:
        """As it is now, differentiable."""
        return TriGrid(tuple(self._levels), self._ws)

    def levels(self) -> list[Tensor]:
        """A copy of the levels."""
        return [level.detach().clone() for level in self._levels]

    def step(self, loss: Tensor) -> None:
        """Move against the gradient of a loss. Raises `UserError` where it is no finite number; nothing moved then."""
        gradients = torch.autograd.grad(loss, self._levels)
        sizes = torch.stack([loss.detach(), *(gradient.abs().amax() for gradient in gradients)])
        if not sizes.isfinite().all():
            raise UserError(
                f"the tri-grid's loss or its gradient is not finite in step {self.done + 1}; lower the learning rates "
                "or the guidance scale, or compute in float32, and go on from the last checkpoint"
            )
        self._optimizer.step(gradients)
        self.done += 1

    def state(self) -> State:
        """A copy of everything that the next step depends on."""
        return {"step": self.done, "levels": self.levels(), "adan": self._optimizer.state()}

    @torch.no_grad()
    def load(self, state: State) -> None:
        """Go on from what `state` gave."""
        self.done = state["step"]
        for level, values in zip(self._levels, state["levels"], strict=True):
            level.copy_(values)
        self._optimizer.load(state["adan"])
