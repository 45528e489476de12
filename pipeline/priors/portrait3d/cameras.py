"""Portrait3D's cameras: EG3D's 25 numbers to a `Camera` and back, and the angles that its views are named by.

Source: Portrait3D's renders and AnimPortrait3D's; both look from a sphere round the origin at a point above it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.stages.cameras import PORTRAIT_EXTENT, PORTRAIT_FOV, PORTRAIT_PIVOT, PORTRAIT_RADIUS, Orbit

RADIUS = 2.7
PIVOT = 0.0649
"""Height of the point that the cameras look at."""
FOCAL = 6.5104166
"""Focal length in widths of the picture."""
FOV_DEGREES = math.degrees(2 * math.atan(0.5 / FOCAL))
EXTENT = 0.7
"""Size of the scene: the side of the grid."""
PORTRAIT3D_ORBIT = Orbit(torch.zeros(3), torch.tensor([0.0, PIVOT, 0.0]), RADIUS, FOV_DEGREES, EXTENT)
"""Portrait3D's cameras, in the grid's own units."""
ANIMPORTRAIT3D_ORBIT = Orbit(
    torch.zeros(3), torch.tensor([0.0, PORTRAIT_PIVOT, 0.0]), PORTRAIT_RADIUS, PORTRAIT_FOV, PORTRAIT_EXTENT
)
"""AnimPortrait3D's, in a world where the grid is three times as large."""


def polar_degrees(v: float) -> float:
    """Degrees from straight up of the view that both programs call ``v`` degrees: arccos(1 − 2v/180), not v."""
    return math.degrees(math.acos(1 - 2 * v / 180))


def sampled_camera(h: float, v: float, size: int, orbit: Orbit = PORTRAIT3D_ORBIT) -> Camera:
    """The view that the look-at sampler gives for ``h``, ``v`` degrees: h = v = 90 is the front, h → 180 goes to +x."""
    return orbit.camera(h, polar_degrees(v), size)


def focal_of_fov(fov_degrees: float) -> float:
    """Focal length in widths as Portrait3D's scripts derive it, with 1.414 and 3.14159.

    What they call field of view is that of the picture's diagonal to its middle: 12.447863 stands for a true 8.8.
    """
    return 1 / (math.tan(fov_degrees * 3.14159 / 360) * 1.414)


def to_vector(camera: Camera) -> Tensor:
    """(25,): camera-to-world (16, row by row), then intrinsics (9) in widths and heights of the picture."""
    size = torch.tensor([camera.width, camera.height, 1.0], dtype=torch.float64)
    pose = torch.linalg.inv(camera.viewmat.double())
    return torch.cat([pose.flatten(), (camera.K.double() / size[:, None]).flatten()]).float()


def from_vector(vector: Tensor, width: int, height: int) -> Camera:
    """The camera of 25 numbers, for a picture of ``width`` × ``height`` pixels."""
    pose, K = vector[:16].reshape(4, 4).double(), vector[16:].reshape(3, 3).double()
    size = torch.tensor([width, height, 1.0], dtype=torch.float64)
    return Camera(torch.linalg.inv(pose).float(), (K * size[:, None]).float(), width, height)
