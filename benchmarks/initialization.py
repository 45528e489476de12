"""A static head rigged: how like its source it is, at rest and in poses that no picture showed, and a step's cost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from benchmarks.figure import Figure
from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.priors.procedural import build_avatar, understand
from pipeline.reconstruction.avatar_source import AvatarSource
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


def run() -> list[Figure]:
    """120 views of a built-in head in 512 pixels, as published, and the steps of the quick preset."""
    source_avatar = build_avatar(understand(PROMPT, 1).attributes)
    source, clock = AvatarSource(source_avatar), _Clock()
    config = replace(PRESETS["published"], fit=PRESETS["quick"].fit)
    made = initialize(source, "anny", config, clock).avatar
    step = (clock.ended[-1] - clock.ended[0]) / (len(clock.ended) - 1)
    around = [source.orbit.camera(360 * (n + 0.5) / HELD_OUT, 75 + 30 * (n % 5) / 4, 512) for n in range(HELD_OUT)]
    front = [source.orbit.camera(yaw, 90, 512) for yaw in FRONT]
    figures = [
        Figure(f"rigged head, {name}, {config.steps} steps", _likeness(source_avatar, made, around, actions), "dB",
               30.0 if not actions else 24.0, more_is_better=True)
        for name, actions in POSES.items()
    ]  # fmt: skip
    figures += [_of_what_moves(source_avatar, made, front, name, actions) for name, actions in POSES.items() if actions]
    return [*figures, Figure("step of the rigged start, 512 px", step, "s", 0.5)]


def _likeness(source: SplatAvatar, made: SplatAvatar, cameras: list[Camera], actions: dict[str, float]) -> float:
    """PSNR inside the silhouette, both in one pose."""
    truth, ours = (_pictures(avatar, cameras, actions) for avatar in (source, made))
    return _psnr(truth, ours, truth[..., 3] > 0.5)


def _of_what_moves(
    source: SplatAvatar, made: SplatAvatar, cameras: list[Camera], name: str, actions: dict[str, float]
) -> Figure:
    """PSNR over the pixels that the pose changes in the source, beside that of a head which does not move."""
    truth, ours, still = (
        _pictures(avatar, cameras, posed) for avatar, posed in ((source, actions), (made, actions), (source, {}))
    )
    moves = np.abs(_painted(truth) - _painted(still)).max(-1) > VISIBLE
    peer = _psnr(truth, still, moves)
    return Figure(
        f"rigged head, {name}, what moves", _psnr(truth, ours, moves), "dB", 20.0, "the source at rest", peer, True
    )


def _psnr(truth: np.ndarray, ours: np.ndarray, where: np.ndarray) -> float:
    return -10 * math.log10(((_painted(truth) - _painted(ours))[where] ** 2).mean())


def _painted(pictures: np.ndarray) -> np.ndarray:
    """Over black."""
    return pictures[..., :3] * pictures[..., 3:]


@torch.no_grad()
def _pictures(avatar: SplatAvatar, cameras: list[Camera], actions: dict[str, float]) -> np.ndarray:
    expression, rotations = avatar.rig.neutral()
    for name, value in actions.items():
        expression[0, avatar.rig.expression_index(name)] = value
    splats = avatar.gaussians(avatar.rig.pose(expression, rotations)[0])
    return np.stack([draw(splats, camera, None, avatar.config["rasterize_mode"]) for camera in cameras]) / 255.0
