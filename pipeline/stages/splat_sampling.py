"""Points on the surface of a portrait where the body of its rig has none: hair, clothes, glasses, bare shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.geometry import random_barycentrics
from pipeline.priors.procedural.poisson import poisson_disk
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.rendering.mesh import vertex_normals

CANDIDATES = 5
"""Random points per point kept, about where a Poisson-disk set stops getting fuller."""
DISK_RADIUS = 0.83
"""Poisson radius in spacings that leaves one point per spacing² on average."""
FINEST = 1.2e-3
"""Metres between points, at least."""
STANDS_OFF = 5e-3
"""Metres from the body beyond which a face or skin needs points of its own: glasses, an upswept beard."""


@dataclass(frozen=True)
class Points:
    """Places on a surface; one row each."""

    position: Tensor
    """(N, 3) metres."""
    normal: Tensor
    """(N, 3) unit, outwards."""
    part: Tensor
    """(N,) uint8 `Part`."""
    spacing: float
    """Metres between neighbours."""

    def select(self, rows: Tensor) -> Points:
        """The rows of a bool mask or of indices."""
        return Points(self.position[rows], self.normal[rows], self.part[rows], self.spacing)


def sample_beside(surface: Surface, seen: Tensor, body: Tensor, most: int, generator: torch.Generator) -> Points:
    """Even points on what of ``surface`` the ``body`` does not cover, at most about ``most``.

    All hair and clothes are sampled; of face and skin what stands off the splats of the ``body`` (N, 3); nothing where
    no view sees the surface, ``seen`` (F,) bool. All in metres; ``surface`` has its parts.
    """
    assert surface.parts is not None
    centroids = surface.vertices[surface.faces].mean(1)
    off = torch.from_numpy(cKDTree(body.cpu().numpy()).query(centroids.cpu().numpy(), workers=-1)[0])
    wanted = (surface.parts == Part.HAIR) | (surface.parts == Part.CLOTH) | (off.to(centroids) > STANDS_OFF)
    return sample(surface, wanted & seen, most, generator)


def sample(surface: Surface, wanted: Tensor, most: int, generator: torch.Generator) -> Points:
    """At most about ``most`` even points on the triangles ``wanted`` (F,) bool, none nearer than `FINEST`."""
    assert surface.parts is not None
    chosen = torch.nonzero(wanted).squeeze(1)
    corners = surface.vertices[surface.faces[chosen]]
    edges = corners[:, 1:] - corners[:, :1]
    areas = torch.linalg.cross(edges[:, 0], edges[:, 1]).norm(dim=1) / 2
    spacing = max(FINEST, float((areas.sum() / max(most, 1)).sqrt()))
    number = torch.floor(areas / spacing**2 * CANDIDATES + torch.rand(len(areas), generator=generator)).long()
    row = torch.repeat_interleave(torch.arange(len(chosen)), number)
    row = row[torch.randperm(len(row), generator=generator)]
    weights = random_barycentrics(len(row), generator)
    radius = np.full(len(row), spacing * DISK_RADIUS, np.float32)
    keep = torch.from_numpy(poisson_disk(corners.numpy(), row.numpy(), weights.numpy(), radius))
    row, weights = row[keep], weights[keep]
    normals = vertex_normals(surface.vertices, surface.faces)[surface.faces[chosen[row]]]
    return Points(
        (corners[row] * weights[..., None]).sum(1),
        torch.nn.functional.normalize((normals * weights[..., None]).sum(1), dim=1),
        surface.parts[chosen[row]],
        spacing,
    )
