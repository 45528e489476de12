"""3DPortraitGAN-pyramid at its published size with random weights: seconds and memory of a pass, on this machine.

The peer is how the published network convolves planes: what the other two say is drawn out to whole maps beside each.
Memory is what a pass keeps for the way back, which an inversion pays in every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.figure import Figure, table
from pipeline.priors.portrait3d import stylegan2
from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.priors.portrait3d.trigrid import PLANES
from pipeline.stages.randomness import generator as draws

PEER = "planes drawn out, as published"
REPEATS = 2
GIGABYTES = 12.0
"""What the paper's whole method fits into."""


def drawn_out(x: Tensor, weights: Tensor, convolve: Callable[[Tensor, Tensor], Tensor], up: bool) -> Tensor:
    """The peer of `aware3d.convolve_aware`: the same operator with every mean as a map."""
    planes = x.unflatten(0, (-1, PLANES))
    down, across = planes.mean(dim=-2)[..., :, None], planes.mean(dim=-1)[..., None, :]

    def said(there: int, here: int) -> Tensor:
        source = (planes, down, across)[(there - here) % PLANES]
        return source[:, there].expand_as(planes[:, here])

    maps = [torch.cat([said(there, here) for there in range(PLANES)], dim=1) for here in range(PLANES)]
    return convolve(torch.stack(maps, dim=1).flatten(0, 1), weights)


def seconds(call: Callable[[], object]) -> float:
    """The least of a few calls: on CUDA by the clock, on a CPU of the processor, which other programs disturb less."""
    on_cuda = torch.cuda.is_available()
    clock = time.perf_counter if on_cuda else time.process_time
    best = float("inf")
    for _ in range(REPEATS):
        started = clock()
        call()
        if on_cuda:
            torch.cuda.synchronize()
        best = min(best, clock() - started)
    return best


@contextmanager
def kept_bytes() -> Iterator[dict[int, int]]:
    """Bytes that passes inside keep for the way back, by the place of their storage."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept


class Bench:
    """One generator and one portrait."""

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.where = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        self.network = Portrait3DGenerator().draw(draws(0, "generator benchmark")).requires_grad_(False).to(self.device)
        self.ws = torch.randn((1, self.network.size.num_ws, 512), generator=draws(0, "ws")).to(self.device)
        self.image = torch.zeros((1, 3, 128, 128), device=self.device)

    @torch.no_grad()
    def planes(self) -> None:
        self.network.planes(self.ws)

    def step_of_planes(self) -> int:
        """There and back; the bytes kept between."""
        ws = self.ws.clone().requires_grad_()
        with kept_bytes() as kept:
            loss = sum(level.square().mean() for level in self.network.planes(ws).levels)
        loss.backward()  # type: ignore[union-attr]
        return sum(kept.values())

    def step_of_pictures(self) -> int:
        """Background and super-resolution there and back; the bytes kept between."""
        ws = self.ws.clone().requires_grad_()
        with kept_bytes() as kept:
            picture = self.network.superresolution(self.image, self.network.background(ws), ws)
        picture.square().mean().backward()
        return sum(kept.values())


def run() -> list[Figure]:
    """Seconds and memory of the parts of an inversion's step that are the generator's."""
    bench = Bench()
    forward, step, gigabytes = _planes(bench)
    with patch.object(stylegan2, "convolve_aware", drawn_out):
        peer_forward, peer_step, peer_gigabytes = _planes(bench)
    name = f"generator, {bench.where}"
    return [
        Figure(f"{name}, tri-grid of a portrait", forward, "s", peer_forward, PEER, peer_forward),
        Figure(f"{name}, tri-grid with gradients", step, "s", peer_step, PEER, peer_step),
        Figure(f"{name}, kept for the gradients of a tri-grid", gigabytes, "GB", GIGABYTES, PEER, peer_gigabytes),
        Figure(f"{name}, background and 512² picture with gradients", seconds(bench.step_of_pictures), "s", 30.0),
        Figure(f"{name}, kept for the gradients of both", bench.step_of_pictures() / 1e9, "GB", GIGABYTES),
    ]


def _planes(bench: Bench) -> tuple[float, float, float]:
    """Seconds forward, seconds there and back, gigabytes kept between."""
    return seconds(bench.planes), seconds(bench.step_of_planes), bench.step_of_planes() / 1e9


if __name__ == "__main__":
    print(table(run()))
