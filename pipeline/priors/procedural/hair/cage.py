"""The cage that loose hair hangs on: a curtain round head and shoulders whose top follows the head and whose hem the
torso, so that a turn of the head twists the hair instead of cutting it into the shoulders."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from pipeline.heads.rig import Rig
from pipeline.heads.rig_tools import append_mesh
from pipeline.heads.skeleton import neck_joint, skull_joint, trunk_joint
from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.hair.scalp import Scalp
from pipeline.priors.procedural.splats import Floats, Ints, Splats

REGION = "hair_cage"
TOP, HEM = -0.020, -0.400
"""Heights over the middle of the skull, adult metres."""
HALF_AXES = (0.098, 0.096)
MIDDLE = -0.008
"""Half axes (sideways, forwards) and middle of the curtain, adult metres."""
OPENING = 25.0
"""Degrees on either side of straight ahead that stay open: the face."""
ROWS, COLUMNS = 12, 22
BLEND = (-0.050, -0.175)
"""Heights between which the hair goes over from the head to the shoulders."""


def hang_on_cage(splats: Splats, scalp: Scalp, rig: Rig) -> Rig:
    """``rig`` with the cage; the hair ``splats`` below its top edge now hang on its triangles (in place)."""
    vertices, faces = _curtain(scalp)
    first = len(rig.faces)
    below = np.flatnonzero(scalp.place(splats.position)[:, 1] < TOP)
    nearest = cKDTree(vertices[faces].mean(1)).query(splats.position[below])[1]
    splats.face[below] = first + nearest
    weights = _weights(scalp.place(vertices)[:, 1], rig)
    return append_mesh(rig, torch.from_numpy(vertices), torch.from_numpy(faces), weights, REGION)


def _curtain(scalp: Scalp) -> tuple[Floats, Ints]:
    """Vertices (M, 3) in the world and triangles (G, 3), facing outwards."""
    angle = np.radians(np.linspace(OPENING, 360 - OPENING, COLUMNS + 1))
    height = np.linspace(TOP, HEM, ROWS + 1)
    ring = np.stack([HALF_AXES[0] * np.sin(angle), 0 * angle, MIDDLE + HALF_AXES[1] * np.cos(angle)], axis=1)
    places = ring[None] + np.stack([0 * height, height, 0 * height], axis=1)[:, None]
    row, column = (grid.ravel() for grid in np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij"))
    corner = row * (COLUMNS + 1) + column
    under = corner + COLUMNS + 1
    faces = np.concatenate([np.stack([corner, under, under + 1], 1), np.stack([corner, under + 1, corner + 1], 1)])
    return scalp.world(places.reshape(-1, 3).astype(np.float32)), faces.astype(np.int64)


def _weights(height: Floats, rig: Rig) -> torch.Tensor:
    """(M, J): quadratic Bernstein weights of head, neck and torso, smooth whichever of the joints turns."""
    t = torch.from_numpy(smoothstep(*BLEND, height))
    weights = torch.zeros(len(height), len(rig.joint_names))
    weights[:, skull_joint(rig)] = (1 - t) ** 2
    weights[:, neck_joint(rig)] += 2 * t * (1 - t)
    weights[:, trunk_joint(rig)] += t**2
    return weights
