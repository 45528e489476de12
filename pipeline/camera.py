"""Pinhole cameras in the OpenCV convention (x right, y down, z forward), as gsplat takes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.heads.rig import Rig

PORTRAIT_FOV_DEGREES = 14.0
"""Vertical field of view of the standard portrait: a long lens, so that noses are not enlarged."""
PORTRAIT_HEIGHT_IN_CROWNS = 2.8
"""Height of the picture at the head's distance, in heights of the crown above the head joint: head and shoulders, with
room for an afro."""
PORTRAIT_CENTRE_IN_CROWNS = 0.17
"""Height of the picture's centre above the head joint, in the same unit."""
SKULL_UNDER_EYES, SKULL_BEHIND_EYES = 0.365, 0.704
"""From the eyes down and back to the free head's head joint, in heights of the crown above the eyes."""

NEAREST = 1e-6
"""Least depth that a projection divides by."""


@dataclass(frozen=True)
class Camera:
    """One view."""

    viewmat: Tensor
    """(4, 4) world to camera."""
    K: Tensor
    """(3, 3) intrinsics, pixels."""
    width: int
    height: int

    @property
    def position(self) -> Tensor:
        """(3,) camera centre in the world."""
        return -self.viewmat[:3, :3].T @ self.viewmat[:3, 3]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points (N, 3) of the world → pixels (N, 2), the middle of the first at 0.5, and depths (N,)."""
        at = points @ self.viewmat[:3, :3].T.to(points) + self.viewmat[:3, 3].to(points)
        screen = at @ self.K.T.to(points)
        return screen[:, :2] / screen[:, 2:].clamp_min(NEAREST), at[:, 2]


@dataclass(frozen=True)
class Framing:
    """Where a portrait camera looks, independent of picture size; the browser opens with the same one."""

    target: tuple[float, float, float]
    """Point that it looks at, metres."""
    distance: float
    """Metres between the camera and the target."""
    fov_degrees: float
    """Vertical field of view."""


def orbit_camera(framing: Framing, yaw: float, pitch: float, width: int, height: int) -> Camera:
    """Camera on a sphere round the framing's target, upright.

    ``yaw`` degrees: 0 is the front (+Z side), positive moves towards the subject's left (+X); ``pitch`` degrees:
    positive looks down from above, kept within ±89. ``width``, ``height`` pixels.
    """
    yaw_radians, pitch_radians = math.radians(yaw), math.radians(max(-89.0, min(89.0, pitch)))
    back = torch.tensor(
        [
            math.sin(yaw_radians) * math.cos(pitch_radians),
            math.sin(pitch_radians),
            math.cos(yaw_radians) * math.cos(pitch_radians),
        ]
    )
    forward = -back
    right = torch.linalg.cross(forward, torch.tensor([0.0, 1.0, 0.0]))
    right = right / right.norm()
    down = torch.linalg.cross(forward, right)
    rotation = torch.stack([right, down, forward])
    position = torch.tensor(framing.target) + framing.distance * back
    viewmat = torch.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ position
    focal = height / (2 * math.tan(math.radians(framing.fov_degrees) / 2))
    K = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, width, height)


def portrait_framing(rig: Rig) -> Framing:
    """Head and shoulders of this rig, whatever its size: the framing of previews, videos and the browser."""
    skull = _skull(rig)
    crown = float(rig.vertices[:, 1].max()) - skull[1]
    distance = PORTRAIT_HEIGHT_IN_CROWNS * crown / (2 * math.tan(math.radians(PORTRAIT_FOV_DEGREES) / 2))
    return Framing((0.0, skull[1] + PORTRAIT_CENTRE_IN_CROWNS * crown, skull[2]), distance, PORTRAIT_FOV_DEGREES)


def _skull(rig: Rig) -> tuple[float, float, float]:
    """Where the free head has its head joint, the origin; other models put theirs anywhere between neck and ears."""
    if rig.basis == "arkit52" or not {"left_eye", "right_eye"} <= set(rig.joint_names):
        return 0.0, 0.0, 0.0
    eyes = (rig.joints[rig.joint_index("left_eye")] + rig.joints[rig.joint_index("right_eye")]) / 2
    brow = float(rig.vertices[:, 1].max() - eyes[1])
    return 0.0, float(eyes[1]) - SKULL_UNDER_EYES * brow, float(eyes[2]) - SKULL_BEHIND_EYES * brow


def portrait_camera(rig: Rig, width: int, height: int, yaw: float = 0.0, pitch: float = 4.0) -> Camera:
    """The standard portrait of this rig from ``yaw`` and ``pitch`` degrees."""
    return orbit_camera(portrait_framing(rig), yaw, pitch, width, height)
