"""Whether the diffusion model that guides a refinement is on this machine; nothing is asked of the Hub."""

from __future__ import annotations

from pipeline.hub.model_files import Source
from pipeline.pretrained import kept

DOWNLOAD = "about 6 GB"


def model_words(*models: str) -> str:
    """Whether a model must be fetched first, as a sentence; ``models`` as `Source.parse` reads them."""
    if all(kept(Source.parse(model)) for model in models):
        return "The diffusion model is on this machine."
    return f"The diffusion model (Stable Diffusion 1.5 and its ControlNet, {DOWNLOAD}) is fetched from the Hub first."
