"""What somebody types to make the same run on a machine of their own."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeline.jobs.config import RunConfig
from pipeline.stages.recipes import RECIPES


def command_for_own_machine(config: RunConfig) -> str:
    """The whole line of a run; folders of this machine are left out."""
    words = ["python", "-m", "pipeline", "create", *([config.prompt] if config.prompt else [])]
    words += _start_words(config)
    words += ["--seed", str(config.seed)] if config.seed else []
    for name, value in config.attributes.items():
        words += ["--set", f"{name}={value}"]
    words += ["--head", config.head] if config.head != "anny" else []
    words += _refinement_words(config)
    words += ["--steps-scale", f"{config.num_steps_scale:g}"] if config.num_steps_scale != 1 else []
    words += _model_words(config)
    return shlex.join([*words, "--out", "head"])


def _start_words(config: RunConfig) -> list[str]:
    """What it starts from; nothing for the procedural prior."""
    if config.initialization is None:
        return []
    views = ["--views", config.initialization.name]
    if config.portrait is None:
        return ["--prior", "portrait3d", *views]
    return ["--portrait", next(iter(config.portrait.files)) if config.portrait.kind == "trigrid" else "avatar", *views]


def _refinement_words(config: RunConfig) -> list[str]:
    if config.refinement is None:
        return []
    words = ["--refine", "--recipe", config.recipe]
    resolution = config.refinement.resolution
    return [*words, "--resolution", str(resolution)] if resolution != RECIPES[config.recipe].resolution else words


def _model_words(config: RunConfig) -> list[str]:
    """Networks that are not what the command takes by itself."""
    from pipeline.pretrained import base_model, controlnet_of  # diffusers takes seconds to import

    usual = {"model": base_model(), "controlnet": controlnet_of(config.recipe) if config.refinement else ""}
    words = []
    for name in ("model", "controlnet", "landmarks", "parser", "normals"):
        chosen = getattr(config, name)
        if chosen and chosen != usual.get(name) and not Path(chosen).is_absolute():
            words += [f"--{name}", chosen]
    return words
