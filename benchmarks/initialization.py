"""A static head rigged: how like its source it is, at rest and in poses that no picture showed, and a step's cost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.figure import Figure
from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.priors.procedural import build_avatar, understand
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.multiview import Similarity
from pipeline.rendering.portrait import draw
from pipeline.stages.initialization import PRESETS, initialize
from pipeline.stages.journal import Journal, Progress

PROMPT = "a young woman with long red hair"
HELD_OUT = 24
FRONT = (60.0, 90.0, 120.0)
"""Yaws from which the face is seen."""
VISIBLE = 0.1
"""Change of a colour, 0..1, that a person sees."""
POSES: Mapping[str, dict[str, float]] = {
    "at rest": {},
    "mouth open": {"jawOpen": 0.8},
    "lids closed": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}


class _Clock(Journal):
    """When each step ended."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def step(self, progress: Progress, shown: object, state: object) -> None:
        self.ended.append(time.perf_counter())


@dataclass(frozen=True)
class _Subject:
    """An avatar as it stands in the world of the source."""

    avatar: SplatAvatar
    expression: Tensor
    rotations: Tensor
    place: Similarity | None = None

    @torch.no_grad()
    def pictures(self, cameras: list[Camera], actions: dict[str, float]) -> np.ndarray:
        """(C, H, W, 4) 0..1 of what it looks like when actions come on top of its pose."""
        rig, expression = self.avatar.rig, self.expression.clone()
        for name, value in actions.items():
            expression[0, rig.expression_index(name)] += value
        splats = self.avatar.gaussians(rig.pose(expression, self.rotations)[0])
        seen = cameras if self.place is None else [self.place.camera_of_rig(camera) for camera in cameras]
        return np.stack([draw(splats, camera, None, self.avatar.config["rasterize_mode"]) for camera in seen]) / 255.0


def run() -> list[Figure]:
    """120 views of a built-in head in 512 pixels, as published, and the steps of the quick preset."""
    avatar = build_avatar(understand(PROMPT, 1).attributes)
    source, clock = AvatarSource(avatar), _Clock()
    config = replace(PRESETS["published"], fit=PRESETS["quick"].fit)
    made = initialize(source, "anny", config, clock)
    step = (clock.ended[-1] - clock.ended[0]) / (len(clock.ended) - 1)
    truth = _Subject(avatar, *avatar.rig.neutral())
    ours = _Subject(made.avatar, made.head.expression, made.head.rotations, made.head.to_source)
    around = [source.orbit.camera(360 * (n + 0.5) / HELD_OUT, 75 + 30 * (n % 5) / 4, 512) for n in range(HELD_OUT)]
    front = [source.orbit.camera(yaw, 90, 512) for yaw in FRONT]
    figures = [
        Figure(f"rigged head, {name}, {config.steps} steps", _likeness(truth, ours, around, actions), "dB",
               30.0 if not actions else 24.0, more_is_better=True)
        for name, actions in POSES.items()
    ]  # fmt: skip
    figures += [_of_what_moves(truth, ours, front, name, actions) for name, actions in POSES.items() if actions]
    return [*figures, Figure("step of the rigged start, 512 px", step, "s", 0.5)]


def _likeness(truth: _Subject, ours: _Subject, cameras: list[Camera], actions: dict[str, float]) -> float:
    """PSNR inside the silhouette, both in one pose."""
    right = truth.pictures(cameras, actions)
    return _psnr(right, ours.pictures(cameras, actions), right[..., 3] > 0.5)


def _of_what_moves(
    truth: _Subject, ours: _Subject, cameras: list[Camera], name: str, actions: dict[str, float]
) -> Figure:
    """PSNR over the pixels that the pose changes in the source, beside that of a head which does not move."""
    right, still = truth.pictures(cameras, actions), truth.pictures(cameras, {})
    moves = np.abs(_painted(right) - _painted(still)).max(-1) > VISIBLE
    value, peer = (_psnr(right, shown, moves) for shown in (ours.pictures(cameras, actions), still))
    return Figure(f"rigged head, {name}, what moves", value, "dB", 20.0, "the source at rest", peer, True)


def _psnr(truth: np.ndarray, ours: np.ndarray, where: np.ndarray) -> float:
    return -10 * math.log10(((_painted(truth) - _painted(ours))[where] ** 2).mean())


def _painted(pictures: np.ndarray) -> np.ndarray:
    """Over black."""
    return pictures[..., :3] * pictures[..., 3:]
