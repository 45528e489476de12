"""What a refinement would take here, in plain words, before anybody presses.

Nothing is fetched and no GPU is touched for that: on ZeroGPU one must not be before a function is lent it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from pipeline.jobs.config import RunConfig
from pipeline.rendering.cuda import why_no_gpu
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.initialization import InitializationConfig

TERAFLOP_PER_ROW = 1.2
"""One picture of 512 × 512 through the UNet of Stable Diffusion 1.5 (0.7), its ControlNet (0.25) and the VAE."""
TRAINED_AT = 512
ROWS = {"ism": 6, "sds": 3, "dsd": 3}
"""Rows of the UNet's batch for one shot of one step: inversion and guidance, or guidance alone."""
ROWS_PER_EDIT_STEP = 2
TERAFLOPS_PER_MULTIPROCESSOR = 0.6
"""What half-precision networks get out of a GPU of the last years: 65 of an A100, 75 of an RTX 4090."""
TERAFLOPS_PER_CORE = 0.04
"""What single-precision networks get out of a core with AVX2."""
LENT_TERAFLOPS = 80.0
"""Of the GPU that ZeroGPU lends, half of a data-centre card."""
DATA_CENTRE_TERAFLOPS = 65.0
"""Of the card that a job on Hugging Face gets unless another is chosen."""
TEXT_TERAFLOP = 30 * 60 * 75.0
"""From a sentence to a tri-grid: half an hour on an RTX 4090 (Portrait3D, section 4.2)."""
FITTING_SECONDS = 60.0
"""To find the surface of a portrait and lay a head over it, on a CPU in any case."""
VIEW_SECONDS, STEP_SECONDS = {"cpu": 1.2, "gpu": 0.1}, {"cpu": 0.3, "gpu": 0.02}
"""To look at a portrait once, and of a step of its optimisation, of 512 × 512 pixels."""
GPU_TERAFLOPS = 5.0
"""From which on a place is one with a GPU."""
UNITS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400), ("week", 7 * 86400))


@dataclass(frozen=True)
class Computing:
    """What this place computes with."""

    kind: Literal["gpu", "lent", "cpu"]
    """``lent``: for minutes at a time, by ZeroGPU."""
    name: str
    teraflops: float


@cache
def computing() -> Computing:
    """What this place computes with; a GPU counts where splats can be drawn on it too."""
    if os.environ.get("SPACES_ZERO_GPU"):
        return Computing("lent", "a lent GPU", LENT_TERAFLOPS)
    if why_no_gpu():
        cores = os.cpu_count() or 1
        return Computing("cpu", f"{cores} CPU cores", TERAFLOPS_PER_CORE * cores)
    gpu = torch.cuda.get_device_properties(0)
    return Computing("gpu", gpu.name, TERAFLOPS_PER_MULTIPROCESSOR * gpu.multi_processor_count)


def seconds_of(config: RefinementConfig, teraflops: float) -> float:
    """How long a refinement takes, roughly: what the diffusion model computes, by the batch sizes of its phases."""
    rows = sum(_rows(phase, config.edit_pool) for phase in config.phases)
    return rows * TERAFLOP_PER_ROW * (config.resolution / TRAINED_AT) ** 2 / teraflops


def seconds_of_run(config: RunConfig, teraflops: float) -> float:
    """How long all of a run takes, roughly: the making of its start, and the refinement."""
    seconds = 0.0 if config.refinement is None else seconds_of(config.refinement, teraflops)
    if config.text_to_trigrid is not None:
        seconds += config.num_steps_scale * TEXT_TERAFLOP / teraflops
    if config.initialization is not None:
        seconds += rigging_seconds(config.initialization, "gpu" if teraflops > GPU_TERAFLOPS else "cpu")
    return seconds


def rigging_seconds(config: InitializationConfig, kind: Literal["gpu", "cpu"]) -> float:
    """How long it takes to rig a portrait, roughly."""
    pixels = (config.size / TRAINED_AT) ** 2
    views = config.yaws * len(config.pitches)
    return FITTING_SECONDS + pixels * (views * VIEW_SECONDS[kind] + config.steps * STEP_SECONDS[kind])


def _rows(phase: Phase, edit_pool: int) -> float:
    if phase.method == "sdedit":
        views = min(edit_pool, phase.steps * phase.views)
        return views * len(phase.regions) * phase.edit_steps * phase.strength * ROWS_PER_EDIT_STEP
    return phase.steps * phase.views * len(phase.regions) * ROWS[phase.method]


def in_words(seconds: float) -> str:
    """A duration as one says it: ``20 minutes``, ``3 hours``."""
    name, size = next((unit for unit in reversed(UNITS) if seconds >= 1.5 * unit[1]), UNITS[0])
    count = max(1, round(seconds / size))
    if name in ("second", "minute") and count > 10:
        count = 5 * round(count / 5)
    return f"{count} {name}{'' if count == 1 else 's'}"
