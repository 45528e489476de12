"""A whole refinement by AnimPortrait3D's recipe: calls, minutes and memory, beside the original's one crop at a time.

Both run here, with the same random networks, the same head and the same crops: a few steps of each phase, from which
the minutes of a portrait are extrapolated by the rows that the UNet sees in all. A third schedule is what a person may
choose instead of the published constants: no inversion before the interval, and targets by a few-step model.

On CUDA the networks have the size of Stable Diffusion 1.5. On a CPU a reduced model stands in: its calls are exact, its
minutes say little, since there a row costs the same in any batch and the drawing of splats as much as the networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator
from diffusers import LCMScheduler

from benchmarks.diffusion_sizes import REAL, REDUCED, Counter, Networks, Size, random_networks
from benchmarks.figure import Figure, table
from benchmarks.guidance_calls import Calls, Shots, original_calls, our_calls
from benchmarks.heads import head
from benchmarks.one_crop_at_a_time import OneCropAtATime
from pipeline.avatar import SplatAvatar
from pipeline.guidance.conditions import HeadCondition
from pipeline.guidance.diffusion import DiffusionModel, for_speed
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.prompts import PromptTable
from pipeline.stages.config import Densification, Phase
from pipeline.stages.fitting import fit
from pipeline.stages.journal import Journal, Progress
from pipeline.stages.motion_pool import motion_pool
from pipeline.stages.objectives import timesteps_of
from pipeline.stages.recipes import RECIPES
from pipeline.stages.sampling import ViewSampler

RECIPE = "animportrait3d"
PEER = "one crop at a time, as published"
MINUTES, GIGABYTES, TIMES = 20.0, 24.0, 10.0
"""Goals for a portrait: minutes and GPU memory on one data-centre GPU, and how many times less than the peer."""
FEW = "few calls"
FEW_STEPS = 8
"""Of the whole noise schedule, for a model distilled to few steps."""
STEPS, PEER_STEPS = 6, 4
"""Of each phase that are measured, the first of which only warms up."""
TARGET_BATCHES = 3
"""Of SDEdit targets; the first warms up, a last smaller one is left out."""


@dataclass(frozen=True)
class Cost:
    """A phase at full length."""

    calls: Calls
    seconds: float


class Clock(Journal):
    """Notes the time and the UNet's rows after every batch of targets and every step."""

    def __init__(self, unet: Counter) -> None:
        self._unet = unet
        self.batches: list[tuple[float, int]] = []
        self.steps: list[tuple[float, int]] = []

    def pause(self) -> None:
        self.batches.append(self._now())

    def step(self, progress: Progress, avatar: SplatAvatar, state: object) -> None:
        self.steps.append(self._now())

    def _now(self) -> tuple[float, int]:
        return now(), self._unet.rows


def now() -> float:
    """Seconds, when all that was asked of the GPU is done; without one, those of the processor, which other programs
    disturb less."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def seconds_and_rows(marks: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Mean seconds and rows from one mark to the next."""
    (first, rows_before), (last, rows_after), spans = marks[0], marks[-1], len(marks) - 1
    return (last - first) / spans, (rows_after - rows_before) / spans


