"""What a run makes: the prior's head, and its refinement with the diffusion model."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.jobs.config import RunConfig
from pipeline.jobs.journal import RunJournal
from pipeline.recipe import Recipe


def make_start(config: RunConfig, folder: Path) -> None:
    """The head that the prior makes of the sentence, as an avatar folder."""
    from pipeline.animportrait3d import AnimPortrait3DPipeline  # diffusers' pipelines take seconds to import

    output = AnimPortrait3DPipeline()(config.prompt, seed=config.seed, attributes=config.attributes, head=config.head)
    save_avatar_folder(output.avatars[0], output.recipes[0], folder)


def refined(journal: RunJournal, config: RunConfig) -> tuple[SplatAvatar, Recipe]:
    """The head of ``out/start`` after all phases of the recipe, from where the journal has it; and what made it."""
    from pipeline.pretrained import load_pipeline

    run = journal.run
    journal.update(phase="models", step=0, steps=0)
    device, dtype = device_of(config), dtype_of(config)
    run.tell("device", device=str(device), dtype=str(dtype))
    pipeline = load_pipeline(config.model, config.controlnet, recipe=config.recipe, device=device, dtype=dtype)
    journal.heed_stop()
    accelerator = Accelerator(cpu=device.type == "cpu")
    avatar = pipeline.refine(load_avatar_folder(run.start), config.prompt, config.refinement, accelerator, journal)
    start = Recipe.from_json((run.start / "recipe.json").read_text(encoding="utf-8"))
    notes = [str(event["sentence"]) for event in run.events() if event["kind"] == "note"]
    return avatar, start.refined(pipeline.refinement(config.refinement, config.num_steps_scale), notes)


def device_of(config: RunConfig) -> torch.device:
    """Where the run is worked on here."""
    if config.device != "auto":
        return torch.device(config.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype_of(config: RunConfig) -> torch.dtype:
    """What the diffusion model computes with here."""
    if config.dtype != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[config.dtype]
    return torch.float16 if device_of(config).type == "cuda" else torch.float32
