"""What the diffusion model is shown in one step: poses, the places they are seen from, and crops of those views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from pipeline.camera import Camera

Region = Literal["full", "face", "mouth", "eye_left", "eye_right"]
Direction = Literal["front", "side", "back"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""


@dataclass(frozen=True)
class Pose:
    """One moment of the rig's motion, on the CPU."""

    expression: Tensor
    """(1, E)."""
    rotations: Tensor
    """(1, J, 3) axis-angle radians."""
    mouth_open: bool
    """Whether the inside of the mouth is worth looking at."""


@dataclass(frozen=True)
class Shot:
    """One crop of one view, drawn at the diffusion model's own size by a camera that sees the crop alone."""

    region: Region
    camera: Camera
    direction: Direction
    """From where the head is seen, for the prompt."""
    conditioned: bool
    """Whether the ControlNet sees the head model in it."""
    covered: Box | None = None
    """In pixels of this shot: what another shot of the same view guides better, so that this one leaves it alone."""


@dataclass(frozen=True)
class View:
    """A pose seen from one place."""

    pose: Pose
    shots: tuple[Shot, ...]
    """All of one picture size."""
