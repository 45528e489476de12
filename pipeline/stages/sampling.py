"""`ViewSampler`: the poses and places from which a phase looks at the head, drawn one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from pipeline.guidance.shot import Direction, Pose, View
from pipeline.heads.rig import Rig
from pipeline.stages.cameras import ball_orbit, portrait_orbit
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.crops import FacePoints, Seen, cut
from pipeline.stages.gaze import Eyes
from pipeline.stages.motion_pool import MotionPool
from pipeline.stages.randomness import generator

BALL_ELEVATION = 30.0
"""Degrees above and below."""
BALL_DISTANCE, BALL_FOV = (1.5, 2.0), (40.0, 70.0)


class ViewSampler:
    """Draws views of a rig for one phase. All that is drawn comes from the generators that are given.

    Raises `UserError` for a rig without the landmarks that cameras and crops are placed by.
    """

    def __init__(self, rig: Rig, phase: Phase, config: RefinementConfig, pool: MotionPool) -> None:
        self._phase, self._config, self._pool = phase, config, pool
        self._eyes = Eyes(rig)
        self._points = FacePoints(rig)
        is_ball = config.cameras == "headstudio"
        self._orbit = ball_orbit(rig, 1.0, BALL_FOV[0]) if is_ball else portrait_orbit(rig)
        self._draw = self._round_the_head if is_ball else self._round_the_portrait
        self.extent = self._orbit.extent
        """Metres: the size of the scene, for densification."""

    def views(self, step: int, indices: Sequence[int] | None = None) -> list[View]:
        """The views of a step that one process looks at, all by default: the same whichever process draws them."""
        phase, seed = self._phase, self._config.seed
        pose = self.pose(generator(seed, phase.name, step, "pose")) if phase.one_pose else None
        return [
            self.view(generator(seed, phase.name, step, index), index, phase.views, pose)
            for index in (range(phase.views) if indices is None else indices)
        ]

    def view(self, source: torch.Generator, index: int = 0, count: int = 1, pose: Pose | None = None) -> View:
        """One view, number ``index`` of ``count``, of a pose of its own or of the given one."""
        pose = pose or self.pose(source)
        seen = self._draw(source, index, count)
        return View(pose, cut(seen, self._points(pose), self._phase, self._config.resolution))

    def pose(self, source: torch.Generator) -> Pose:
        """A moment of the pool's motion, with a gaze and lids of its own.

        Source: AnimPortrait3D, GSAvatar/helper.py, `get_smplx_params`.
        """
        chosen = torch.multinomial(self._pool.weights, 1, generator=source)
        expression, rotations = self._pool.expression[chosen].clone(), self._pool.rotations[chosen].clone()
        if not self._phase.turns_head:
            rotations[:, self._pool.head_joints] = 0
        if self._phase.moves_eyes:
            self._eyes.draw(source, expression, rotations)
        return Pose(expression, rotations, bool(self._pool.mouth_open[chosen]))

    def _round_the_portrait(self, source: torch.Generator, index: int, count: int) -> Seen:
        """AnimPortrait3D's: from the phase's range, and for a share of them from behind."""
        phase = self._phase
        yaw = uniform(source, *phase.yaw)
        if uniform(source, 0, 1) < phase.back_share:
            yaw = uniform(source, 180, 360)
        polar = math.degrees(math.acos(1 - 2 * uniform(source, *phase.pitch) / 180))
        return Seen(self._orbit.camera(yaw, polar, self._config.frame), yaw, portrait_direction(yaw))

    def _round_the_head(self, source: torch.Generator, index: int, count: int) -> Seen:
        """HeadStudio's (uncond_rand_exp.py): azimuths spread over the circle, half of the elevations even on the
        sphere, half even in degrees."""
        yaw = 90 - 180 + 360 * (index + uniform(source, 0, 1)) / count
        elevation = uniform(source, -BALL_ELEVATION, BALL_ELEVATION)
        if uniform(source, 0, 1) < 0.5:
            share = BALL_ELEVATION / 90
            elevation = math.degrees(math.asin(uniform(source, -share, share)))
        radius = uniform(source, *BALL_DISTANCE) * self._orbit.radius
        orbit = replace(self._orbit, radius=radius, fov_degrees=uniform(source, *BALL_FOV))
        return Seen(orbit.camera(yaw, 90 - elevation, self._config.frame), yaw, ball_direction(yaw))


def portrait_direction(yaw: float) -> Direction:
    """AnimPortrait3D's word for a yaw in degrees, whichever way round: front up to 30° off, side up to 105°."""
    off = _off_front(yaw)
    return "front" if off < 30 else "side" if off < 105 else "back"


def ball_direction(yaw: float) -> Direction:
    """HeadStudio's word: a quarter of the circle in front, a quarter behind."""
    off = _off_front(yaw)
    return "front" if off < 45 else "back" if off > 135 else "side"


def _off_front(yaw: float) -> float:
    """Degrees, 0 to 180, between a yaw and the front."""
    return abs((yaw - 90 + 180) % 360 - 180)


def uniform(source: torch.Generator, low: float, high: float) -> float:
    """One number from a range."""
    return low + (high - low) * float(torch.rand((), generator=source, dtype=torch.float64))
