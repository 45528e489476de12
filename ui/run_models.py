"""Whether the diffusion model that guides a refinement is on this machine."""

from __future__ import annotations

from pipeline.jobs.config import RunConfig
from pipeline.pretrained import kept, sources_of

DOWNLOAD = "about 6 GB"


def model_words(config: RunConfig) -> str:
    """Whether a model must be fetched first, as a sentence; empty where none is used. The Hub is not asked."""
    if not config.diffuses:
        return ""
    if are_here(config):
        return "The diffusion model is on this machine."
    return f"The diffusion model (Stable Diffusion 1.5 and its ControlNet, {DOWNLOAD}) is fetched from the Hub first."


def are_here(config: RunConfig) -> bool:
    """Whether everything that a run loads is a folder, or in the Hub's cache."""
    if not config.diffuses:
        return True
    sources = sources_of(config.model, config.controlnet or None, recipe=config.recipe or None)
    return all(kept(source) is not None for source in sources.values())
