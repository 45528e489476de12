"""An avatar through a clip, from the front: flicker, holes, and how fast it is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.avatar import Gaussians, SplatAvatar
from pipeline.camera import Camera, portrait_camera
from pipeline.evaluation.figures import ClipFigures
from pipeline.evaluation.flicker import Change, Frame, change, frames
from pipeline.evaluation.holes import find_holes
from pipeline.evaluation.overlays import FULL_HEAT_LEVELS, as_bytes, heat
from pipeline.evaluation.views import mesh_mask
from pipeline.motion.retarget import Retargeted
from pipeline.rendering.portrait import STUDIO_GREY, Picture, draw

SAMPLES = 8
"""Frames of the clip that CLIP sees, evenly spaced."""
TIMED = 30
"""Frames that are drawn for the speed."""


@dataclass(frozen=True, eq=False)
class Worst:
    """The frame after which the clip changes most."""

    levels: float
    frame: int
    picture: Picture
    """(S, S, 3) uint8, pink where it changes."""


@dataclass(frozen=True, eq=False)
class ThroughClip:
    """Figures of a clip and what is shown of it."""

    figures: ClipFigures
    samples: list[Picture]
    """At most `SAMPLES` frames."""
    worst: Worst


@torch.no_grad()
def look_through_clip(
    avatar: SplatAvatar, driven: Retargeted, fps: float, size: int, progress: Callable[[int], None]
) -> ThroughClip:
    """Every frame of ``driven``, two or more, in the standard portrait of ``size`` pixels; ``progress`` is told the
    frames done. Memory holds a few frames."""
    camera = portrait_camera(avatar.rig, size, size)
    count = len(driven.expression)
    sampled = {round(sample * (count - 1) / (SAMPLES - 1)) for sample in range(SAMPLES)}
    holes: list[float] = []
    changes: list[Change] = []
    samples: list[Picture] = []
    worst = Worst(-1.0, 0, np.zeros((size, size, 3), np.uint8))
    before: Frame | None = None
    for number, frame in enumerate(frames(_posed(avatar, driven), camera, avatar.config["rasterize_mode"])):
        inside = mesh_mask(avatar.rig, _vertices(avatar, driven, number), camera)
        holes.append(find_holes(frame.alpha, inside).share)
        if number in sampled:
            samples.append(as_bytes(frame.picture))
        if before is not None:
            changed, levels = change(before, frame)
            changes.append(changed)
            if changed.levels > worst.levels:
                worst = Worst(changed.levels, number - 1, heat(as_bytes(before.picture), levels / FULL_HEAT_LEVELS))
        before = frame
        progress(number + 1)
    figures = ClipFigures(
        fps=fps,
        flicker=[changed.levels for changed in changes],
        speed=[changed.speed for changed in changes],
        compared=[changed.compared for changed in changes],
        hole_share=holes,
        draw_fps=_draw_fps(avatar, driven, camera),
    )
    return ThroughClip(figures, samples, worst)


def _draw_fps(avatar: SplatAvatar, driven: Retargeted, camera: Camera) -> float:
    """Frames posed and drawn per second, one after another, as a video needs them; encoding not included."""
    count = min(len(driven.expression), TIMED)
    started = time.perf_counter()
    for number in range(count):
        gaussians = avatar.gaussians(_vertices(avatar, driven, number))
        draw(gaussians, camera, STUDIO_GREY, avatar.config["rasterize_mode"])
    return count / (time.perf_counter() - started)


def _posed(avatar: SplatAvatar, driven: Retargeted) -> Iterator[Gaussians]:
    for number in range(len(driven.expression)):
        yield avatar.gaussians(_vertices(avatar, driven, number))


def _vertices(avatar: SplatAvatar, driven: Retargeted, number: int) -> Tensor:
    frame = slice(number, number + 1)
    return avatar.rig.pose(driven.expression[frame], driven.rotations[frame])[0]
