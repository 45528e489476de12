"""What a run makes of its start: the head refined with the diffusion model; and what is asked before there is a run."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import diffusers.utils.logging
import torch
import transformers.utils.logging
from accelerate import Accelerator

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder
from pipeline.errors import UserError
from pipeline.heads.model_files import find_model
from pipeline.jobs.config import RunConfig
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.journal import RunJournal
from pipeline.jobs.state import SILENCE_SECONDS
from pipeline.recipe import Recipe
from pipeline.stages.config import RefinementConfig
from pipeline.stages.journal import Interrupted, Journal

if TYPE_CHECKING:
    from pipeline.animportrait3d import AnimPortrait3DPipeline

WAIT_SECONDS = 1.0
"""Between two looks of a helper whether the start is made."""


def check_request(config: RunConfig, start_is_there: bool = False) -> None:
    """Raise `UserError` for what no worker could ever make; asked before there is a run, none is left that cannot end.

    ``start_is_there``: the head to refine comes from elsewhere, so that its sentence need not be understood. A portrait
    is checked when it is described (`pipeline.jobs.starting`).
    """
    from pipeline.pipeline_checks import check_inputs
    from pipeline.portrait_models import check_detector, check_models
    from pipeline.pretrained import sources_of  # diffusers' pipelines take seconds to import
    from pipeline.priors import ProceduralPrior

    check_inputs([config.prompt], config.seed)
    if config.text_to_trigrid is not None:
        from pipeline.priors.portrait3d.weights import find_generator

        find_generator()
        check_detector(config.landmarks)
    elif config.portrait is None and not start_is_there:
        ProceduralPrior().understand(config.prompt, config.seed, config.attributes)
    if config.head != "anny" and not start_is_there:
        find_model(config.head)
    if config.diffuses:
        sources_of(config.model, config.controlnet or None, recipe=config.recipe or None)
    if config.initialization is not None:
        check_models(config.landmarks, config.parser, config.normals)
    device_of(config)


def refined(journal: RunJournal, config: RunConfig) -> tuple[SplatAvatar, Recipe]:
    """The head of ``out/start`` after all phases of the recipe, from where the journal has it; and what made it."""
    run = journal.run
    journal.update(phase="models", step=0, steps=0)
    run.tell("device", device=str(device_of(config)), dtype=str(dtype_of(config)))
    pipeline = loaded(config)
    journal.heed_stop()
    avatar = _refine(pipeline, run, config, journal)
    start = Recipe.from_json((run.start / "recipe.json").read_text(encoding="utf-8"))
    told = [str(event["sentence"]) for event in run.events() if event["kind"] == "note"]
    notes = [sentence for sentence in told if sentence not in start.notes]
    return avatar, start.refined(pipeline.refinement(_refinement(config), config.num_steps_scale), notes)


def assist(run: RunFolder, config: RunConfig) -> None:
    """Help the first process with its refinement, to which all the rest of the run is left."""
    if config.refinement is None or not _start_is_made(run):
        return
    config = in_small_parts(config, run.state().batch)  # as the first does: they share out pieces of one size
    with suppress(Interrupted):
        _refine(loaded(config), run, config, Journal())


def _start_is_made(run: RunFolder) -> bool:
    """Wait for the first process, which may rig a portrait for an hour; False where it gives no sign of life."""
    heard = time.time()
    while not run.start.is_dir():
        heard = max(heard, run.state().heartbeat)
        if time.time() - heard > SILENCE_SECONDS:
            return False
        time.sleep(WAIT_SECONDS)
    return True


def in_small_parts(config: RunConfig, batch: int | None) -> RunConfig:
    """The run with at most ``batch`` pictures at once; as it is where None."""
    if batch is None or config.refinement is None:
        return config
    return replace(config, refinement=replace(config.refinement, batch=batch, rows=batch))


def is_helper() -> bool:
    """Whether this is one of several processes, and not the first."""
    return int(os.environ.get("RANK", "0")) > 0


def is_one_of_several() -> bool:
    """Whether several processes work on the run."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def loaded(config: RunConfig) -> AnimPortrait3DPipeline:
    """A pipeline with the diffusion model of a run, where it computes; its ControlNet only where something is refined.

    Raises `UserError` as `load_pipeline` does.
    """
    from pipeline.pretrained import load_pipeline

    diffusers.utils.logging.disable_progress_bar()  # of a dozen files in a folder; a log is none the better for it
    transformers.utils.logging.disable_progress_bar()
    return load_pipeline(
        config.model, config.controlnet or None, recipe=config.recipe or None, device=device_of(config),
        dtype=dtype_of(config),
    )  # fmt: skip


def _refine(pipeline: AnimPortrait3DPipeline, run: RunFolder, config: RunConfig, journal: Journal) -> SplatAvatar:
    accelerator = Accelerator(cpu=device_of(config).type == "cpu")  # waits until every process is here
    return pipeline.refine(load_avatar_folder(run.start), config.prompt, _refinement(config), accelerator, journal)


def _refinement(config: RunConfig) -> RefinementConfig:
    if config.refinement is None:
        raise ValueError("nothing is refined in this run")
    return config.refinement


def device_of(config: RunConfig) -> torch.device:
    """Where the run is worked on here. Raises `UserError` for a GPU that is not there."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("torch finds no CUDA device here; give --device auto or cpu, or take a machine with a GPU")
    is_cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if is_cuda else torch.device("cpu")


def dtype_of(config: RunConfig) -> torch.dtype:
    """What the diffusion model computes with here."""
    if config.dtype != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[config.dtype]
    return torch.float16 if device_of(config).type == "cuda" else torch.float32
