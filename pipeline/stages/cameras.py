"""From where a refinement looks at a head: the cameras of AnimPortrait3D and of HeadStudio, for any rig."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.heads.rig import Rig

ADULT_FACE = 0.112
"""Metres from the middle of an adult's pupils down to the chin: what the sizes below are measured for."""
PORTRAIT_SCALE = 2.778
"""Units of AnimPortrait3D's world per metre of its head model: where its fit begins."""
PORTRAIT_EYES = (0.394, 0.31)
"""Height and depth of the pupils in that world; its own front view has them 310 pixels below the upper edge."""
PORTRAIT_PIVOT = 0.228
"""Height of the point that its cameras look at, on the axis that they go round."""
PORTRAIT_RADIUS, PORTRAIT_FOV = 2.65, 30.0
PORTRAIT_EXTENT = 2.985
"""Extent of its scene."""
BALL_EXTENT = 1.556
"""Height of FLAME's mesh, crown to the end of the neck, in HeadStudio's units, which has its middle at the origin."""
BALL_FACES = 2.6
"""The same in faces, pupils to chin."""
BALL_MIDDLE = (-0.3, -0.65)
"""Height and depth of that middle from the pupils, in faces."""
BALL_SCENE = 4.0
"""Extent of HeadStudio's scene."""


@dataclass(frozen=True)
class Orbit:
    """A sphere of cameras that all look at one point."""

    centre: Tensor
    """(3,) metres; the middle of the sphere."""
    target: Tensor
    """(3,) that they look at."""
    radius: float
    """Metres."""
    fov_degrees: float
    extent: float
    """Metres: the size of the scene, in which sizes of splats are measured for cloning, splitting and pruning."""

    def camera(self, yaw: float, polar: float, size: int) -> Camera:
        """A square view: ``yaw`` degrees (90 the front, 0 the subject's right), ``polar`` degrees from straight up."""
        around, down = math.radians(180.0 - yaw), math.radians(polar)
        direction = torch.tensor(
            [math.sin(down) * math.cos(around), math.cos(down), math.sin(down) * math.sin(around)], dtype=torch.float64
        )
        return look_at(self.centre.double() + self.radius * direction, self.target.double(), self.fov_degrees, size)


def portrait_orbit(rig: Rig) -> Orbit:
    """AnimPortrait3D's cameras, placed so that a head has the size and place in the view that theirs has.

    Source: its camera_utils.py and helper.py. They go round the origin of the world and look at a point above it. A
    person that they fitted has the scale of the fit; others are as large as the face is.
    Raises `UserError` for a rig without pupils and chin.
    """
    eyes, face = _face(rig)
    unit = 1 / PORTRAIT_SCALE * face / ADULT_FACE
    if rig.model is not None and rig.model.fit is not None:
        unit = 1 / rig.model.fit.scale[0]
    height, depth = PORTRAIT_EYES
    centre = eyes - unit * torch.tensor([0.0, height, depth])
    target = centre + unit * torch.tensor([0.0, PORTRAIT_PIVOT, 0.0])
    return Orbit(centre, target, PORTRAIT_RADIUS * unit, PORTRAIT_FOV, PORTRAIT_EXTENT * unit)


def ball_orbit(rig: Rig, distance: float, fov_degrees: float) -> Orbit:
    """HeadStudio's cameras: ``distance`` in its own units round the middle of the head and neck.

    Raises `UserError` for a rig without pupils and chin.
    """
    eyes, face = _face(rig)
    unit = BALL_FACES * face / BALL_EXTENT
    middle = eyes + face * torch.tensor([0.0, *BALL_MIDDLE])
    return Orbit(middle, middle, distance * unit, fov_degrees, BALL_SCENE * unit)


def look_at(position: Tensor, target: Tensor, fov_degrees: float, size: int) -> Camera:
    """The upright square camera at ``position`` (3,) whose picture has ``target`` (3,) in the middle."""
    forward = torch.nn.functional.normalize(target - position, dim=0)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, forward.new_tensor([0.0, 1.0, 0.0])), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    viewmat = torch.eye(4, dtype=position.dtype)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ position
    focal = size / (2 * math.tan(math.radians(fov_degrees) / 2))
    K = torch.tensor([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    return Camera(viewmat.float(), K, size, size)


def _face(rig: Rig) -> tuple[Tensor, float]:
    """The middle of the pupils (3,) on the median plane, and metres from there down to the chin."""
    names = ("pupil_left", "pupil_right", "ibug_8")
    marks = rig.landmarks
    if marks is None or not set(names) <= set(marks.names):
        raise UserError(f"this head lacks the landmarks {', '.join(names)}, which the cameras are placed by")
    points = marks.positions(rig.vertices, rig.faces).detach().cpu()
    left, right, chin = (points[marks.names.index(name)] for name in names)
    eyes = (left + right) / 2
    return eyes * torch.tensor([0.0, 1.0, 1.0]), float(eyes[1] - chin[1])
