"""A mesh without the ripples of the grid or of the density that it came from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from pipeline.reconstruction.multiview import Surface

STEPS = 8
"""Pairs: AnimPortrait3D takes 16 steps, all of which shrink."""
PASS_BAND = 0.1
"""Ripples with a larger eigenvalue of the mean over neighbours go, smaller ones and the size of the whole stay."""
SHRINK = 0.6
"""Part of the way to the mean of the neighbours in every first of two steps."""


def smooth(surface: Surface, steps: int = STEPS) -> Surface:
    """Vertices between their neighbours, by ``steps`` pairs of a step there and one back, so that nothing shrinks.

    Source: Taubin, A signal processing approach to fair surface design, SIGGRAPH 1995. Open borders are smoothed along
    themselves only.
    """
    means = neighbour_means(surface.faces, len(surface.vertices))
    points = surface.vertices.detach().cpu().numpy().astype(np.float64)
    grow = 1 / (PASS_BAND - 1 / SHRINK)
    for _ in range(steps):
        for share in (SHRINK, grow):
            points += share * (means @ points - points)
    return replace(surface, vertices=torch.from_numpy(points).to(surface.vertices))


def neighbour_means(faces: Tensor, count: int) -> csr_array:
    """(V, V): rows take the mean over a vertex's neighbours; at a border, over those along it; alone, the vertex."""
    edges, uses = unique_edges(faces)
    border = edges[uses == 1]
    on_border = np.zeros(count, bool)
    on_border[border] = True
    inner = edges[uses > 1]
    starts = np.concatenate([inner, inner[:, ::-1]])
    starts = starts[~on_border[starts[:, 0]]]
    pairs = np.concatenate([starts, border, border[:, ::-1]])
    alone = np.setdiff1d(np.arange(count), pairs[:, 0])
    pairs = np.concatenate([pairs, np.stack([alone, alone], 1)])
    degree = np.bincount(pairs[:, 0], minlength=count)
    return csr_array((1 / degree[pairs[:, 0]], (pairs[:, 0], pairs[:, 1])), (count, count))


def unique_edges(faces: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) edges, the lower vertex first, and (E,) in how many faces each is."""
    corners = faces.cpu().numpy()
    both = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    stride = int(corners.max(initial=0)) + 1
    found, uses = np.unique(both[:, 0] * stride + both[:, 1], return_counts=True)
    return np.stack(np.divmod(found, stride), 1), uses
