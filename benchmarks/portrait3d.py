"""Text to a tri-grid by Portrait3D's method: seconds of a step of each phase, minutes in all, and memory.

The product's own loops run a few steps, from which full length is extrapolated. On CUDA the generator has its published
size and the diffusion model that of Stable Diffusion 1.5, both with random weights, and the paper's minutes on an RTX
4090 stand beside. On a CPU both are reduced: its minutes tell whether a change makes a phase slower, nothing of the
published size.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.diffusion_sizes import REAL, REDUCED, random_networks
from benchmarks.figure import Figure, table
from benchmarks.guidance import now
from pipeline.guidance.diffusion import DiffusionModel, for_speed
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.priors.portrait3d.distillation import distill
from pipeline.priors.portrait3d.generator import PUBLISHED, GeneratorSize, Portrait3DGenerator
from pipeline.priors.portrait3d.inversion import invert
from pipeline.priors.portrait3d.text_to_trigrid import comparison_without_lpips
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts
from pipeline.priors.portrait3d.view_refinement import fit_views, refined_views, view_cameras
from pipeline.stages.journal import Journal, Progress
from pipeline.stages.randomness import generator as draws

PEER = "the paper, RTX 4090"
MINUTES = {"inversion": 4.0, "score distillation": 22.0, "refinement": 5.0}
"""The paper's section 4.2."""
GIGABYTES = 12.0
CPU_SECONDS = 5.0
"""Goal for a step of the reduced size."""
STEPS = 4
"""That are measured, the first of which warms up."""
SMALL = GeneratorSize(
    grid_resolution=64, image_resolution=128, background_base=2048, background_max=64, superresolution_widths=(32, 16)
)


class Clock(Journal):
    """Notes the time after every step."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def step(self, progress: Progress, shown: object, state: object) -> None:
        self.marks.append(now())

    @property
    def seconds(self) -> float:
        """Mean from one step to the next."""
        return (self.marks[-1] - self.marks[0]) / (len(self.marks) - 1)


@dataclass(frozen=True)
class Phase:
    """What one costs."""

    name: str
    step: float
    """Seconds."""
    minutes: float
    """At full length."""


class Bench:
    """One generator, one diffusion model, one portrait of nobody."""

    def __init__(self, device: torch.device) -> None:
        on_cuda = device.type == "cuda"
        size, networks_size = (PUBLISHED, REAL) if on_cuda else (SMALL, REDUCED)
        self.full = Portrait3DConfig()
        self.config = self.full if on_cuda else _reduced(self.full, networks_size.resolution)
        networks: Any = random_networks(networks_size, device, torch.float16 if on_cuda else torch.float32)
        self.scheduler = networks.scheduler
        self.model = for_speed(DiffusionModel(networks.unet, networks.vae, networks.scheduler, device=device))
        self.prompts = ViewPrompts(lambda texts: networks.encode_text(len(texts)), "a man with short brown hair", "")
        self.network = Portrait3DGenerator(size).draw(draws(0, "benchmark")).requires_grad_(False).to(device)
        ws = torch.randn((1, size.num_ws, 512), generator=draws(0, "ws")).to(device)
        with torch.no_grad():
            self.trigrid: TriGrid = self.network.planes(ws)

    def phases(self) -> list[Phase]:
        """Each measured for a few steps."""
        return [self.inversion(), self.distillation(), self.refinement()]

    def inversion(self) -> Phase:
        config = replace(self.config.inversion, steps=STEPS)
        size = self.network.size.image_resolution
        target = torch.zeros(3, size, size)
        camera = PORTRAIT3D_ORBIT.camera(90.0, 90.0, size)
        compare = comparison_without_lpips(lambda sentence: None)
        seconds = _timed(lambda clock: invert(self.network, target, camera, config, clock, compare=compare, seed=0))
        return Phase("inversion", seconds, seconds * self.full.inversion.steps / 60)

    def distillation(self) -> Phase:
        config = replace(self.config.distillation, steps=STEPS)
        painter = self.network.painter
        seconds = _timed(lambda clock: distill(self.trigrid, painter, self.model, self.prompts, config, clock, seed=0))
        return Phase("score distillation", seconds, seconds * self.full.distillation.steps / 60)

    def refinement(self) -> Phase:
        """A step is one of the fit; the minutes hold the edited views too."""
        config = replace(self.config.view_refinement, horizontal=2, vertical=(90.0,), epochs=STEPS // 2)
        cameras, painter = view_cameras(config, 0), self.network.painter
        with torch.no_grad():
            background: Tensor = self.network.background(self.trigrid.ws)
        started = now()
        views = refined_views(
            self.trigrid, painter, background, cameras, self.model, self.scheduler, self.prompts, config, Journal()
        )
        view = (now() - started) / len(cameras)
        seconds = _timed(lambda clock: fit_views(self.trigrid, painter, cameras, views, config, clock, seed=0))
        full = self.full.view_refinement
        return Phase("refinement", seconds, (seconds * full.steps + view * full.views) / 60)


def run() -> list[Figure]:
    """Seconds of a step, and minutes and memory of a portrait."""
    on_cuda = torch.cuda.is_available()
    where = torch.cuda.get_device_name() if on_cuda else f"CPU, {REDUCED.name}"
    phases = Bench(torch.device("cuda" if on_cuda else "cpu")).phases()
    name = f"text to tri-grid, {where}"
    if not on_cuda:
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        figures = [Figure(f"{name}, {phase.name}, a step", phase.step, "s", CPU_SECONDS) for phase in phases]
        return [*figures, Figure(f"{name}, peak memory of the process", gigabytes, "GB", GIGABYTES)]
    figures = [
        Figure(f"{name}, {phase.name}", phase.minutes, "min", MINUTES[phase.name], PEER, MINUTES[phase.name])
        for phase in phases
    ]
    total, paper = sum(phase.minutes for phase in phases), sum(MINUTES.values())
    peak = torch.cuda.max_memory_allocated() / 1e9
    return [
        *figures,
        Figure(f"{name}, all phases", total, "min", paper, PEER, paper),
        Figure(f"{name}, peak GPU memory", peak, "GB", GIGABYTES, PEER, GIGABYTES),
    ]


def _timed(work: Callable[[Clock], object]) -> float:
    clock = Clock()
    work(clock)
    return clock.seconds


def _reduced(config: Portrait3DConfig, resolution: int) -> Portrait3DConfig:
    """Sizes for a CPU: a quarter of the published rays' samples, and small pictures."""
    return replace(
        config,
        inversion=replace(config.inversion, samples=24, compared_size=64),
        distillation=replace(
            config.distillation, size=32, encoded_size=resolution, samples=12, learning_rates=(1.0,) * 4
        ),
        view_refinement=replace(config.view_refinement, size=resolution, patch=32, view_samples=24, samples=12),
    )


if __name__ == "__main__":
    print(table(run()))
