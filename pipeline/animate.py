"""A motion clip moves an avatar: the one function behind the command line's `animate` and the page's Export."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.avatar import SplatAvatar
from pipeline.motion import Motion, load_motion, retarget
from pipeline.rendering.layouts import make_shots
from pipeline.rendering.video import (
    check_frames_target,
    check_video_target,
    parse_background,
    render_frames,
    write_png_frames,
    write_video,
)


@dataclass(frozen=True)
class AnimationSettings:
    """How a video looks."""

    width: int = 512
    """Pixels of one view."""
    height: int = 512
    fps: float | None = None
    """Frames per second; None keeps the clip's."""
    layout: str = "single"
    """``single``, ``turntable`` or ``four``."""
    background: str = "grey"
    """A colour name, #rrggbb, or ``transparent``, which writes PNG frames instead of a video."""


@dataclass(frozen=True)
class AnimationResult:
    """What was written."""

    frames: int
    seconds: float
    """Time that posing, drawing and encoding took."""
    notes: tuple[str, ...]
    """What of the clip could not be carried over, in sentences."""

    @property
    def fps(self) -> float:
        """Frames per second of work."""
        return self.frames / self.seconds


def animate_to_video(
    avatar: SplatAvatar,
    motion: Motion | Sequence[Path],
    target: Path,
    settings: AnimationSettings,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    device: str = "cpu",
) -> AnimationResult:
    """Drive ``avatar`` with a clip and write an MP4, or a folder of PNG frames where the background is transparent.

    ``motion`` is a clip or the files of one. ``progress`` is called with (frames done, frames in all); ``cancel`` is
    asked before each frame; ``device`` is where splats are posed and drawn. Raises `UserError` for anything in the
    files, the target or the settings that cannot be used, before anything is written, and `VideoCancelled` when
    cancelled; both leave nothing behind.
    """
    background = parse_background(settings.background)
    (check_video_target if background else check_frames_target)(target)
    clip = motion if isinstance(motion, Motion) else load_motion(motion)
    if settings.fps is not None:
        clip = clip.resample(settings.fps)
    shots = make_shots(settings.layout, avatar.rig, settings.width, settings.height, len(clip), clip.fps)
    driven = retarget(clip, avatar.rig)

    started = time.perf_counter()
    if device != "cpu":
        avatar = copy.deepcopy(avatar).to(device)  # `to` would move the caller's own
    frames = render_frames(avatar, driven.expression.to(device), driven.rotations.to(device), shots, background)
    report = None if progress is None else lambda done: progress(done, len(clip))
    if background is None:
        count = write_png_frames(target, frames, progress=report, cancel=cancel)
    else:
        count = write_video(
            target, frames, clip.fps, audio=clip.audio, frame_count=len(clip), progress=report, cancel=cancel
        )
    return AnimationResult(count, time.perf_counter() - started, driven.notes)
