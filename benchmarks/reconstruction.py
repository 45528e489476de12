"""From a density to what a rigged start needs: its surface."""

from __future__ import annotations

from collections.abc import Callable

import torch
from skimage.measure import marching_cubes
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from benchmarks import head_fit
from benchmarks.figure import Figure, best_ms, table
from pipeline.reconstruction.multiview import Surface
from pipeline.reconstruction.surface import decimate, extract_surface

RESOLUTION = 256
LEVEL = 15.0
CHUNK = 262_144
PEER = "scikit-image 0.26 marching cubes on every grid point"


def run() -> list[Figure]:
    """Seconds, a density that costs about as much as a tri-grid's with its levels fused included."""
    density = _density()
    ours = best_ms(lambda: _extract(density), repeats=2, warm_up=1) / 1e3
    peer = best_ms(lambda: _everywhere(density), repeats=1, warm_up=0) / 1e3
    surface = _extract(density)
    fewer = best_ms(lambda: decimate(surface), repeats=2, warm_up=0) / 1e3
    what = f"{RESOLUTION}³, {len(surface.faces)} faces"
    return [
        Figure(f"surface of a density, {what}", ours, "s", 6.0, PEER, peer),
        Figure(f"the same with 60 000 faces, {what}", fewer, "s", 2.0),
        *head_fit.figures(),
    ]


def _density() -> Callable[[Tensor], Tensor]:
    """A lumpy head: a ball and noise of many sizes, asked for as a tri-grid is, by three planes of features 3 deep."""
    draws = torch.Generator().manual_seed(0)
    planes = torch.zeros(3, 12, 3, 512, 512)
    for size in (8, 16, 32, 64):
        planes += interpolate(torch.randn(3, 12, 3, size, size, generator=draws), (3, 512, 512)) / size

    @torch.no_grad()
    def density(points: Tensor) -> Tensor:
        axes = torch.stack([points, points.roll(1, 1), points.roll(2, 1)])[:, None, None]
        lumps = grid_sample(planes, axes, align_corners=False).sum((0, 1))[0, 0]
        return LEVEL + 60 * (0.7 - points.norm(dim=1)) + lumps

    return density


def _extract(density: Callable[[Tensor], Tensor]) -> Surface:
    return extract_surface(density, -torch.ones(3), torch.ones(3), RESOLUTION, LEVEL)


def _everywhere(density: Callable[[Tensor], Tensor]) -> object:
    axis = torch.linspace(-1, 1, RESOLUTION + 1)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(-1, 3)
    values = torch.cat([density(chunk) for chunk in points.split(CHUNK)])
    return marching_cubes(values.view(RESOLUTION + 1, RESOLUTION + 1, -1).numpy(), LEVEL)


if __name__ == "__main__":
    print(table(run()))
