"""A jaw angle on a head without a jaw bone: how far each ARKit jaw action turns the chin, measured on the rig itself.

The lower teeth move with the jawbone, so the point of the median plane that their best rigid motion (Kabsch, 1976)
leaves in place is the hinge. The chin is the skin that ``jawOpen`` moves most. Its turn about the hinge, measured for
values 0..1, is a rising curve from value to angle; the curve's inverse answers the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig import Rig

SAMPLES = 33
CHIN_SHARE = 0.8
"""The chin's vertices move at least this share of the furthest movement of the skin."""
HALF_OPEN = 0.5
"""Value of jawOpen at which the hinge is measured."""


@dataclass(frozen=True)
class JawCurve:
    """What the jaw actions of one rig do to its chin."""

    values: np.ndarray
    """(K,) values of jawOpen, 0..1."""
    angles: np.ndarray
    """(K,) radians that the chin turns down, rising from 0."""
    lever: Tensor
    """(3,) from the hinge to the chin, metres."""
    left: float
    """Metres that jawLeft 1 moves the chin to the subject's left; 0 where the rig lacks it."""
    right: float
    """Metres that jawRight 1 moves it to the right."""

    @property
    def widest(self) -> float:
        """Radians at jawOpen 1."""
        return float(self.angles[-1])

    def actions(self, jaw: Tensor) -> dict[str, Tensor]:
        """Jaw rotations (T, 3) axis-angle about the hinge → values (T,) within 0..1 of the jaw actions.

        The turn seen from the side becomes jawOpen, the chin's way sideways jawLeft or jawRight. A turn about a hinge
        has no glide, so jawForward stays at rest, and a jaw cannot close further than shut.
        """
        turned = (axis_angle_to_matrix(jaw) @ self.lever[:, None]).squeeze(-1)
        down = pitch_of(turned) - pitch_of(self.lever)
        opened = torch.from_numpy(np.interp(down.numpy(), self.angles, self.values)).float()
        actions = {"jawOpen": opened}
        for name, reach, sideways in (("jawLeft", self.left, turned[:, 0]), ("jawRight", self.right, -turned[:, 0])):
            if reach > 0:
                actions[name] = (sideways / reach).clamp(0, 1)
        return actions

    def rotation(self, actions: np.ndarray) -> Tensor:
        """The other way round: values (T, 3) of jawOpen, jawLeft and jawRight → rotations (T, 3) axis-angle."""
        opened, left, right = np.asarray(actions, dtype=np.float64).T
        down = np.interp(opened, self.values, self.angles)
        sideways = np.arcsin(np.clip((left * self.left - right * self.right) / float(self.lever[2]), -0.5, 0.5))
        turns = torch.zeros(2, len(opened), 3)
        turns[0, :, 0], turns[1, :, 1] = torch.from_numpy(down), torch.from_numpy(sideways)
        lower, swing = axis_angle_to_matrix(turns)
        return matrix_to_axis_angle(lower @ swing)


def pitch_of(point: Tensor) -> Tensor:
    """Angle (...,) of points (..., 3) about the x axis, growing as +z turns down to −y."""
    return torch.atan2(-point[..., 1], point[..., 2])


def measure_jaw(rig: Rig) -> JawCurve | None:
    """The curve of this rig; None where it has no jawOpen that turns anything."""
    if "jawOpen" not in rig.expression_names:
        return None
    offsets = rig.expressions[rig.expression_index("jawOpen")].double()
    vertices, distance = rig.vertices.double(), offsets.norm(dim=1)
    bone = torch.zeros(len(vertices), dtype=torch.bool)
    bone[rig.faces[rig.regions.get("teeth_lower", torch.zeros(len(rig.faces), dtype=torch.bool))]] = True
    chin = (distance >= CHIN_SHARE * distance[~bone].max()) & ~bone
    if float(distance[chin].max()) <= 0:
        return None
    rigid = bone if bool(bone.any()) else chin
    hinge = _hinge(vertices[rigid], vertices[rigid] + HALF_OPEN * offsets[rigid])
    if hinge is None:
        return None
    lever, way = vertices[chin].mean(0) - hinge, offsets[chin].mean(0)
    lever[0], way[0] = 0.0, 0.0
    values = np.linspace(0.0, 1.0, SAMPLES)
    angles = (pitch_of(lever + torch.from_numpy(values)[:, None] * way) - pitch_of(lever)).numpy()
    angles = np.maximum.accumulate(angles)
    if angles[-1] <= 0:
        return None
    return JawCurve(values, angles, lever.float(), _reach(rig, "jawLeft", chin), -_reach(rig, "jawRight", chin))


@lru_cache(maxsize=1)
def free_jaw() -> JawCurve:
    """The curve of the free head's mean face: what an ARKit jaw value means in radians on a rig that has the bone."""
    curve = measure_jaw(AnnyHead().rig)
    assert curve is not None  # the free head has jawOpen
    return curve


def best_rotation(before: Tensor, after: Tensor) -> Tensor:
    """Rotation (3, 3) that best turns points (N, 3) into others, in the least-squares sense (Kabsch, 1976)."""
    covariance = (before - before.mean(0)).T @ (after - after.mean(0))
    u, _, vt = torch.linalg.svd(covariance)
    signs = covariance.new_tensor([1.0, 1.0, float(torch.sign(torch.linalg.det(vt.T @ u.T)))])
    return vt.T @ torch.diag(signs) @ u.T


def _hinge(before: Tensor, after: Tensor) -> Tensor | None:
    """The point (3,) of the median plane that the best rigid motion between points (N, 3) leaves in place, if any."""
    rotation = best_rotation(before, after)
    shift = after.mean(0) - rotation @ before.mean(0)
    system = torch.eye(2, dtype=before.dtype) - rotation[1:, 1:]
    if float(torch.linalg.det(system)) < 1e-6:  # nothing turns
        return None
    return torch.cat([before.new_zeros(1), torch.linalg.solve(system, shift[1:])])


def _reach(rig: Rig, name: str, chin: Tensor) -> float:
    """Metres towards the subject's left that an action moves the chin."""
    if name not in rig.expression_names:
        return 0.0
    return float(rig.expressions[rig.expression_index(name)][chin, 0].mean())
