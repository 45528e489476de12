"""The form of a refinement: what was chosen, as a `RunConfig`, and what to say before it is started."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

from pipeline.errors import UserError
from pipeline.jobs.config import RunConfig
from pipeline.stages.recipes import RECIPES
from ui.create import LARGEST_SEED, checked_head, read_overrides
from ui.run_cost import DATA_CENTRE_TERAFLOPS, Computing, in_words, seconds_of
from ui.run_models import model_words, models_of
from ui.run_words import LENGTHS

SLOW_SECONDS = 6 * 3600
"""What takes longer here is better done elsewhere."""


def run_config(prompt: str, seed: float, attributes: Any, head: str, recipe: str, length: str) -> RunConfig:
    """What a visitor asks for. Raises `UserError` for what cannot be used."""
    if not (prompt or "").strip():
        raise UserError("whom? Give the sentence of a head, or press Refine below one")
    if recipe not in RECIPES:
        raise UserError(f"there is no recipe {recipe!r}; there is {' and '.join(RECIPES)}")
    if length not in LENGTHS:
        raise UserError(f"there is no length {length!r}; there is {', '.join(LENGTHS)}")
    if seed is None or not float(seed).is_integer() or not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"the seed is {seed}; it must be a whole number from 0 to {LARGEST_SEED}")
    model, controlnet = models_of(recipe)
    scale = LENGTHS[length]
    return RunConfig(
        prompt=prompt.strip(),
        model=model,
        controlnet=controlnet,
        refinement=replace(RECIPES[recipe].scaled(scale), seed=int(seed)),
        seed=int(seed),
        attributes=read_overrides(attributes),
        head=checked_head(head),
        num_steps_scale=scale,
    )


def cost_words(recipe: str, length: str, at: Computing) -> str:
    """What it takes here, as Markdown."""
    config = RECIPES[recipe].scaled(LENGTHS[length])
    here = seconds_of(config, at.teraflops)
    elsewhere = in_words(seconds_of(config, DATA_CENTRE_TERAFLOPS))
    if at.kind == "gpu":
        told = f"**About {in_words(here)}** on this machine ({at.name}). The page may be closed meanwhile."
    elif at.kind == "lent":
        told = f"**About {in_words(here)} of a lent GPU**, in slices of minutes that count against your daily quota."
    elif here > SLOW_SECONDS:
        told = (
            f"**About {in_words(here)}** here: this machine has {at.name} and no GPU. "
            f"On another machine with a good GPU it is about {elsewhere}; see below."
        )
    else:
        told = f"**About {in_words(here)}** here, on {at.name}; about {elsewhere} on a good GPU."
    return f"{told}\n\n{model_words(recipe)}"


def command_words(config: RunConfig) -> str:
    """What does the same on a person's own machine."""
    parts = ["python", "-m", "pipeline", "create", config.prompt, "--out", "my-head", "--refine"]
    parts += ["--recipe", config.recipe, "--steps-scale", f"{config.num_steps_scale:g}", "--seed", str(config.seed)]
    for name, value in config.attributes.items():
        parts += ["--set", f"{name}={value}"]
    return shlex.join(parts)
