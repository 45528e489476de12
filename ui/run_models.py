"""Which diffusion model guides a refinement here, and whether it is on this machine; nothing is asked of the Hub."""

from __future__ import annotations

from pipeline.hub.model_files import Source
from pipeline.pretrained import base_model, controlnet_of, kept

DOWNLOAD = "about 6 GB"


def models_of(recipe: str) -> tuple[str, str]:
    """Base model and ControlNet of a recipe at this place."""
    return base_model(), controlnet_of(recipe)


def model_words(recipe: str) -> str:
    """Whether the diffusion model must be fetched first, as a sentence."""
    if all(kept(Source.parse(name)) for name in models_of(recipe)):
        return "The diffusion model is on this machine."
    return f"The diffusion model (Stable Diffusion 1.5 and its ControlNet, {DOWNLOAD}) is fetched from the Hub first."