class Bench:
    """One head, one set of networks, both schedules."""

    def __init__(self, size: Size, device: torch.device, dtype: torch.dtype) -> None:
        config = RECIPES[RECIPE]
        self.config = replace(config, resolution=size.resolution, frame=size.frame)
        self.networks: Networks = random_networks(size, device, dtype)
        self.avatar: SplatAvatar = head("short hair").to(device)
        model = DiffusionModel(
            self.networks.unet, self.networks.vae, self.networks.scheduler, self.networks.controlnet, device=device
        )
        prompts = PromptTable(lambda texts: self.networks.encode_text(len(texts)), "a man with short brown hair")
        condition = HeadCondition(self.avatar.rig)
        self.guidance = Guidance(for_speed(model), self.networks.scheduler, prompts, condition)
        self.unet = Counter(self.networks.unet)
        self.accelerator = Accelerator(cpu=device.type == "cpu")

    def few(self, phase: Phase) -> Cost:
        """`ours` without inversions, and with targets of a few steps, which need no negative prompt."""
        if phase.method != "sdedit":
            return self.ours(replace(phase, inversions=0))
        few_step = replace(self.guidance, scheduler=LCMScheduler.from_config(self.networks.scheduler.config))
        return self.ours(replace(phase, edit_steps=FEW_STEPS, guidance_scale=1.0), few_step)

    def ours(self, phase: Phase, guidance: Guidance | None = None) -> Cost:
        """A few steps by the product's own loop, brought to full length."""
        shots = self.shots(phase)
        full = our_calls(phase, shots, self.config)
        short = replace(phase, steps=STEPS, densification=Densification())
        config = replace(
            self.config, phases=(short,), edit_pool=math.ceil((TARGET_BATCHES + 0.5) * self.config.batch / shots.all)
        )
        clock = Clock(self.unet)
        fit(self.avatar, short, guidance or self.guidance, config, self.accelerator, clock)
        step_seconds, step_rows = seconds_and_rows(clock.steps)
        if phase.method != "sdedit":
            return Cost(full, step_seconds / step_rows * full.unet_rows)
        batch_seconds, batch_rows = seconds_and_rows(clock.batches[:-1])  # the last batch may be a smaller one
        return Cost(full, batch_seconds / batch_rows * full.unet_rows + step_seconds * phase.steps)

    def original(self, phase: Phase) -> Cost:
        """A few steps one crop at a time, brought to full length."""
        full = original_calls(phase, self.shots(phase))
        short = replace(phase, steps=PEER_STEPS, densification=Densification())
        loop = OneCropAtATime(self.avatar, short, self.guidance, self.networks, self.config)
        sampler = self.sampler(phase)
        marks = []
        for index in range(PEER_STEPS):
            timestep = int(timesteps_of(short, index, 1, torch.Generator())[0])
            loop.step(index, timestep, sampler.views(index))
            marks.append((now(), self.unet.rows))
        seconds, rows = seconds_and_rows(marks)
        return Cost(full, seconds / rows * full.unet_rows)

    def sampler(self, phase: Phase) -> ViewSampler:
        return ViewSampler(self.avatar.rig, phase, self.config, motion_pool(self.avatar.rig, phase))

    def shots(self, phase: Phase) -> Shots:
        return Shots.of(self.sampler(phase), phase)


def run() -> list[Figure]:
    """Calls, minutes and memory of a portrait."""
    on_cuda = torch.cuda.is_available()
    device = torch.device("cuda" if on_cuda else "cpu")
    where = torch.cuda.get_device_name() if on_cuda else REDUCED.name
    bench = Bench(REAL if on_cuda else REDUCED, device, torch.float16 if on_cuda else torch.float32)
    phases = bench.config.phases
    ours = [bench.ours(phase) for phase in phases]
    peak = torch.cuda.max_memory_allocated() if on_cuda else 0
    few, theirs = [bench.few(phase) for phase in phases], [bench.original(phase) for phase in phases]
    figures = []
    for name, costs in (("refine a head", ours), (f"refine a head, {FEW}", few)):
        figures += _calls(name, costs, theirs)
        figures += [
            _minutes(f"{name}, {phase.name}, {where}", [mine], [peer])
            for phase, mine, peer in zip(phases, costs, theirs, strict=True)
        ]
        figures.append(_minutes(f"{name}, all phases, {where}", costs, theirs, has_goal=on_cuda))
    if on_cuda:
        figures.append(Figure(f"refine a head, peak GPU memory, {where}", peak / 1e9, "GB", GIGABYTES))
    return figures


def _calls(name: str, ours: Sequence[Cost], theirs: Sequence[Cost]) -> list[Figure]:
    mine, peers = (sum((cost.calls for cost in costs), Calls()) for costs in (ours, theirs))

    def figure(what: str, unit: str, value: float, peer: float, times: float = 1.0) -> Figure:
        return Figure(f"{name}, {what}", value, unit, peer / times, PEER, peer)

    return [
        figure("calls of the UNet", "calls", mine.unet, peers.unet, TIMES),
        figure("rows of the UNet", "rows", mine.unet_rows, peers.unet_rows),
        figure("rows of the ControlNet", "rows", mine.controlnet_rows, peers.controlnet_rows),
        figure("pictures through the VAE", "pictures", mine.pictures, peers.pictures),
    ]


def _minutes(name: str, ours: Sequence[Cost], theirs: Sequence[Cost], has_goal: bool = False) -> Figure:
    """Minutes at full length: at most the peer's, or with a goal 20 and a tenth of them."""
    mine, peers = (sum(cost.seconds for cost in costs) / 60 for costs in (ours, theirs))
    return Figure(name, mine, "min", min(MINUTES, peers / TIMES) if has_goal else peers, PEER, peers)


if __name__ == "__main__":
    print(table(run()))
