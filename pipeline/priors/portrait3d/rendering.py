"""Pictures of a tri-grid by volume rendering, exactly as Portrait3D does it, differentiable, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.sampling import coarse_depths, fine_depths, interval_weights, shares
from pipeline.priors.portrait3d.trigrid import TriGrid, crop_mask

OUTSIDE = -1000.0
"""Raw density beside the portrait."""


@dataclass(frozen=True)
class RenderOptions:
    """How rays are sampled. Lengths are in units of the world that the camera stands in."""

    near: float
    """Distance from the camera at which samples begin."""
    far: float
    coarse: int
    """Samples of the first pass, in equal intervals."""
    fine: int
    """Samples of the second, where the first has met something."""
    scale: float
    """Units of the world per unit of the grid."""
    crop: float = 0.28
    """Half the width and depth of what is shown of the grid, in its own units: the rest is junk."""
    chunk: int = 4096
    """Rays at a time, which bounds the memory."""


PORTRAIT3D = RenderOptions(near=2.35, far=3.12, coarse=96, fine=96, scale=1.0)
"""Portrait3D's scripts for pictures; its score distillation and its fit take 48 + 48 samples."""
ANIMPORTRAIT3D = RenderOptions(near=1.6, far=3.85, coarse=96, fine=96, scale=3.0)


@dataclass(frozen=True)
class Rendering:
    """What a camera sees."""

    image: Tensor
    """(3, H, W) display sRGB in −1..1, a little beyond where colours are very bright or dark; not clamped."""
    features: Tensor
    """(32, H, W) the channels that the image was made of, over the background."""
    alpha: Tensor
    """(H, W) coverage 0..1: the sum of the weights along the ray."""
    depth: Tensor
    """(H, W) mean distance from the camera along the ray; the far end where nothing is met."""
    entropy: Tensor | None = None
    """(H, W) bits: mean entropy of the weights along the ray, by which the score distillation keeps air clear; of
    `render` alone."""

    @property
    def mask(self) -> Tensor:
        """(H, W) the coverage as Portrait3D's losses take it: a little steeper, −0.001 to 1.001."""
        return self.alpha * 1.002 - 0.001


def render(
    trigrid: TriGrid,
    painter: Painter,
    camera: Camera,
    options: RenderOptions,
    *,
    background: Tensor | None = None,
    draws: torch.Generator | None = None,
) -> Rendering:
    """A picture, differentiable with respect to the tri-grid and the painter.

    ``background`` (1, 32, h, w) is resized to the picture and composited as features, before they become colours;
    without one, uncovered pixels have the colour of no features. ``draws`` is a generator of the CPU for the places of
    the samples; without one each lies in the middle of its interval. Where gradients are asked for, each chunk of rays
    is computed again on the way back instead of kept.
    Source: Portrait3D, section 3.2 and its renderer; the ray's colour channels are made from the hidden units that it
    has collected, which is the same sum in another order.
    """
    origin, directions = rays(camera, trigrid.levels[0])
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (*trigrid.levels, *painter.parameters()))
    parts = []
    for chunk, jitter, u in _chunks(directions, options, draws):
        arguments = (trigrid, painter, origin, chunk, jitter, u, options)
        if keep:  # nothing is drawn inside, so that no state of generators need be kept
            parts.append(checkpoint(_march, *arguments, use_reentrant=False, preserve_rng_state=False))
        else:
            parts.append(_march(*arguments))
    features, alpha, depth, entropy = (torch.cat(column) for column in zip(*parts, strict=True))
    if background is not None:
        features = features + (1 - alpha)[:, None] * _resized(background.to(features), camera)
    with torch.autocast(origin.device.type, enabled=False):
        seen = rendering_of(features, alpha, depth, painter.paint(features, trigrid.ws), camera)
    return replace(seen, entropy=entropy.view(camera.height, camera.width))


