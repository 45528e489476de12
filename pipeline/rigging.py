"""A static head is put on a rig, and its recipe written."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pipeline.avatar import SplatAvatar
from pipeline.portrait_models import PortraitModels, portrait_models
from pipeline.portraits import PRIORS, Portrait, find_portrait
from pipeline.recipe import Origin, Recipe
from pipeline.reconstruction.multiview import LandmarkDetector, Source
from pipeline.stages.initialization import InitializationConfig, initialize
from pipeline.stages.journal import Journal
from pipeline.stages.perceptual import find_lpips

if TYPE_CHECKING:
    from pipeline.priors.portrait3d.config import Portrait3DConfig
    from pipeline.priors.portrait3d.generator import Portrait3DGenerator
    from pipeline.priors.portrait3d.source import TriGridSource

SOMEBODYS = "views"
"""What a recipe calls the prior of a head that came from somebody's own `Source`."""


@dataclass(frozen=True)
class Static:
    """A head that stands still."""

    source: Source
    prompt: str
    prior: str
    """As a recipe names it."""
    files: dict[str, str]
    """Name of each file that it came from → SHA-256 of its bytes."""
    num_steps_scale: float = 1.0
    """Length of the phases that made it of a text."""


def as_static(portrait: str | Path | Portrait | Source, prompt: str, device: torch.device) -> Static:
    """What a caller gave; the portrait's own prompt where theirs is empty. A tri-grid is drawn on ``device``.

    Raises `UserError` for files that cannot be used.
    """
    if isinstance(portrait, str | Path):
        portrait = find_portrait(Path(portrait))
    if isinstance(portrait, Portrait):
        return Static(portrait.source(device), prompt or portrait.prompt, PRIORS[portrait.kind], portrait.files)
    return Static(portrait, prompt, SOMEBODYS, {})


def rig(
    static: Static,
    head: str,
    config: InitializationConfig,
    journal: Journal,
    models: PortraitModels | None,
    device: torch.device,
) -> tuple[SplatAvatar, Recipe]:
    """The head on a rig of the kind ``head``, on the CPU, and what it was made from.

    ``models``: what this machine has where None. Raises `Interrupted` when the journal says so, and `UserError` for a
    source or a head that cannot be used.
    """
    models = models or portrait_models(device=device)
    with torch.enable_grad():
        made = initialize(
            static.source, head, config, journal, detector=models.detector, parser=models.parser,
            normals=models.normals, device=device,
        )  # fmt: skip
    origin = Origin(static.files, config.name, config.steps, models.names, static.num_steps_scale)
    return made.avatar, Recipe.rigged(
        static.prompt, config.seed, static.prior, origin, made.head.notes, made.avatar.rig.model
    )


def paint(
    components: dict[str, Any],
    device: torch.device,
    prompt: str,
    generator: Portrait3DGenerator,
    config: Portrait3DConfig,
    journal: Journal | None,
    detector: LandmarkDetector | None,
) -> TriGridSource:
    """The static head of a sentence: `make_trigrid` with the components of a pipeline."""
    from pipeline.priors.portrait3d.portrait_image import StableDiffusion
    from pipeline.priors.portrait3d.source import TriGridSource
    from pipeline.priors.portrait3d.text_to_trigrid import make_trigrid

    diffusion = StableDiffusion(**{field.name: components[field.name] for field in fields(StableDiffusion)})
    lpips = find_lpips()
    with torch.enable_grad():
        trigrid = make_trigrid(
            prompt, generator, diffusion, config, journal or Journal(), detector=detector,
            lpips=None if lpips is None else lpips.to(device),
        )  # fmt: skip
    return TriGridSource(trigrid.to(device), generator.painter)
