"""A tri-grid at its published size, drawn 512² by the fast renderer and by the plain one, and trained through.

The scene is a head in closed form (a relief of a built-in head, of which the finest level holds everything), so that
most of space is empty, as in a portrait; noise in place of weights would be dense everywhere. The plain renderer is the
peer: every one of 96 + 96 samples looked up in all seven levels. On CUDA training is measured at full size, on a CPU
with small pictures, whose gradients nevertheless reach all 38 million numbers.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.figure import Figure, table
from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import ANIMPORTRAIT3D_ORBIT, PORTRAIT3D_ORBIT, sampled_camera
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.fast_rendering import FastRenderer
from pipeline.priors.portrait3d.rendering import ANIMPORTRAIT3D, PORTRAIT3D, Rendering, render
from pipeline.priors.portrait3d.trigrid import RESOLUTIONS, TriGrid
from tests.priors.portrait3d.relief import known_scene

PEER = "the plain renderer, 96 + 96 samples"
SIDE = 512
VIEWS = 120
"""That a rigged start is made from."""
MS, TIMES, GREY_LEVELS, GIGABYTES = 2000.0, 4.0, 1.0, 12.0
"""Goals."""
T = TypeVar("T")
TRAINING = replace(PORTRAIT3D, coarse=48, fine=48)


def run() -> list[Figure]:
    """Milliseconds, grey levels and memory."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scene = known_scene(RESOLUTIONS)
    trigrid, painter = scene.trigrid.to(device), scene.painter.to(device)
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    sides = (128, 256, SIDE) if device == "cuda" else (32, 64)
    return [
        *_drawn(trigrid, painter, where),
        *(_trained(trigrid, painter, side, where) for side in sides),
        _peak(where),
    ]


def _drawn(trigrid: TriGrid, painter: Painter, where: str) -> list[Figure]:
    """Both renderers on the same view."""
    camera = sampled_camera(60, 100, SIDE, ANIMPORTRAIT3D_ORBIT)
    made, fast = _timed(lambda: FastRenderer(trigrid, painter, ANIMPORTRAIT3D))
    fast.render(camera)
    ours, found = min((_timed(lambda: fast.render(camera)) for _ in range(5)), key=lambda pair: pair[0])
    with torch.no_grad():
        peer, expected = _timed(lambda: render(trigrid, painter, camera, ANIMPORTRAIT3D))
    views = (made + VIEWS * ours) / 1e3
    what = f"tri-grid, {SIDE}², {where}"
    return [
        Figure(f"draw a {what}", ours, "ms", min(MS, peer / TIMES), PEER, peer),
        Figure(f"prepare to draw a {what}", made, "ms", 10_000),
        Figure(f"{VIEWS} views of a {what}, extrapolated", views, "s", MS * VIEWS / 1e3, PEER, peer * VIEWS / 1e3),
        Figure(f"largest difference from the plain picture, {what}", _difference(found, expected), "/255", GREY_LEVELS),
    ]


def _trained(trigrid: TriGrid, painter: Painter, side: int, where: str) -> Figure:
    """A picture with its gradient, as a step of score distillation or of a fit needs them; 48 + 48 samples."""
    levels = tuple(level.clone().requires_grad_() for level in trigrid.levels)
    camera = _patch(side)
    asked = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0)).to(levels[0])

    def step() -> tuple[Tensor, ...]:
        image = render(TriGrid(levels, trigrid.ws), painter, camera, TRAINING).image
        return torch.autograd.grad([image], levels, [asked])

    step()
    ms = min(_timed(step)[0] for _ in range(3))
    return Figure(f"tri-grid forward and backward, {side}², 48 + 48 samples, {where}", ms, "ms", 1000)


def _patch(side: int) -> Camera:
    return sampled_camera(100, 90, side, PORTRAIT3D_ORBIT)


def _peak(where: str) -> Figure:
    """Of everything above."""
    on_cuda = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if on_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figure(f"tri-grid, peak memory of drawing and training, {where}", peak / 1e9, "GB", GIGABYTES)


def _difference(found: Rendering, expected: Rendering) -> float:
    """Grey levels."""
    return float((found.image.clamp(-1, 1) - expected.image.clamp(-1, 1)).abs().max()) * 127.5


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    """Milliseconds of one call, and its result."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - started) * 1e3, result


if __name__ == "__main__":
    print(table(run()))
