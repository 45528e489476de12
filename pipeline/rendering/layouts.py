"""Where the cameras of a video stand: one view, a turntable, AnimPortrait3D's four views, or a view and its mesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.camera import Camera, Framing, orbit_camera, portrait_framing
from pipeline.errors import UserError
from pipeline.heads.rig import Rig

SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
"""Pixels of the whole picture; H.264 decoders are not asked for more."""
PORTRAIT_PITCH = 4.0
"""Degrees from above, as in the standard portrait."""
TURN_SECONDS = 8.0
"""About how long a turntable takes for one turn; a clip holds whole turns, so that it loops."""
SWAY_SECONDS = 4.0
"""About how long the moving view of the four takes from side to side and back."""
SWAY_YAW = math.degrees(0.85)
SWAY_PITCH = math.degrees(math.asin(2 * 0.45 / math.pi))
"""The moving view swings yaw by 0.85·sin and its polar angle v by 0.45·cos, where elevation = asin(2v/π), as in
AnimPortrait3D's `render_animation.py` and `camera_utils.py`."""

Angles = tuple[float, float]
"""Yaw and pitch of a camera, degrees (see `orbit_camera`)."""


@dataclass(frozen=True)
class Tile:
    """One view inside the picture."""

    camera: Camera
    left: int
    top: int
    mesh: bool
    """Whether it shows the head's mesh instead of the splats."""


@dataclass(frozen=True)
class Layout:
    """What a video shows side by side."""

    columns: int
    views: Callable[[float], tuple[Callable[[float], Angles], ...]]
    """The views for a clip of so many seconds, row by row, see `Shots`."""
    meshes: tuple[int, ...] = ()
    """Numbers of the views that show the mesh."""


@dataclass(frozen=True)
class Shots:
    """The views of every frame of a video."""

    framing: Framing
    width: int
    """Pixels of one view."""
    height: int
    columns: int
    views: tuple[Callable[[float], Angles], ...]
    """Camera angles by the share of the clip that has passed, 0..1; row by row."""
    frames: int
    meshes: tuple[int, ...]
    """Numbers of the views that show the mesh."""

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        return self.width * self.columns, self.height * (len(self.views) // self.columns)

    def tiles(self, frame: int) -> list[Tile]:
        """Views of frame number ``frame``."""
        share = frame / self.frames
        tiles = []
        for number, view in enumerate(self.views):
            row, column = divmod(number, self.columns)
            camera = orbit_camera(self.framing, *view(share), self.width, self.height)
            tiles.append(Tile(camera, column * self.width, row * self.height, number in self.meshes))
        return tiles


def _fixed(yaw: float) -> Callable[[float], Angles]:
    return lambda share: (yaw, PORTRAIT_PITCH)


def _single(seconds: float) -> tuple[Callable[[float], Angles], ...]:
    return (_fixed(0.0),)


def _turntable(seconds: float) -> tuple[Callable[[float], Angles], ...]:
    turns = max(1, round(seconds / TURN_SECONDS))
    return (lambda share: (360.0 * turns * share, PORTRAIT_PITCH),)


def _four(seconds: float) -> tuple[Callable[[float], Angles], ...]:
    phase = 2 * math.pi * max(1, round(seconds / SWAY_SECONDS))

    def swaying(share: float) -> Angles:
        return SWAY_YAW * math.sin(phase * share), PORTRAIT_PITCH + SWAY_PITCH * math.cos(phase * share)

    return _fixed(0.0), swaying, _fixed(-90.0), _fixed(90.0)


def _beside(seconds: float) -> tuple[Callable[[float], Angles], ...]:
    return _fixed(0.0), _fixed(0.0)


LAYOUTS = {
    "single": Layout(1, _single),
    "turntable": Layout(1, _turntable),
    "four": Layout(2, _four),
    "mesh": Layout(2, _beside, meshes=(1,)),
}
"""Four: front, moving, from the right and the left. Mesh: the front as splats and as the mesh that they ride on."""


def make_shots(layout: str, rig: Rig, width: int, height: int, frames: int, fps: float) -> Shots:
    """The cameras of a video of ``frames`` frames; each view is ``width`` × ``height`` pixels.

    Raises `UserError` for an unknown layout or a picture that is too small or too large.
    """
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}; use {', '.join(LAYOUTS)}")
    chosen = LAYOUTS[layout]
    views = chosen.views(frames / fps)
    shots = Shots(portrait_framing(rig), width, height, chosen.columns, views, max(frames, 1), chosen.meshes)
    for name, side in zip(("wide", "high"), shots.picture_size, strict=True):
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise UserError(f"the picture would be {side} pixels {name}; it must be {SMALLEST_SIDE} to {LARGEST_SIDE}")
    return shots
