"""Where a head is before anybody looked: cameras that show head and shoulders tell."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pipeline.camera import Camera
from pipeline.heads.rig import Landmarks
from pipeline.reconstruction.multiview import Similarity
from pipeline.stages.cameras import PORTRAIT_EYES, PORTRAIT_PIVOT, PORTRAIT_RADIUS, PORTRAIT_SCALE

ROUNDS = 20
PUPILS = ("pupil_left", "pupil_right")


def usual_place(
    landmarks: Landmarks, vertices: torch.Tensor, faces: torch.Tensor, cameras: Sequence[Camera]
) -> Similarity:
    """The similarity that puts a head (its ``vertices`` (V, 3) in metres) where AnimPortrait3D's fit begins.

    Its cameras lie on a sphere and look at a point above the sphere's middle; from there the pupils have a known place,
    upright and ahead, whatever the unit of the world is. Source: `stages.cameras.Orbit`.
    """
    centres = torch.stack([camera.position.double() for camera in cameras])
    axes = torch.stack([camera.viewmat[2, :3].double() for camera in cameras])
    # The point nearest to all optical axes; a weak tie to a usual distance where all look the same way.
    across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None, :]
    guess = (centres + PORTRAIT_RADIUS * axes).mean(0)
    weak = 1e-6 * torch.eye(3, dtype=torch.float64)
    target = torch.linalg.solve(across.sum(0) + weak, (across @ centres[..., None]).sum(0)[:, 0] + weak @ guess)
    radius = (centres - target).norm(dim=1).mean()
    up = torch.tensor([0.0, PORTRAIT_PIVOT / PORTRAIT_RADIUS, 0.0], dtype=torch.float64)
    for _ in range(ROUNDS):
        middle = target - radius * up
        radius = (centres - middle).norm(dim=1).mean()
    unit = radius / PORTRAIT_RADIUS
    height, depth = PORTRAIT_EYES
    eyes = middle + unit * torch.tensor([0.0, height, depth], dtype=torch.float64)
    points = landmarks.positions(vertices.double(), faces)
    own = points[[landmarks.names.index(name) for name in PUPILS]].mean(0)
    scale = float(unit * PORTRAIT_SCALE)
    return Similarity(scale, torch.eye(3, dtype=torch.float64), eyes - scale * own)
