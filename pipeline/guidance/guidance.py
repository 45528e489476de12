"""`Guidance`: what a stage of the refinement is guided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.guidance.conditions import Condition
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.prompts import PromptTable


@dataclass(frozen=True)
class Guidance:
    """A diffusion model, its prompts, and what its ControlNet is shown."""

    model: DiffusionModel
    scheduler: Any
    """Of diffusers, for the editing of pictures; the distillation needs the model's noise schedule alone."""
    prompts: PromptTable
    condition: Condition
    """Posed vertices and cameras to the ControlNet's pictures."""
