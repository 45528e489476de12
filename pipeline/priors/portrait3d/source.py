"""A tri-grid as a static head that can be looked at: in AnimPortrait3D's world, with its cameras."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import ANIMPORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.fast_rendering import FastRenderer
from pipeline.priors.portrait3d.rendering import ANIMPORTRAIT3D, Rendering, RenderOptions
from pipeline.priors.portrait3d.trigrid import HALF_SIDE, TriGrid
from pipeline.reconstruction.multiview import Observed, Surface, Views
from pipeline.reconstruction.smoothing import smooth
from pipeline.reconstruction.surface import decimate, extract_surface
from pipeline.rendering.mesh import vertex_normals
from pipeline.stages.cameras import Orbit

LEVEL = 15.0
"""Raw density of the surface (both papers' scripts)."""
RESOLUTION = 256
"""Cells of AnimPortrait3D's lattice across the grid."""
POINTS = 1 << 18
"""Points whose colour is computed at once."""
FAINTEST = 1 / 512
"""Coverage below which a pixel has no colour of its own."""


class TriGridSource:
    """See `Source`. Tri-grid and painter are on one device, where pictures are made and the surface is found."""

    def __init__(
        self,
        trigrid: TriGrid,
        painter: Painter,
        options: RenderOptions = ANIMPORTRAIT3D,
        *,
        resolution: int = RESOLUTION,
    ) -> None:
        """``resolution``: cells of the surface's lattice across the grid."""
        self.trigrid, self._painter, self._options, self._cells = trigrid, painter, options, resolution

    @property
    def orbit(self) -> Orbit:
        """AnimPortrait3D's: round the origin, looking at a point above it."""
        return ANIMPORTRAIT3D_ORBIT

    @torch.no_grad()
    def look(self, cameras: Sequence[Camera]) -> Views:
        """Pictures without the generator's background."""
        return Views(tuple(cameras), torch.stack([self._picture(self._fast.render(camera)) for camera in cameras]))

    @torch.no_grad()
    def surface(self) -> Surface:
        """Where the raw density is 15, cut off where the renderer crops, smoothed, coloured as just below the surface.

        Raises `UserError` for a portrait of nobody: one that is nowhere, or everywhere, dense.
        """
        half = self._options.scale * torch.tensor([self._options.crop, HALF_SIDE, self._options.crop])
        half = half.to(self.trigrid.ws.device)
        found = decimate(smooth(extract_surface(self._density, -half, half, self._cells, LEVEL)))
        below = 2 * self._options.scale * HALF_SIDE / self._cells
        points = found.vertices - below * vertex_normals(found.vertices, found.faces)
        return Surface(found.vertices, found.faces, torch.cat([self._color(some) for some in points.split(POINTS)]))

    def label(self, cameras: Sequence[Camera]) -> Tensor | None:
        """None: only a parser can tell."""
        return None

    def landmarks(self, cameras: Sequence[Camera]) -> Observed | None:
        """None: only a detector can tell."""
        return None

    @cached_property
    def _fast(self) -> FastRenderer:
        return FastRenderer(self.trigrid, self._painter, self._options)

    def _picture(self, seen: Rendering) -> Tensor:
        """(H, W, 4) uint8 on the CPU; a partly covered pixel has the colour of what covers it."""
        covered = (seen.features / seen.alpha.clamp_min(FAINTEST)).movedim(0, -1)
        color = _display(self._painter.paint(covered, self.trigrid.ws))
        alpha = seen.mask.clamp(0, 1)[..., None]
        return (torch.cat([color, alpha], dim=-1) * 255).round().to(torch.uint8).cpu()

    def _density(self, points: Tensor) -> Tensor:
        """Raw density (M,) at points (M, 3) of the world."""
        return self._fast.density(points / self._options.scale)

    def _color(self, points: Tensor) -> Tensor:
        """Display sRGB (M, 3) at points (M, 3) of the world."""
        features = self.trigrid.sample(points / self._options.scale)
        return _display(self._painter.paint(self._painter.decode(features)[1], self.trigrid.ws))


def _display(image: Tensor) -> Tensor:
    """−1..1 and a little beyond → 0..1."""
    return functional.hardtanh(image).add(1).div(2)
