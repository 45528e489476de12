"""What a refinement is asked for and guided by, made from a recipe and what the caller said."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import UserError
from pipeline.guidance.conditions import Condition, HeadCondition
from pipeline.guidance.landmark_condition import LandmarkCondition
from pipeline.guidance.prompts import Encode, PromptTable
from pipeline.heads.rig import Rig
from pipeline.stages.config import RefinementConfig
from pipeline.stages.recipes import RECIPES


def refinement_config(
    recipe: str,
    num_steps_scale: float = 1.0,
    resolution: int | None = None,
    negative_prompt: str | None = None,
    seed: int = 0,
) -> RefinementConfig:
    """A recipe with what the caller asked for instead; ``resolution`` and ``negative_prompt`` are its own where None.

    Raises `UserError` for a recipe that is not known, or values that cannot be.
    """
    if recipe not in RECIPES:
        raise UserError(f"recipe is {recipe!r}; it is one of {', '.join(RECIPES)}")
    config = replace(RECIPES[recipe].scaled(num_steps_scale), seed=seed)
    if resolution is not None:
        config = replace(config, resolution=resolution)
    if negative_prompt is not None:
        config = replace(config, phases=tuple(replace(phase, negative=negative_prompt) for phase in config.phases))
    return config


def prompt_table(encode: Encode, prompt: str, config: RefinementConfig, abstract_prompt: str | None) -> PromptTable:
    """Every text of a refinement, encoded; ``abstract_prompt`` is read from the prompt where None."""
    table = PromptTable(encode, prompt, abstract_prompt, "after" if config.recipe == "headstudio" else "before")
    table.encode_all(config)
    return table


def condition_of(rig: Rig, config: RefinementConfig) -> Condition:
    """What the ControlNet of a recipe is shown of a rig."""
    return HeadCondition(rig) if config.condition == "normals" else LandmarkCondition(rig)
