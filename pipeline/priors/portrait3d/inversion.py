"""The generator's own portrait that looks like a picture: where the tri-grid of a sentence starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT, from_vector, to_vector
from pipeline.priors.portrait3d.config import INVERSION, InversionConfig
from pipeline.priors.portrait3d.decoder import LATENT
from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.priors.portrait3d.projector import Spread, project
from pipeline.priors.portrait3d.rendering import PORTRAIT3D, Rendering, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.stages.appearance import Compare
from pipeline.stages.journal import Journal
from pipeline.stages.randomness import generator as draws_for


@dataclass(frozen=True)
class Inverted:
    """What the generator needs to show the portrait."""

    ws: Tensor
    """(1, L, 512)."""
    noises: dict[str, Tensor]
    """(R, R) each, as `Portrait3DGenerator.noise_maps` names them."""


def invert(
    generator: Portrait3DGenerator,
    picture: Tensor,
    camera: Camera,
    config: InversionConfig,
    journal: Journal,
    *,
    compare: Compare,
    seed: int,
) -> Inverted:
    """Latents and noise with which the generator shows ``picture`` (3, H, W), -1..1, from ``camera``.

    The person is inverted into the pose of the generator's canonical body. Portrait3D's code also optimises six angles
    of neck and head, by which it bends the space round a licensed body; what comes after reads the canonical tri-grid
    alone, and a head that is turned is met by a camera that is. Raises `Interrupted` when the journal asks to stop.
    """
    generator = generator.requires_grad_(False).eval()
    maps = generator.noise_maps()
    device = next(generator.parameters()).device
    projected = project(
        _Picture(generator, camera, config, tuple(maps)),
        picture.to(device),
        spread(generator, config),
        tuple(maps.values()),
        compare,
        config,
        journal,
        seed,
    )
    return Inverted(projected.ws, dict(zip(maps, projected.noises, strict=True)))


@torch.no_grad()
def inverted_trigrid(generator: Portrait3DGenerator, inverted: Inverted) -> TriGrid:
    """The tri-grid of an inversion, on the generator's device."""
    device = next(generator.parameters()).device
    noises = {name: noise.to(device) for name, noise in inverted.noises.items()}
    return generator.planes(inverted.ws.to(device), noises)


@torch.no_grad()
def spread(generator: Portrait3DGenerator, config: InversionConfig) -> Spread:
    """Where the generator's latents for people who look at the camera lie."""
    front = to_vector(PORTRAIT3D_ORBIT.camera(90.0, 90.0, 1))
    noise = torch.randn(config.mean_samples, LATENT, generator=draws_for(config.mean_seed, INVERSION, "mean"))
    device = next(generator.parameters()).device
    return Spread.of(generator.mapping(noise.to(device), front.to(device).expand(len(noise), -1)))


def portrait_of(
    generator: Portrait3DGenerator,
    trigrid: TriGrid,
    camera: Camera,
    config: InversionConfig,
    draws: torch.Generator | None = None,
) -> Tensor:
    """The generator's picture (3, S, S), about -1..1: a tri-grid before its background, enlarged and sharpened."""
    seen = _rendered(generator, trigrid, camera, config, draws)
    return generator.superresolution(seen.image[None], seen.features[None], trigrid.ws)[0]


def _rendered(
    generator: Portrait3DGenerator,
    trigrid: TriGrid,
    camera: Camera,
    config: InversionConfig,
    draws: torch.Generator | None,
) -> Rendering:
    options = replace(PORTRAIT3D, coarse=config.samples, fine=config.samples)
    side = generator.size.background_resolution
    small = from_vector(to_vector(camera), side, side)
    background = generator.background(trigrid.ws)
    return render(trigrid, generator.painter, small, options, background=background, draws=draws)


class _Picture:
    """The `Synthesis` of a generator for one camera."""

    def __init__(
        self, generator: Portrait3DGenerator, camera: Camera, config: InversionConfig, names: tuple[str, ...]
    ) -> None:
        self._generator, self._camera, self._config, self._names = generator, camera, config, names

    def __call__(self, ws: Tensor, noises: Sequence[Tensor], draws: torch.Generator) -> Tensor:
        trigrid = self._generator.planes(ws, dict(zip(self._names, noises, strict=True)))
        return portrait_of(self._generator, trigrid, self._camera, self._config, draws)
