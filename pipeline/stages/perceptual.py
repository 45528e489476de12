"""LPIPS: how different two pictures look to a network that was trained to see (Zhang et al., CVPR 2018).

VGG16's features come from torchvision's weights, the heads from the authors' version 0.1; both are on the Hub as
safetensors, which hold numbers and nothing that runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.functional import normalize

from pipeline.errors import UserError


class HubFile(NamedTuple):
    """One file of a repository at one commit."""

    repo_id: str
    filename: str
    revision: str


VGG16 = HubFile("timm/vgg16.tv_in1k", "model.safetensors", "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f")
"""BSD-3-Clause, 553 MB; ``features.N.weight`` and ``bias`` as torchvision names them."""
HEADS = HubFile("vivym/lpips", "vgg_lpips_linear.safetensors", "270571f1fb2a2c4c5f920cec96cd87838c345982")
"""Apache-2.0, 6 kB; ``0.weight`` to ``4.weight``, (1, C, 1, 1) each."""
LPIPS_FILES = (VGG16, HEADS)
"""What must be fetched, by ``hf_hub_download(**file._asdict())``, before `find_lpips` finds it."""

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG16's convolutions; a halving lies between two blocks (Simonyan and Zisserman, 2015, D)."""
MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of LPIPS's input, for pictures in −1..1."""


class Lpips(nn.Module):
    """Pictures and targets (B, 3, H, W) 0..1, at least 16 pixels a side → distances (B,), differentiable."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())
        self.heads = nn.ParameterList([nn.Parameter(torch.zeros(1, block[-1], 1, 1)) for block in BLOCKS])
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Mean over the picture of the weighted squared differences of unit features, summed over five depths."""
        total = images.new_zeros(len(images))
        x, y = self._scaled(images), self._scaled(targets)
        heads = iter(self.heads)
        for layer, ends in zip(self.features, _ends_of_blocks(), strict=True):
            x, y = layer(x), layer(y)
            if ends:
                squared = (normalize(x, dim=1, eps=1e-10) - normalize(y, dim=1, eps=1e-10)).square()
                total = total + (next(heads) * squared).sum(1).flatten(1).mean(1)
        return total

    def _scaled(self, images: Tensor) -> Tensor:
        return (2 * images - 1 - self.mean) / self.deviation


def find_lpips() -> Lpips | None:
    """LPIPS from this machine's cache of the Hub; None where its files are not. Never asks the network.

    Raises `UserError` when a file is there and is not what it should be.
    """
    paths = [try_to_load_from_cache(file.repo_id, file.filename, revision=file.revision) for file in LPIPS_FILES]
    vgg16, heads = paths
    if not isinstance(vgg16, str) or not isinstance(heads, str):
        return None
    return load_lpips(Path(vgg16), Path(heads))


def load_lpips(vgg16: Path, heads: Path) -> Lpips:
    """LPIPS from its two safetensors files. Raises `UserError` when one does not hold what it should."""
    lpips = Lpips()
    _fill(lpips.features.named_parameters(prefix="features"), vgg16)
    _fill(((f"{depth}.weight", head) for depth, head in enumerate(lpips.heads)), heads)
    return lpips.eval()


def _layers() -> list[nn.Module]:
    """As torchvision numbers them: convolution, ReLU, …, with a halving after each block but the last."""
    layers: list[nn.Module] = []
    channels = 3
    for block in BLOCKS:
        if layers:
            layers.append(nn.MaxPool2d(2))
        for out in block:
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
            channels = out
    return layers


def _ends_of_blocks() -> list[bool]:
    """Of each layer, whether LPIPS looks at what comes out: the last ReLU of each block."""
    ends: list[bool] = []
    for index, block in enumerate(BLOCKS):
        ends += [False] * ((index > 0) + 2 * len(block) - 1) + [True]
    return ends


def _fill(parameters: Iterable[tuple[str, Tensor]], path: Path) -> None:
    try:
        with safe_open(path, "pt") as file, torch.no_grad():
            for name, parameter in parameters:
                parameter.copy_(file.get_tensor(name).view_as(parameter))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UserError(f"{path} is not the part of LPIPS that it should be ({error}); delete and fetch it") from error