def rays(camera: Camera, like: Tensor) -> tuple[Tensor, Tensor]:
    """The camera's place (3,) and the unit directions (H · W, 3) through its pixels' middles, row by row."""
    viewmat, K = camera.viewmat.to(like.device, torch.float64), camera.K.to(like.device, torch.float64)
    rows = torch.arange(camera.height, device=like.device, dtype=torch.float64) + 0.5
    columns = torch.arange(camera.width, device=like.device, dtype=torch.float64) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    y = (v - K[1, 2]) / K[1, 1]
    x = (u - K[0, 2] - K[0, 1] * y) / K[0, 0]
    directions = functional.normalize(torch.stack([x, y, torch.ones_like(x)], dim=-1).view(-1, 3), dim=1)
    return (-viewmat[:3, :3].T @ viewmat[:3, 3]).to(like.dtype), (directions @ viewmat[:3, :3]).to(like.dtype)


def rendering_of(features: Tensor, alpha: Tensor, depth: Tensor, image: Tensor, camera: Camera) -> Rendering:
    """Rays' features (H · W, 32), coverage, depth (H · W) and colours (H · W, 3) as pictures."""
    shape = (camera.height, camera.width)
    return Rendering(image.T.view(3, *shape), features.T.view(-1, *shape), alpha.view(shape), depth.view(shape))


def density(trigrid: TriGrid, painter: Painter, points: Tensor) -> Tensor:
    """Raw density (M,) at points (M, 3) in the grid's units; the surface is at about 15; nothing is cropped."""
    return painter.density(painter.hidden(trigrid.sample(points)))


def _chunks(
    directions: Tensor, options: RenderOptions, draws: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Directions, places in the coarse intervals and in the fine distribution of some rays at a time."""
    for chunk in directions.split(options.chunk):
        if draws is None:
            jitter = chunk.new_full((len(chunk), options.coarse), 0.5)
            places = (torch.arange(options.fine, dtype=chunk.dtype, device=chunk.device) + 0.5) / options.fine
            yield chunk, jitter, places.expand(len(chunk), -1)
        else:
            drawn = torch.rand(len(chunk), options.coarse + options.fine, generator=draws).to(chunk)
            yield chunk, drawn[:, : options.coarse], drawn[:, options.coarse :]


def _march(
    trigrid: TriGrid, painter: Painter, origin: Tensor, directions: Tensor, jitter: Tensor, u: Tensor,
    options: RenderOptions,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Colour channels (rays, 32), coverage, depth and entropy of the weights (rays,) of some rays."""

    def look(depths: Tensor) -> tuple[Tensor, Tensor]:
        points = (origin + depths[..., None] * directions[:, None]).view(-1, 3) / options.scale
        hidden = painter.hidden(trigrid.sample(points))
        sigma = painter.density(hidden).to(points.dtype)
        sigma = torch.where(crop_mask(points, options.crop), sigma, OUTSIDE)
        return hidden.view(*depths.shape, -1), sigma.view(depths.shape)

    depths = coarse_depths(options.near, options.far, jitter)
    hidden, sigma = look(depths)
    with torch.no_grad():
        more = fine_depths(depths, interval_weights(depths, sigma), u)
    more_hidden, more_sigma = look(more)
    depths, order = torch.cat([depths, more], dim=1).sort(dim=1)
    sigma = torch.cat([sigma, more_sigma], dim=1).gather(1, order)
    share = shares(depths, sigma)
    of_sample = share.samples.gather(1, order.argsort(dim=1))
    with torch.autocast(origin.device.type, enabled=False):
        coarse, fine = of_sample[:, None].split((options.coarse, options.fine), dim=2)
        collected = (coarse @ hidden.to(coarse) + fine @ more_hidden.to(fine))[:, 0]
        return painter.colors(collected, share.total), share.total, share.depth, share.entropy


def _resized(background: Tensor, camera: Camera) -> Tensor:
    """(H · W, 32)"""
    size = (camera.height, camera.width)
    return functional.interpolate(background, size, mode="bilinear", antialias=True)[0].flatten(1).T
