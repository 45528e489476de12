"""A portrait laid into the frame that the generator's pictures have: where the head stands in them, and how large."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.heads.rig import Rig
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.rendering import ANIMPORTRAIT3D
from pipeline.reconstruction.multiview import Observed
from pipeline.stages.cameras import PORTRAIT_RADIUS, portrait_orbit

CONTOUR = frozenset(f"ibug_{index}" for index in range(17))
"""Jaw landmarks, which detectors put on the outline, wherever that is."""
FEWEST = 6
"""Landmarks from which a face can be placed."""
LEAST_CONFIDENCE = 0.3
"""Below it a landmark was not seen."""
STEPS = 30
DAMPING, SOFTER, HARDER = 1e-3, 0.3, 4.0
"""Levenberg and Marquardt's: at first, after a step that helped, and after one that did not."""
SMALLEST_GAIN = 1e-12
"""Of the mean squared distance, in squared widths of the frame, beyond which no more steps are worth it."""
MOST_TURN = math.radians(80.0)
"""Yaw or pitch of a face that landmarks can be found on."""


@dataclass(frozen=True)
class Placement:
    """How a face stands in a picture."""

    yaw: float
    """Radians that the face is turned, towards the side that the camera has to go to: positive to the subject's left
    of the camera."""
    pitch: float
    """Radians that the camera stands above the face."""
    log_scale: float
    """Of the picture's pixels per pixel of the canonical frame."""
    roll: float
    """Radians, clockwise in the picture."""
    shift: tuple[float, float]
    """Pixels of the picture at which the middle of the canonical frame lies."""
    error: float
    """Root mean square distance of the landmarks, in pixels of the canonical frame."""

    @property
    def turn(self) -> float:
        """Degrees between the camera and the front."""
        return math.degrees(math.acos(math.cos(self.yaw) * math.cos(self.pitch)))

    def camera(self, size: int) -> Camera:
        """The generator's camera that sees a head as the aligned picture shows it."""
        return PORTRAIT3D_ORBIT.camera(90.0 + math.degrees(self.yaw), 90.0 - math.degrees(self.pitch), size)


class Canonical:
    """The free head where the generator's heads are."""

    def __init__(self, rig: Rig) -> None:
        """Raises `UserError` for a rig without landmarks."""
        orbit = portrait_orbit(rig)
        unit = orbit.radius / PORTRAIT_RADIUS * ANIMPORTRAIT3D.scale
        marks = rig.landmarks
        assert marks is not None  # else there were no orbit
        points = marks.positions(rig.vertices, rig.faces).detach().cpu().double()
        self.names = marks.names
        self.points = (points - orbit.centre.double()) / unit

    def place(self, observed: Observed, size: int) -> Placement | None:
        """How the face of the first picture stands, where the canonical frame has ``size`` pixels; None without a face.

        The camera's two angles and the similarity from the frame to the picture with the least weighted squared
        distances, by Levenberg and Marquardt's method from the front.
        """
        rows = [
            (row, self.names.index(name))
            for row, name in enumerate(observed.names)
            if name in self.names and name not in CONTOUR and float(observed.confidence[0, row]) >= LEAST_CONFIDENCE
        ]
        if len(rows) < FEWEST:
            return None
        seen, own = (torch.tensor(column) for column in zip(*rows, strict=True))
        pixels = observed.points[0, seen].double().cpu()
        weights = observed.confidence[0, seen].double().cpu()
        spread = float(pixels.std(dim=0).norm())
        return _solve(self.points[own], pixels, weights, size) if 0 < spread < math.inf else None


