"""3DPortraitGAN-pyramid: from noise and a camera to a tri-grid, its background, and a picture of 512².

Portrait3D (Wu et al., SIGGRAPH 2024), section 3.2. A 2D branch (StyleGAN2, skip architecture) makes the three planes as
one image; at each of its resolutions a 3D branch (`aware3d`) turns them, with what it made at the resolution before,
into planes of twice the resolution: the levels of the pyramid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.priors.portrait3d.decoder import COLORS, LATENT, Painter
from pipeline.priors.portrait3d.generator_state import Report, load_state
from pipeline.priors.portrait3d.layers import FullyConnected
from pipeline.priors.portrait3d.stylegan2 import (
    MappingNetwork,
    Modulated,
    Noise,
    SynthesisBlock,
    SynthesisNetwork,
    resolutions_up_to,
    slices,
)
from pipeline.priors.portrait3d.superresolution import SuperResolution
from pipeline.priors.portrait3d.trigrid import CHANNELS, PLANES, TriGrid

__all__ = ["PUBLISHED", "GeneratorSize", "Portrait3DGenerator", "Report", "load_state"]

CAMERA = 25
"""Numbers of a camera: camera-to-world 4×4, then normalised intrinsics 3×3."""
POSE = 6
"""Axis-angles of the neck and head of the body that the portrait was trained on; zeros are the canonical pose."""


@dataclass(frozen=True)
class GeneratorSize:
    """How large the networks are; the defaults are the published ones."""

    grid_resolution: int = 512
    """Side of the finest level's maps; the 2D branch ends at half of it."""
    image_resolution: int = 512
    """Side of the picture behind the super-resolution; features and background have a quarter of it."""
    background_base: int = 32768
    """The background's network is this many channels wide, divided by the resolution,"""
    background_max: int = 512
    """and at most so many."""
    superresolution_widths: tuple[int, int] = (256, 128)
    """Channels at half and at full resolution of the picture."""

    def __post_init__(self) -> None:
        if self.background_resolution > self.grid_resolution // 2:
            raise ValueError(f"a picture of {self.image_resolution} needs more styles than the tri-grid has")

    @property
    def background_resolution(self) -> int:
        return self.image_resolution // 4

    @property
    def num_ws(self) -> int:
        """Rows of ws."""
        return 2 * len(resolutions_up_to(self.grid_resolution // 2))


PUBLISHED = GeneratorSize()


class Aware3DBlock(nn.Module):
    """One level of the 3D branch."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.block = SynthesisBlock(CHANNELS, CHANNELS, LATENT, 2 * resolution, CHANNELS, rolled=True)

    def forward(self, level: Tensor | None, image: Tensor, w: Tensor, noise: Noise) -> Tensor:
        """The level before (3·B,36,R,R), the 2D branch's image (B,108,R,R) and one w (B,512): (3·B,36,2R,2R)."""
        planes = image.unflatten(1, (PLANES, CHANNELS)).flatten(0, 1)
        if level is not None:
            planes = planes + level
        return self.block(planes, None, w[:, None].expand(-1, 3, -1), noise)[1]


class PyramidSynthesis(nn.Module):
    """Both branches: blocks ``b4``, ``b8`` … and ``b3d4``, ``b3d8`` …, every 2D block as wide as its image."""

    def __init__(self, grid_resolution: int) -> None:
        super().__init__()
        self.resolutions = resolutions_up_to(grid_resolution // 2)
        width = PLANES * CHANNELS
        for r in self.resolutions:
            self.add_module(f"b{r}", SynthesisBlock(0 if r == 4 else width, width, LATENT, r, width))
            self.add_module(f"b3d{r}", Aware3DBlock(r))

    def forward(self, ws: Tensor, noise: Noise) -> tuple[Tensor, ...]:
        """ws (B,num_ws,512) → levels (B,3,36,R,R), R = 8, 16 …"""
        blocks = [self.get_submodule(f"b{r}") for r in self.resolutions]
        x = image = level = None
        levels = []
        for r, block, own in zip(self.resolutions, blocks, slices(ws, blocks), strict=True):  # type: ignore[arg-type]
            x, image = block(x, image, own, noise)
            level = self.get_submodule(f"b3d{r}")(level, image, own[:, -1], noise)
            levels.append(level.unflatten(0, (-1, PLANES)))
        return tuple(levels)


class Backbone(nn.Module):
    """The network of styles and the one of planes."""

    def __init__(self, size: GeneratorSize) -> None:
        super().__init__()
        self.mapping = MappingNetwork(LATENT, CAMERA + POSE, LATENT, size.num_ws, layers=2)
        self.synthesis = PyramidSynthesis(size.grid_resolution)


class Portrait3DGenerator(nn.Module):
    """The whole generator. Cameras are EG3D's 25 numbers; everything is float32 and differentiable."""

    def __init__(self, size: GeneratorSize = PUBLISHED) -> None:
        super().__init__()
        self.size = size
        self.backbone = Backbone(size)
        self.bcg_synthesis = SynthesisNetwork(
            LATENT,
            size.background_resolution,
            COLORS,
            channel_base=size.background_base,
            channel_max=size.background_max,
        )
        self.superresolution = SuperResolution(size.image_resolution, size.superresolution_widths)
        self.painter = Painter()

    def mapping(self, z: Tensor, camera: Tensor) -> Tensor:
        """Styles ws (B,num_ws,512) of noise z (B,512) and a camera (B,25), for the canonical body."""
        return self.backbone.mapping(z, torch.cat([camera, camera.new_zeros(len(camera), POSE)], dim=1))

    def planes(self, ws: Tensor, noise: Noise | Mapping[str, Tensor] = "const") -> TriGrid:
        """The tri-grid of ws (1,num_ws,512), differentiable with respect to ws and to noise maps given by name.

        `noise` is ``"const"`` (the stored maps), ``"none"``, a CPU generator that draws new ones, or maps as
        `noise_maps` names them, e.g. while they are being optimised.
        """
        if not isinstance(noise, Mapping):
            return TriGrid(self.backbone.synthesis(ws, noise), ws)
        if unknown := sorted(noise.keys() - self.noise_maps().keys()):
            raise ValueError(f"the generator has no noise map {unknown[0]!r}")
        return TriGrid(functional_call(self.backbone.synthesis, dict(noise), (ws, "const")), ws)

    def noise_maps(self) -> dict[str, Tensor]:
        """The stored noise of every layer that makes planes, (R,R) each, by name; an inversion optimises copies."""
        buffers = self.backbone.synthesis.named_buffers()
        return {name: map_ for name, map_ in buffers if name.endswith("noise_const")}

    def background(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """Features behind the portrait, (B,32,R,R) with R a quarter of the picture's side, of ws (B,num_ws,512)."""
        return self.bcg_synthesis(ws[:, : self.bcg_synthesis.num_ws], noise)

    def draw(self, draws: torch.Generator) -> Portrait3DGenerator:
        """Weights as training begins with them, from this CPU generator: a portrait of nobody, of the right ranges."""
        for module in self.modules():
            if isinstance(module, FullyConnected | Modulated | SynthesisBlock):
                module.draw(draws)
        with torch.no_grad():
            self.painter.torgb.weight.copy_(torch.randn(self.painter.torgb.weight.shape, generator=draws))
        return self
