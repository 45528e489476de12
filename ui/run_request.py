"""The form of a refinement: what was chosen, as a `RunConfig`, and what to say before it is started."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UserError
from pipeline.jobs.config import RunConfig
from ui.create import LARGEST_SEED, checked_head, read_overrides
from ui.run_cost import DATA_CENTRE_TERAFLOPS, Computing, in_words, seconds_of_run
from ui.run_models import model_words
from ui.run_words import LENGTHS

SLOW_SECONDS = 6 * 3600
"""What takes longer here is better done elsewhere."""


def run_config(prompt: str, seed: float, attributes: Any, head: str, recipe: str, length: str) -> RunConfig:
    """What a visitor asks for. Raises `UserError` for what cannot be used."""
    if not (prompt or "").strip():
        raise UserError("the sentence is missing; say whom to refine, or press Refine below a head")
    if length not in LENGTHS:
        raise UserError(f"there is no length {length!r}; there is {', '.join(LENGTHS)}")
    if seed is None or not float(seed).is_integer() or not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"the seed is {seed}; it must be a whole number from 0 to {LARGEST_SEED}")
    return RunConfig.of(
        prompt.strip(),
        recipe=recipe,
        num_steps_scale=LENGTHS[length],
        seed=int(seed),
        attributes=read_overrides(attributes),
        head=checked_head(head),
    )


def is_slow(config: RunConfig, at: Computing) -> bool:
    """Whether it is better done elsewhere."""
    return seconds_of_run(config, at.teraflops) > SLOW_SECONDS


def cost_words(run: RunConfig, at: Computing) -> str:
    """What it takes here, as Markdown."""
    here = seconds_of_run(run, at.teraflops)
    elsewhere = in_words(seconds_of_run(run, DATA_CENTRE_TERAFLOPS))
    if at.kind == "gpu":
        told = f"**About {in_words(here)}** on this machine ({at.name}). The page may be closed meanwhile."
    elif at.kind == "lent":
        told = f"**About {in_words(here)} of a lent GPU**, in slices of minutes that count against your daily quota."
    elif is_slow(run, at):
        told = (
            f"**About {in_words(here)}** here: this machine has {at.name} and no GPU. "
            f"On another machine with a good GPU it is about {elsewhere}; see below."
        )
    else:
        told = f"**About {in_words(here)}** here, on {at.name}; about {elsewhere} on a good GPU."
    return f"{told}\n\n{model_words(run)}"
