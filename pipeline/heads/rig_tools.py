"""A `Rig` with more geometry than its head model has, such as the cage that long hair hangs on, or fewer channels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.rig import Rig

MOST_JOINTS_PER_VERTEX = 4
"""glTF skins (and our browser copy of the rig) keep four weights per vertex."""


def append_mesh(
    rig: Rig,
    vertices: Tensor,
    faces: Tensor,
    weights: Tensor,
    region: str,
    *,
    expressions: Tensor | None = None,
    pose_dirs: Tensor | None = None,
) -> Rig:
    """``rig`` with another mesh after its own; face and vertex indices of the rig stay as they were.

    ``vertices`` (M, 3) metres in the neutral pose, ``faces`` (G, 3) long, indices into ``vertices``, ``weights``
    (M, J) over the rig's joints, rows summing to 1 with at most four not zero. The new faces become ``region`` (added
    to it, where it exists) and have no texture coordinates of their own (zeros). ``expressions`` (E, M, 3) and
    ``pose_dirs`` (K, M, 3) move the mesh like those of the rig; without them only joints do.
    Raises `UserError` when a shape or a weight does not fit.
    """
    _check(rig, vertices, faces, weights)
    old_vertices, old_faces, added = len(rig.vertices), len(rig.faces), len(faces)
    regions = {name: torch.cat([mask, mask.new_zeros(added)]) for name, mask in rig.regions.items()}
    regions.setdefault(region, torch.zeros(old_faces + added, dtype=torch.bool))[old_faces:] = True
    return replace(
        rig,
        vertices=torch.cat([rig.vertices, vertices]),
        faces=torch.cat([rig.faces, faces + old_vertices]),
        expressions=_joined(rig.expressions, expressions, len(vertices)),
        weights=torch.cat([rig.weights, weights]),
        regions=regions,
        uv=None if rig.uv is None else torch.cat([rig.uv, rig.uv.new_zeros(added, 3, 2)]),
        pose_dirs=None if rig.pose_dirs is None else _joined(rig.pose_dirs, pose_dirs, len(vertices)),
    )


def without_expressions(rig: Rig, names: Collection[str]) -> Rig:
    """``rig`` with these expression channels taken out, where it has them."""
    kept = [index for index, name in enumerate(rig.expression_names) if name not in names]
    return replace(
        rig,
        expressions=rig.expressions[kept],
        expression_names=tuple(rig.expression_names[index] for index in kept),
        joint_dirs=None if rig.joint_dirs is None else rig.joint_dirs[kept],
        drivers=tuple(
            replace(driver, expression=kept.index(driver.expression))
            for driver in rig.drivers
            if driver.expression in kept
        ),
    )


def _joined(offsets: Tensor, added: Tensor | None, count: int) -> Tensor:
    """(K, V, 3) → (K, V + count, 3); zeros for what is not given. Raises `UserError` when a shape does not fit."""
    wanted = (len(offsets), count, 3)
    if added is None:
        added = offsets.new_zeros(wanted)
    if tuple(added.shape) != wanted:
        raise UserError(f"offsets of the added mesh have shape {tuple(added.shape)}; {wanted} would be right")
    return torch.cat([offsets, added], dim=1)


def _check(rig: Rig, vertices: Tensor, faces: Tensor, weights: Tensor) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise UserError(f"vertices have shape {tuple(vertices.shape)}; (vertices, 3) would be right")
    if faces.ndim != 2 or faces.shape[1] != 3 or (len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices)):
        raise UserError(f"faces must be (faces, 3) indices of the {len(vertices)} added vertices")
    wanted = (len(vertices), len(rig.joint_names))
    if tuple(weights.shape) != wanted:
        raise UserError(f"weights have shape {tuple(weights.shape)}; this rig and mesh take {wanted}")
    if not torch.allclose(weights.sum(1), torch.ones(len(weights)), atol=1e-4) or bool((weights < 0).any()):
        raise UserError("weights of every added vertex must be at least 0 and sum to 1")
    if bool(((weights > 0).sum(1) > MOST_JOINTS_PER_VERTEX).any()):
        raise UserError(f"an added vertex follows more than {MOST_JOINTS_PER_VERTEX} joints")
