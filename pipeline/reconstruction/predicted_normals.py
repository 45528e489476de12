"""A portrait's surface refined by the normals that a network sees in some of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.reconstruction.multiview import Surface, Views
from pipeline.reconstruction.normal_refinement import NormalPredictor, NormalRefinement, refine_by_normals
from pipeline.stages.journal import Journal
from pipeline.stages.kept import kept

KEY_VIEWS = 8
"""Pictures that a network looks at: level ones from all round; AnimPortrait3D takes four."""


def refine_by_pictures(
    surface: Surface, views: Views, predictor: NormalPredictor, config: NormalRefinement, journal: Journal
) -> Surface:
    """The surface with its vertices where the pictures' normals and outlines have them; kept in the journal.

    Raises as `refine_by_normals` does.
    """
    rows = key_rows(views.cameras)
    alphas = views.pictures[rows][..., 3].float() / 255

    def predicted() -> dict[str, Tensor]:
        white = views.over(torch.ones(3), rows).movedim(1, -1)
        return {"normals": predictor((white * 255 + 0.5).to(torch.uint8)).half()}

    def refined() -> dict[str, Tensor]:
        normals = kept(journal, "normals", predicted)["normals"].float()
        cameras = [views.cameras[row] for row in rows]
        return {"vertices": refine_by_normals(surface, cameras, normals, alphas, config, journal).vertices}

    vertices = kept(journal, "refined_surface", refined)["vertices"]
    return replace(surface, vertices=vertices.to(surface.vertices))


def key_rows(cameras: Sequence[Camera], count: int = KEY_VIEWS) -> list[int]:
    """Numbers of at most ``count`` cameras of middle height, evenly in their order."""
    heights = torch.stack([camera.position[1] for camera in cameras])
    off = (heights - heights.median()).abs()
    level = (off < 0.01 * off.max() + 1e-6).nonzero().squeeze(1)
    picked = torch.linspace(0, len(level), min(count, len(level)) + 1)[:-1].long()
    return level[picked].tolist()
