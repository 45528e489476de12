"""What a rigged start is made from: a static head that can be looked at from anywhere, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.stages.cameras import Orbit


class Part(IntEnum):
    """What a pixel or a triangle of a portrait shows."""

    BACKGROUND = 0
    FACE = 1
    """Facial skin with all that lies in and on it: brows, eyes, lips, teeth, beard, glasses."""
    SKIN = 2
    """Ears, neck, a bald scalp, bare shoulders."""
    HAIR = 3
    """Also hats: they move with the skull."""
    CLOTH = 4
    """Also necklaces: they move with the torso."""


@dataclass(frozen=True)
class Surface:
    """A triangle mesh."""

    vertices: Tensor
    """(V, 3), in the world of whatever it is the surface of."""
    faces: Tensor
    """(F, 3) long, counter-clockwise seen from outside."""
    colors: Tensor | None = None
    """(V, 3) display sRGB 0..1."""
    parts: Tensor | None = None
    """(F,) uint8 `Part`."""


@dataclass(frozen=True)
class Observed:
    """Landmarks in pictures."""

    names: tuple[str, ...]
    """(L) as a `Rig` names its landmarks: ``ibug_36``, ``pupil_left``, ``mediapipe_33`` …"""
    points: Tensor
    """(C, L, 2) pixels, x right, y down; the middle of the first pixel is at 0.5."""
    confidence: Tensor
    """(C, L) 0..1; 0 where it was not seen."""


@dataclass(frozen=True)
class Views:
    """Pictures of one head, all of one size."""

    cameras: tuple[Camera, ...]
    pictures: Tensor
    """(C, H, W, 4) uint8: display sRGB, not multiplied by the coverage in the fourth channel."""

    def over(self, color: Tensor, rows: Sequence[int] | slice = slice(None)) -> Tensor:
        """Some of the pictures over a colour (3,) 0..1: (B, 3, H, W) float32."""
        picked = self.pictures[rows].to(color).div(255).movedim(-1, 1)
        alpha = picked[:, 3:]
        return picked[:, :3] * alpha + color.view(3, 1, 1) * (1 - alpha)

    def seen_by(self, cameras: Sequence[Camera]) -> Views:
        """The same pictures with other cameras, e.g. those of another world."""
        return replace(self, cameras=tuple(cameras))


class Source(Protocol):
    """A static head in a world of its own: y up, the face towards +Z, any unit."""

    @property
    def orbit(self) -> Orbit:
        """The sphere of cameras that shows head and shoulders."""
        ...

    def look(self, cameras: Sequence[Camera]) -> Views:
        """Pictures from cameras of one size."""
        ...

    def surface(self) -> Surface:
        """Its outer surface, coloured."""
        ...

    def label(self, cameras: Sequence[Camera]) -> Tensor | None:
        """(C, H, W) uint8 `Part` of every pixel; None where only a parser can tell."""
        ...

    def landmarks(self, cameras: Sequence[Camera]) -> Observed | None:
        """Where its landmarks are, with confidence 0 for hidden ones; None where only a detector can tell."""
        ...


LandmarkDetector = Callable[[Tensor], Observed]
"""Pictures (C, H, W, 3) uint8 → landmarks."""
Parser = Callable[[Tensor], Tensor]
"""Pictures (C, H, W, 3) uint8 → (C, H, W) uint8 `Part`."""


@dataclass(frozen=True)
class Similarity:
    """Takes a rig's metres into a source's world: p ↦ scale · rotation @ p + translation."""

    scale: float
    """Units of the source's world per metre."""
    rotation: Tensor
    """(3, 3)."""
    translation: Tensor
    """(3,) in the source's units."""

    def to_source(self, points: Tensor) -> Tensor:
        """(..., 3) metres → (..., 3) of the source's world."""
        return self.scale * points @ self.rotation.T + self.translation

    def to_rig(self, points: Tensor) -> Tensor:
        """(..., 3) of the source's world → (..., 3) metres."""
        return (points - self.translation) @ self.rotation / self.scale

    def camera_of_rig(self, camera: Camera) -> Camera:
        """The camera in the rig's metres that sees what ``camera`` of the source's world sees, at the same pixels."""
        viewmat = torch.eye(4, dtype=torch.float64)
        old, turn = camera.viewmat.double(), self.rotation.double()
        viewmat[:3, :3] = old[:3, :3] @ turn
        viewmat[:3, 3] = (old[:3, :3] @ self.translation.double() + old[:3, 3]) / self.scale
        return replace(camera, viewmat=viewmat.float())
