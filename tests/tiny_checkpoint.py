"""A Stable Diffusion 1.5 with its ControlNet, random and tiny, in diffusers' layout: what the real one's code can load.

Everything is as there but the sizes: four VAE blocks, so that latents are eight times smaller than pictures, a text
encoder of 77 tokens, a ControlNet that sees 4 channels. The two repositories look as those on the Hub do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    PNDMScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BLOCKS = (4, 4, 8, 8)
SAFETY_ENTRIES = {
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
}
"""What the index of a real Stable Diffusion 1.5 names besides the components that are used here."""
BYSTANDERS = ("v5.1.ckpt", "v5.1.safetensors", "unet/diffusion_pytorch_model.bin", "safety_checker/model.safetensors")
"""Gigabytes on the Hub that nobody needs beside the components."""
NOISE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def write_tiny_checkpoint(folder: Path, controlnet_channels: int = 4, **unet: Any) -> Path:
    """One folder with every component, ``controlnet/`` too; returns ``folder``. ``unet`` overrides its config."""
    parts = tiny_components(controlnet_channels, **unet)
    StableDiffusionControlNetPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(folder)
    return folder


def write_tiny_base(folder: Path, **unet: Any) -> Path:
    """A repository as that of a real base model: no ControlNet, but a safety checker and single-file checkpoints."""
    parts = tiny_components(4, **unet)
    del parts["controlnet"]
    parts["scheduler"] = PNDMScheduler(**NOISE, skip_prk_steps=True, set_alpha_to_one=False)
    StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(folder)
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **SAFETY_ENTRIES}, indent=2))
    for name in ("safety_checker/config.json", "feature_extractor/preprocessor_config.json", "README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    for name in (
        "v5.1.ckpt",
        "v5.1.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "safety_checker/model.safetensors",
    ):
        (folder / name).write_bytes(b"\0" * 64)
    return folder


def write_tiny_controlnet(folder: Path, channels: int = 4, safe_serialization: bool = True) -> Path:
    """A repository with the ControlNet alone, at its root."""
    tiny_components(channels)["controlnet"].save_pretrained(folder, safe_serialization=safe_serialization)
    return folder


def tiny_components(controlnet_channels: int = 4, **unet: Any) -> dict[str, Any]:
    """vae, text_encoder, tokenizer, unet, controlnet and scheduler: the same numbers at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _tokenizer()
        made = UNet2DConditionModel(
            **{
                "sample_size": 8, "block_out_channels": (4, 8), "layers_per_block": 1, "norm_num_groups": 1,
                "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
                "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
                "cross_attention_dim": 32, "attention_head_dim": 2, **unet,
            }
        )  # fmt: skip
        return {
            "vae": AutoencoderKL(
                block_out_channels=BLOCKS, down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=2, sample_size=64,
            ),
            "text_encoder": _text_encoder(tokenizer),
            "tokenizer": tokenizer,
            "unet": made,
            "controlnet": _controlnet(made, controlnet_channels),
            "scheduler": DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False),
        }  # fmt: skip


def _controlnet(unet: UNet2DConditionModel, channels: int) -> ControlNetModel:
    controlnet = ControlNetModel.from_unet(
        unet, conditioning_channels=channels, conditioning_embedding_out_channels=BLOCKS
    )
    with torch.no_grad():  # a fresh ControlNet ends in zeros and would say nothing
        for name, parameter in controlnet.named_parameters():
            if name.startswith("controlnet_") and parameter.abs().max() == 0:
                parameter.normal_(std=0.1)
    return controlnet


def _tokenizer() -> CLIPTokenizer:
    """Byte-level BPE as CLIP's, with the merges of a few words."""
    characters = _byte_characters()
    merges = [("h", "e"), ("he", "a"), ("hea", "d</w>"), ("a", "n</w>"), ("f", "a"), ("fa", "c"), ("fac", "e</w>")]
    tokens = [*characters, *(character + "</w>" for character in characters), *("".join(pair) for pair in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, model_max_length=77)


def _byte_characters() -> list[str]:
    """One printable character for each byte, as GPT-2's tokenizer has them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=37, num_hidden_layers=2,
            num_attention_heads=4, projection_dim=32, max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
