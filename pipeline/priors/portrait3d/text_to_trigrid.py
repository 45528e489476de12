"""A sentence to a static head: Portrait3D (Wu et al., SIGGRAPH 2024), section 3."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.guidance.diffusion import DiffusionModel, for_speed
from pipeline.guidance.text import clip_encoder
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.priors.portrait3d.distillation import distill
from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.priors.portrait3d.inversion import invert, inverted_trigrid
from pipeline.priors.portrait3d.portrait_image import NO_DETECTOR, StableDiffusion, align, paint, restored, stored
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts, described
from pipeline.priors.portrait3d.view_refinement import fit_views, refined_views, view_cameras
from pipeline.reconstruction.multiview import LandmarkDetector
from pipeline.stages.appearance import Compare, gradient_difference
from pipeline.stages.journal import Journal
from pipeline.stages.kept import kept

NO_LPIPS = (
    "The weights of LPIPS are not on this machine: the inversion compares pixels and edges at four scales instead. The "
    "doctor tells how to have them."
)


def make_trigrid(
    prompt: str,
    generator: Portrait3DGenerator,
    components: StableDiffusion,
    config: Portrait3DConfig,
    journal: Journal,
    *,
    detector: LandmarkDetector | None,
    lpips: Compare | None = None,
) -> TriGrid:
    """The tri-grid of the person that ``prompt`` describes, to be painted by the generator's painter; on the CPU.

    Every step's result is kept where the journal keeps it, so that an interrupted making goes on and ends with the same
    numbers. ``generator`` is on the device to compute on, ``components`` too, or are moved there while they run.

    Raises:
        Interrupted: the journal asked to stop.
        UserError: there is no detector, no picture shows a face, or an optimisation has left the numbers.
    """
    if detector is None:
        raise UserError(NO_DETECTOR)
    text = described(prompt, config.image.prefix)
    generator = generator.requires_grad_(False).eval()
    device, seed = next(generator.parameters()).device, config.seed
    model = for_speed(DiffusionModel(components.unet, components.vae, components.scheduler, device=device))

    # 1. The diffusion model paints the person; the best picture is laid into the generator's frame.
    size = generator.size.image_resolution
    pictures = paint(text, components, config.image, journal, seed)
    portrait = restored(kept(journal, "portrait", lambda: stored(align(pictures, detector, size, journal))))

    # 2. The generator's latents and noise that show this picture.
    compare = lpips or comparison_without_lpips(journal.note)
    start = _kept_trigrid(
        journal,
        "inverted",
        lambda: inverted_trigrid(
            generator,
            invert(generator, portrait.picture, portrait.camera, config.inversion, journal, compare=compare, seed=seed),
        ),
    )

    # 3. Score distillation pulls the tri-grid towards the sentence, from all around.
    prompts = ViewPrompts(_encoder(components, journal, device), text, config.view_refinement.negative)
    painter = generator.painter
    distilled = _kept_trigrid(
        journal,
        "distilled",
        lambda: distill(start.to(device), painter, model, prompts, config.distillation, journal, seed),
    )

    # 4. The diffusion model sharpens views of it, to which the tri-grid is fitted.
    def refine() -> TriGrid:
        trigrid = distilled.to(device)
        cameras = view_cameras(config.view_refinement, seed)
        with torch.no_grad():
            background = generator.background(trigrid.ws)
        views = refined_views(
            trigrid, painter, background, cameras, model, components.scheduler, prompts, config.view_refinement, journal
        )
        return fit_views(trigrid, painter, cameras, views, config.view_refinement, journal, seed)

    return _kept_trigrid(journal, "refined", refine)


def comparison_without_lpips(note: Callable[[str], None]) -> Compare:
    """Squared differences of pixels, and differences of edges at four scales; ``note`` is told so."""
    note(NO_LPIPS)

    def compare(images: Tensor, targets: Tensor) -> Tensor:
        return (images - targets).square().flatten(1).mean(1) + gradient_difference(images, targets)

    return compare


def _encoder(components: StableDiffusion, journal: Journal, device: torch.device) -> Callable[[list[str]], Tensor]:
    return clip_encoder(components.tokenizer, components.text_encoder, journal.note, device)


def _kept_trigrid(journal: Journal, name: str, make: Callable[[], TriGrid]) -> TriGrid:
    """A tri-grid as `kept` keeps it, on the CPU."""

    def tensors() -> dict[str, Tensor]:
        trigrid = make()
        return {str(level.shape[-1]): level for level in trigrid.levels} | {"ws": trigrid.ws}

    found = kept(journal, name, tensors)
    sizes = sorted(int(key) for key in found if key != "ws")
    return TriGrid(tuple(found[str(size)] for size in sizes), found["ws"])
