"""`Face`: a clip in the making, put together from curves."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.errors import UserError
from pipeline.heads.anny import LOOK_HORIZONTAL, LOOK_VERTICAL
from pipeline.motion import curves
from pipeline.motion.curves import Curve
from pipeline.motion.motion import ARKIT_NAMES, Motion, still

FPS = 30.0
EYE_RESTLESSNESS = 1.6
"""Degrees that the gaze wanders over a partner's face."""


class Face:
    """A clip in the making: named actions, and degrees of neck, head and gaze, over one time line."""

    def __init__(self, seconds: float, seed: int) -> None:
        self.seconds = seconds
        self.times: Curve = np.arange(round(seconds * FPS)) / FPS
        self.random = np.random.default_rng(seed)
        self._actions = {name: np.zeros(len(self.times)) for name in ARKIT_NAMES}
        self._neck = np.zeros((len(self.times), 3))
        self._head = np.zeros((len(self.times), 3))
        self._gaze = np.zeros((len(self.times), 2))

    def add(self, name: str, curve: Curve) -> None:
        """Add a curve to an action; without a side (browDown) it goes to both."""
        names = [name] if name in self._actions else [f"{name}Left", f"{name}Right"]
        for full in names:
            if full not in self._actions:
                raise UserError(f"there is no action {name!r}")
            self._actions[full] += curve

    def turn(self, pitch: Curve | float = 0.0, yaw: Curve | float = 0.0, roll: Curve | float = 0.0) -> None:
        """Turn the head, degrees: down, to the subject's left, towards the left shoulder. The neck takes two fifths."""
        for axis, degrees in enumerate((pitch, yaw, -np.asarray(roll))):
            self._neck[:, axis] += 0.4 * np.asarray(degrees)
            self._head[:, axis] += 0.6 * np.asarray(degrees)

    def look(self, down: Curve | float = 0.0, left: Curve | float = 0.0) -> None:
        """Move the point that the eyes rest on, degrees from straight ahead of the body."""
        self._gaze[:, 0] += down
        self._gaze[:, 1] += left

    def blink(self, start: float, depth: float = 1.0) -> None:
        """Both lids, one a few milliseconds after the other and not quite as far; the brows and eyes dip a little."""
        late, weak = float(self.random.uniform(0, 0.012)), float(self.random.uniform(0.94, 1.0))
        sides = [("Left", start, depth), ("Right", start + late, depth * weak)]
        if self.random.random() < 0.5:
            sides = [("Right", start, depth), ("Left", start + late, depth * weak)]
        for side, at, how_far in sides:
            self.add(f"eyeBlink{side}", curves.blink(self.times, at, how_far))
        self.add("browDown", curves.blink(self.times, start, 0.06))
        self.look(down=curves.blink(self.times, start, 2.0))

    def live(self, sway_degrees: float, blink_gap: float, first_blink: float) -> None:
        """What never stops: breathing, swaying, blinking and small glances."""
        self.sway(sway_degrees)
        for at in curves.blink_starts(self.random, self.seconds, first_blink, blink_gap):
            self.blink(at)
        self.glance()

    def sway(self, degrees: float) -> None:
        """Breathing and swaying, at rest at both ends."""
        ends = curves.at_rest_at_the_ends(self.times, self.seconds, 0.6)
        drifts = [curves.sway(self.times, self.random, 0.12, 0.9) * ends * degrees for _ in range(3)]
        breath = curves.breathing(self.times) * ends
        self.turn(0.5 * drifts[0] - 0.5 * breath, drifts[1], 0.5 * drifts[2])
        self.add("noseSneer", 0.03 * breath)

    def stress(self, at: float, strength: float, brows: bool) -> None:
        """A small nod on the vowel that begins at second ``at``, by a ``strength`` of 0..1, with or without brows."""
        yaw, roll = (float(self.random.uniform(-1, 1)) for _ in range(2))
        self.turn(
            pitch=curves.stroke(self.times, at - 0.10, 0.14, 0.02, 0.28, 2.6 * strength),
            yaw=curves.stroke(self.times, at - 0.15, 0.25, 0.1, 0.4, 2.4 * yaw),
            roll=curves.stroke(self.times, at - 0.15, 0.3, 0.1, 0.4, 1.4 * roll),
        )
        if brows:
            self.add("browInnerUp", curves.stroke(self.times, at - 0.12, 0.15, 0.08, 0.3, 0.28 * strength))
            self.add("browOuterUp", curves.stroke(self.times, at - 0.10, 0.15, 0.08, 0.3, 0.20 * strength))

    def glance(self) -> None:
        """The gaze wanders over a partner's face."""
        reach = EYE_RESTLESSNESS
        self.look(
            down=curves.glances(self.times, curves.fixations(self.random, self.seconds, 0.4, 1.4, 0.6 * reach)),
            left=curves.glances(self.times, curves.fixations(self.random, self.seconds, 0.4, 1.4, reach)),
        )

    def motion(self, source: str) -> Motion:
        """The finished clip: the eyes hold their target while the head moves, lids never close twice over."""
        eyes = self._gaze - (self._neck + self._head)[:, :2]
        down, left = np.radians(eyes[:, 0]) / LOOK_VERTICAL, np.radians(eyes[:, 1]) / LOOK_HORIZONTAL
        looks = {"Down": (down, down), "Up": (-down, -down), "Out": (left, -left), "In": (-left, left)}
        for direction, sides in looks.items():
            for side, value in zip(("Left", "Right"), sides, strict=True):
                self.add(f"eyeLook{direction}{side}", np.maximum(value, 0.0))
        expression = np.stack([self._actions[name] for name in ARKIT_NAMES], axis=1).clip(0, 1)
        tensors = still(len(self.times)) | {"neck": torch.from_numpy(np.radians(self._neck))}
        return Motion(
            fps=FPS,
            basis="arkit52",
            expression=torch.from_numpy(expression),
            **tensors,
            head=torch.from_numpy(np.radians(self._head)),
            source=source,
        )