def _solve(points: Tensor, pixels: Tensor, weights: Tensor, size: int) -> Placement | None:
    def residuals(parameters: Tensor) -> Tensor:
        return (weights.sqrt()[:, None] * (_placed(points, parameters, size) - pixels)).flatten()

    now = _upright(points, pixels, size)
    misfit, damping = residuals(now), DAMPING
    for _ in range(STEPS):
        jacobian = torch.func.jacrev(residuals)(now)
        normal = jacobian.T @ jacobian
        damped = normal + damping * torch.diag(normal.diagonal() + 1e-12)
        then = now - torch.linalg.solve(damped, jacobian.T @ misfit)
        tried = residuals(then)
        gain = misfit.square().sum() - tried.square().sum()
        if gain <= 0 or then[:2].abs().max() >= MOST_TURN:
            damping *= HARDER
            continue
        now, misfit, damping = then, tried, damping * SOFTER
        if gain < SMALLEST_GAIN * size**2 * weights.sum():
            break
    yaw, pitch, log_scale, roll, right, down = now.tolist()
    error = float((misfit.square().sum() / weights.sum()).sqrt()) / math.exp(log_scale)
    return Placement(yaw, pitch, log_scale, roll, (right, down), error)


def _upright(points: Tensor, pixels: Tensor, size: int) -> Tensor:
    """Parameters of a face seen from the front, as large and where the landmarks are."""
    level = torch.tensor([0.0, 0.0, 0.0, 0.0, size / 2, size / 2], dtype=torch.float64)
    seen = _placed(points, level, size)
    spread, own = (values.std(dim=0).norm() for values in (pixels, seen))
    scale = spread / own
    shift = pixels.mean(0) - scale * (seen.mean(0) - size / 2)
    return torch.stack([level[0], level[1], scale.log(), level[3], shift[0], shift[1]])


def _placed(points: Tensor, parameters: Tensor, size: int) -> Tensor:
    """Where points (M, 3) are in the picture (M, 2): the generator's camera, then a similarity."""
    yaw, pitch, log_scale, roll = parameters[:4]
    frame = _projected(points, yaw, pitch, size) - size / 2
    cos, sin = roll.cos(), roll.sin()
    turned = torch.stack([cos * frame[:, 0] - sin * frame[:, 1], sin * frame[:, 0] + cos * frame[:, 1]], dim=1)
    return log_scale.exp() * turned + parameters[4:]


def _projected(points: Tensor, yaw: Tensor, pitch: Tensor, size: int) -> Tensor:
    """Pixels (M, 2) of points for `Placement.camera`, differentiable in its angles."""
    orbit = PORTRAIT3D_ORBIT
    direction = torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()])
    position = orbit.centre.double() + orbit.radius * direction
    forward = normalize(orbit.target.double() - position, dim=0)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    right = normalize(torch.linalg.cross(forward, up), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    seen = (points - position) @ rotation.T
    focal = size / (2 * math.tan(math.radians(orbit.fov_degrees) / 2))
    return focal * seen[:, :2] / seen[:, 2:] + size / 2


def laid(picture: Tensor, placement: Placement, size: int) -> Tensor:
    """The picture (H, W, 3) uint8 in the canonical frame: (3, size, size) in -1..1, its border continued outside it.

    The background stays, as in Portrait3D: the generator has one of its own to show it.
    """
    height, width = picture.shape[:2]
    at = torch.arange(size, dtype=torch.float64) + 0.5 - size / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    cos, sin = math.cos(placement.roll), math.sin(placement.roll)
    scale = math.exp(placement.log_scale)
    columns = scale * (cos * x - sin * y) + placement.shift[0]
    rows = scale * (sin * x + cos * y) + placement.shift[1]
    grid = torch.stack([2 * columns / width - 1, 2 * rows / height - 1], dim=-1).float()
    values = picture.movedim(-1, 0)[None].float() / 127.5 - 1
    return grid_sample(values, grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0].clamp(-1, 1)


def best_placed(placements: list[Placement | None]) -> int:
    """The picture to go on with: that which is seen most from the front and whose landmarks fit best, a degree of the
    one counting as a pixel of the other.

    Raises `UserError` when no picture shows a face.
    """
    found = [(placement.turn + placement.error, number) for number, placement in enumerate(placements) if placement]
    if not found:
        raise UserError(
            f"none of the {len(placements)} pictures that the diffusion model made shows a face that can be measured; "
            "say more of the face, or take another seed"
        )
    return min(found)[1]
