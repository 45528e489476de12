"""What can be wrong with the inputs and the components of the pipeline, each told in one sentence."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.errors import UserError
from pipeline.stages.initialization import PRESETS

DIFFUSION = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
"""Components without which nothing is refined; the ControlNet is one more for recipes that condition it."""
CHANNELS = {"normals": 4, "landmarks": 3}
"""Channels of the picture that each kind of ControlNet is shown."""
UNET = "UNet2DConditionModel"
HOW_TO_REFINE = (
    "refining needs a diffusion model: load one with pipeline.pretrained.load_pipeline() (some 6 GB from the Hub, and "
    "a GPU with 24 GB, or days on a CPU), or: python -m pipeline create PROMPT --out DIR --refine"
)


def check_inputs(prompts: list[str], seed: int) -> None:
    """Raise `UserError` for a seed or a list of prompts that cannot be used; each prompt is checked when read."""
    if not prompts:
        raise UserError("prompt is an empty list; give at least one sentence")
    for prompt in prompts:
        if not isinstance(prompt, str):
            raise UserError(f"prompt is {prompt!r}; it must be a sentence")
        if not prompt.isascii() and any("\ud800" <= character <= "\udfff" for character in prompt):
            raise UserError("the prompt holds bytes that are no UTF-8 text; type it again")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}; it must be between 0 and {2**32 - 1}")


def check_portrait(
    portrait: Any, prompts: list[str], attributes: dict[str, str] | None, initialization: str, refine: bool
) -> None:
    """Raise `UserError` for what does not go with a portrait."""
    if portrait is None:
        return
    if len(prompts) != 1:
        raise UserError(f"there are one portrait and {len(prompts)} prompts; give one prompt, or none")
    if attributes:
        raise UserError("attributes change what the procedural prior makes; leave them out, or the portrait")
    if initialization not in PRESETS:
        raise UserError(f"initialization is {initialization!r}; it is one of {', '.join(PRESETS)}")
    if refine and not prompts[0].strip():
        raise UserError("the prompt is empty; a refinement is guided by it, so say who the portrait shows")


def check_index(index: dict[str, Any], told: str) -> None:
    """Raise `UserError` for the model_index.json of a model that is no Stable Diffusion 1 or 2, before it is brought.

    An index without any diffusion model is that of a pipeline with the prior alone.
    """
    named = {name: entry[1] for name, entry in index.items() if isinstance(entry, list) and entry and entry[0]}
    others = [name for name in ("text_encoder_2", "text_encoder_3", "transformer") if name in named]
    if others or named.get("unet", UNET) != UNET:
        raise UserError(
            f"{told} is of another kind ({index.get('_class_name')}); refining needs a Stable Diffusion 1.5, or one "
            "trained from it"
        )


def check_components(components: dict[str, Any]) -> None:
    """Raise `UserError` for components that do not belong together; those that are None are left aside."""
    unet, vae, controlnet = (components.get(name) for name in ("unet", "vae", "controlnet"))
    width = _of(unet, "cross_attention_dim")
    encoder = _of(components.get("text_encoder"), "hidden_size")
    if width and encoder and width != encoder:
        raise UserError(
            f"the UNet reads texts of {width} numbers a word and the text encoder writes {encoder}; "
            "take both from one Stable Diffusion 1 or 2"
        )
    if unet is not None and vae is not None and _of(unet, "in_channels") != _of(vae, "latent_channels"):
        raise UserError(
            f"the UNet reads {_of(unet, 'in_channels')} channels and the VAE writes {_of(vae, 'latent_channels')}; "
            "a model for inpainting or for depth does not fit, take a plain Stable Diffusion"
        )
    if unet is not None and controlnet is not None:
        for name in ("cross_attention_dim", "block_out_channels"):
            if _of(unet, name) != _of(controlnet, name):
                raise UserError(
                    f"the ControlNet was trained for another model: its {name} is {_of(controlnet, name)}, that of the "
                    f"UNet {_of(unet, name)}; take both for Stable Diffusion 1.5"
                )


def check_diffusion(components: dict[str, Any]) -> None:
    """Raise `UserError` unless the components are a whole diffusion model."""
    lacking = [name for name in DIFFUSION if components.get(name) is None]
    if len(lacking) == len(DIFFUSION):
        raise UserError(HOW_TO_REFINE)
    if lacking:
        raise UserError(f"the pipeline has no {' and no '.join(lacking)}; {HOW_TO_REFINE}")


def check_refinable(components: dict[str, Any], condition: str, recipe: str) -> None:
    """Raise `UserError` unless the components can refine with a recipe whose ControlNet is shown ``condition``."""
    check_diffusion(components)
    controlnet = components.get("controlnet")
    if controlnet is None:
        raise UserError(
            f"the recipe {recipe} needs a ControlNet that sees {condition}; give one with controlnet=, a folder or a "
            "repository of the Hub"
        )
    channels = _of(controlnet, "conditioning_channels")
    if channels != CHANNELS[condition]:
        raise UserError(
            f"the ControlNet sees pictures of {channels} channels; the recipe {recipe} shows it {condition}, which "
            f"have {CHANNELS[condition]}"
        )


def check_place(accelerator: torch.device, model: torch.device) -> None:
    """Raise `UserError` where the accelerator is for another device than the diffusion model is on."""
    if accelerator.type != model.type or _number(accelerator) != _number(model):
        raise UserError(
            f"the accelerator is for {accelerator} and the diffusion model on {model}; move it first: "
            "pipe.to(accelerator.device), or choose the GPU by torch.cuda.set_device or CUDA_VISIBLE_DEVICES"
        )


def _number(device: torch.device) -> int:
    """Which of several GPUs; one that is not numbered is the current one."""
    if device.type != "cuda" or device.index is not None:
        return device.index or 0
    return torch.cuda.current_device() if torch.cuda.is_available() else 0


def _of(module: Any, name: str) -> Any:
    value = getattr(getattr(module, "config", None), name, None)
    return list(value) if isinstance(value, tuple) else value
