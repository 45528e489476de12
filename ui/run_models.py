"""Whether the diffusion model that guides a refinement is on this machine, and bringing it there."""

from __future__ import annotations

import torch

from pipeline.hub.model_files import Source
from pipeline.jobs.config import RunConfig
from pipeline.pretrained import kept, load_pipeline

DOWNLOAD = "about 6 GB"


def model_words(*models: str) -> str:
    """Whether a model must be fetched first, as a sentence; ``models`` as `Source.parse` reads them. The Hub is not
    asked."""
    if are_here(*models):
        return "The diffusion model is on this machine."
    return f"The diffusion model (Stable Diffusion 1.5 and its ControlNet, {DOWNLOAD}) is fetched from the Hub first."


def are_here(*models: str) -> bool:
    """Whether each is a folder, or in the Hub's cache."""
    return all(kept(Source.parse(model)) for model in models)


def fetch_models(config: RunConfig) -> None:
    """Bring what a run needs into the Hub's cache, unless it is there. Raises `UserError` where that cannot be."""
    if not are_here(config.model, config.controlnet):
        load_pipeline(config.model, config.controlnet, recipe=config.recipe, device="cpu", dtype=torch.float16)
