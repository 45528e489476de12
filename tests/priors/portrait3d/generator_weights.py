"""Weights of a generator of nobody, under the names of the published file and in its exact layout."""

from __future__ import annotations

from torch import Tensor

from pipeline.priors.portrait3d.generator import GeneratorSize, Portrait3DGenerator
from pipeline.priors.portrait3d.generator_state import PLACES
from pipeline.stages.randomness import generator

SMALL = GeneratorSize(
    grid_resolution=16,
    image_resolution=32,
    background_base=256,
    background_max=32,
    superresolution_widths=(16, 8),
)
"""Two levels (8, 16), four rows of ws, pictures of 32²."""


def small_generator(seed: int = 0) -> Portrait3DGenerator:
    """A whole generator of which a forward pass takes milliseconds."""
    return Portrait3DGenerator(SMALL).draw(generator(seed, "generator weights"))


def generator_state(size: GeneratorSize = SMALL, seed: int = 0) -> dict[str, Tensor]:
    """What ``G_ema`` of a ``model_512.pkl`` holds, for `PUBLISHED` with its names and shapes (152 MB)."""
    return published_state(Portrait3DGenerator(size).draw(generator(seed, "generator weights")))


def published_state(made: Portrait3DGenerator) -> dict[str, Tensor]:
    """A generator's weights under the names that the published file has for them."""
    state = made.state_dict()
    return {
        published + name.removeprefix(ours): weight
        for published, ours in PLACES.items()
        for name, weight in state.items()
        if name.startswith(ours)
    }
