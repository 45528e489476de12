"""Rays through a tri-grid by torch, for graphics cards: of all samples, those that count are gathered and looked at."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.fused import Fused
from pipeline.priors.portrait3d.occupancy import lattice_of
from pipeline.priors.portrait3d.ray_kernel import OPAQUE
from pipeline.priors.portrait3d.rendering import OUTSIDE, RenderOptions, rays
from pipeline.priors.portrait3d.sampling import coarse_depths, fine_depths, interval_weights, shares
from pipeline.priors.portrait3d.trigrid import HALF_SIDE, crop_mask

POINTS = 2**20
"""Points looked at together."""
RAYS = 2**15


class CompactRays:
    """One portrait, on the device of its tensors."""

    def __init__(self, fused: Fused, painter: Painter, options: RenderOptions, voxels: int, threshold: float) -> None:
        self._fused, self._painter, self._options = fused, painter, options
        lattice, shape = lattice_of(options.crop, voxels)
        half = torch.tensor([lattice.half_width, lattice.half_height, lattice.half_width], device=fused.fine.device)
        self._low, self._per_unit = -half * HALF_SIDE, lattice.per_unit / HALF_SIDE
        self._voxels = self._find_occupied(shape, threshold)

    def collect(self, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden units (H · W, 32), weighted and added up, coverage and depth (H · W)."""
        origin, directions = rays(camera, self._low)
        parts = [self._follow(origin, chunk) for chunk in directions.split(RAYS)]
        hidden, total, depth = (torch.cat(column) for column in zip(*parts, strict=True))
        return hidden, total, depth

    def density(self, points: Tensor) -> Tensor:
        """Raw density (M,) at points (M, 3) in the grid's units."""
        return torch.cat([self._painter.density(self._hidden(chunk)) for chunk in points.split(POINTS)])

    def _hidden(self, points: Tensor) -> Tensor:
        return self._painter.hidden(self._fused.sample(points)[:, None])

    def _find_occupied(self, shape: tuple[int, int, int], threshold: float) -> Tensor:
        """(nx, ny, nz) true where a voxel's middle, or a neighbour's, is denser than the threshold."""
        x, y, z = (
            low + (torch.arange(n, device=low.device) + 0.5) / self._per_unit
            for low, n in zip(self._low, shape, strict=True)
        )
        slices = []
        for place in x:
            points = torch.stack(torch.meshgrid(place[None], y, z, indexing="ij"), dim=-1).view(-1, 3)
            slices.append((self.density(points) > threshold).view(1, *shape[1:]))
        dense = torch.cat(slices)[None, None].float()
        return functional.max_pool3d(dense, 3, stride=1, padding=1)[0, 0] > 0

    def _occupied(self, points: Tensor) -> Tensor:
        """(M,) whether there may be something at points (M, 3); above and below the lattice is what its ends are."""
        places = ((points - self._low) * self._per_unit).floor().long()
        most = torch.tensor(self._voxels.shape, device=places.device) - 1
        i, j, k = torch.minimum(places.clamp_min(0), most).unbind(-1)
        return self._voxels[i, j, k] & crop_mask(points, self._options.crop)

    def _follow(self, origin: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Some rays: both passes."""
        options = self._options
        middles = directions.new_full((len(directions), options.coarse), 0.5)
        places = (torch.arange(options.fine, dtype=middles.dtype, device=middles.device) + 0.5) / options.fine
        depths = coarse_depths(options.near, options.far, middles)
        everywhere = depths.new_full((len(depths), 1), math.inf)
        sigma, _, _ = self._look(origin, directions, depths, everywhere)
        weights = interval_weights(depths, sigma)
        more = fine_depths(depths, weights, places.expand(len(depths), -1))
        opaque = (1 - weights.cumsum(dim=1) < OPAQUE).float()
        end = torch.where(opaque.any(dim=1), depths.gather(1, opaque.argmax(dim=1, keepdim=True) + 1)[:, 0], math.inf)
        depths = torch.cat([depths, more], dim=1).sort(dim=1).values
        sigma, hidden, active = self._look(origin, directions, depths, end[:, None])
        share = shares(depths, sigma)
        weighted = share.samples[active][:, None] * hidden
        collected = torch.segment_reduce(weighted, "sum", lengths=active.sum(dim=1))  # always in the same order
        return collected, share.total, share.depth

    def _look(self, origin: Tensor, directions: Tensor, depths: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw density (rays, N) at depths (rays, N) up to ``end`` (rays, 1); hidden units of the samples that count.

        Those have something at their own place or at a neighbour's; the third result (rays, N) tells which they are.
        """
        points = (origin + depths[..., None] * directions[:, None]) / self._options.scale
        maybe = self._occupied(points.view(-1, 3)).view(depths.shape)
        beside = functional.pad(maybe, (1, 1))
        active = (maybe | beside[:, 2:] | beside[:, :-2]) & (depths <= end)
        picked = points[active]
        pieces = [self._hidden(piece) for piece in picked.split(POINTS)]
        hidden = torch.cat(pieces)
        sigma = torch.full_like(depths, OUTSIDE)
        density = self._painter.density(hidden)
        sigma[active] = torch.where(crop_mask(picked, self._options.crop), density, OUTSIDE)
        return sigma, hidden, active
