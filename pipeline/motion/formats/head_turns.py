"""Yaw, pitch and roll of head and eyes, as ARKit apps write them, in our axes.

ARKit's face axes are ours: x the subject's left, y up, z out of the face. Epic's plugin writes, for a face that is not
mirrored, yaw about +y (to the subject's left), pitch about +x (down) and roll about +z (towards the subject's right
shoulder), in fractions of 180°; its app writes radians; other tools write degrees, mirror left and right, or count
pitch upwards. Which of these holds, the file itself can tell: its eyes turn by the same rules as its head, and the
eyeLook actions say where they look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.errors import MotionError
from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.draft import Numbers
from pipeline.motion.motion import ARKIT_NAMES

NECK_SHARE = 0.4
"""Of the head's turn, as in our own clips; the head joint takes the rest about the same axis."""
UNITS: Mapping[str, float] = {"radians": 1.0, "degrees": math.pi / 180, "half_turns": math.pi}
LARGEST_RADIANS = 3.3
"""More can only be degrees."""
LARGEST = 720.0
RADIANS_PER_LOOK = (0.27, 3.0)
"""Turn of the eye at an eyeLook action of 1 is about 0.5; below this range the unit is half turns, above it degrees."""
SMALLEST_LOOK, LEAST_CORRELATION = 0.02, 0.6
"""Standard deviation of the gaze, and its correlation with the eye's angle, from which the eyes are a witness."""


@dataclass(frozen=True)
class Turns:
    """Angles of a clip as its file has them: (T, 3) yaw, pitch, roll of each, or None."""

    head: Numbers | None
    left_eye: Numbers | None
    right_eye: Numbers | None

    def rotations(self, weights: Numbers, choices: Choices) -> dict[str, Numbers]:
        """Neck, head and eyes as (T, 3) axis-angle in our axes; ``weights`` (T, 52) are the clip's actions.

        Eyes are left out where the eyeLook actions turn them already. What the file leaves open is asked under
        ``units``, ``head_pitch`` and ``head_yaw``. Raises `MotionError` for angles of more than two turns.
        """
        found = {"head": self.head, "left_eye": self.left_eye, "right_eye": self.right_eye}
        given = {name: angles for name, angles in found.items() if angles is not None and np.nan_to_num(angles).any()}
        if _gaze(weights, "Left", down=True).any() or _gaze(weights, "Left", down=False).any():
            given = {name: angles for name, angles in given.items() if name == "head"}
        if not given:
            return {}
        for name, angles in given.items():
            if np.nanmax(np.abs(angles)) > LARGEST:
                raise MotionError(f"the {name} turns by {np.nanmax(np.abs(angles)):.4g}; it can be 360 at most")
        scale = self._scale(weights, choices) * self._signs(weights, choices)
        turns = {name: from_angles(angles * scale) for name, angles in given.items()}
        head = turns.pop("head", None)
        return turns if head is None else turns | on_neck_and_head(head)

    def _scale(self, weights: Numbers, choices: Choices) -> float:
        """Radians of one unit."""
        all_angles = np.concatenate([a for a in (self.head, self.left_eye, self.right_eye) if a is not None])
        slopes = [abs(self._witness(weights, down)) for down in (True, False)]
        slope = max(slopes)
        unit, why = "radians", "The file does not say the unit of the head's rotations; radians were assumed."
        if float(np.nanmax(np.abs(all_angles))) > LARGEST_RADIANS:
            unit, why = "degrees", "The head's rotations are too large for radians and were read as degrees."
        elif slope:
            low, high = RADIANS_PER_LOOK
            unit = "half_turns" if slope < low else "degrees" if slope > high else "radians"
            why = f"The head's rotations were read as {unit.replace('_', ' ')}, judged by how far the eyes turn."
        return UNITS[choices.option("units", unit, tuple(UNITS), why)]

    def _signs(self, weights: Numbers, choices: Choices) -> Numbers:
        """(3,) signs of yaw, pitch, roll; a mirrored yaw comes with a mirrored roll."""
        pitch, yaw = self._witness(weights, down=True), self._witness(weights, down=False)
        way = "up" if pitch < 0 else "down"
        down = choices.option("head_pitch", way, ("down", "up"), _told("pitch", "down", pitch))
        way = "right" if yaw < 0 else "left"
        left = choices.option("head_yaw", way, ("left", "right"), _told("yaw", "left", yaw))
        side = 1.0 if left == "left" else -1.0
        return np.array([side, 1.0 if down == "down" else -1.0, side])

    def _witness(self, weights: Numbers, down: bool) -> float:
        """Angle per eyeLook action, signed as if all looked down or left; 0 where the eyes tell nothing."""
        looks, angles = [], []
        for side, eye in (("Left", self.left_eye), ("Right", self.right_eye)):
            if eye is not None:
                looks.append(_gaze(weights, side, down))
                angles.append(eye[:, 1 if down else 0])
        if not looks:
            return 0.0
        look, angle = np.concatenate(looks), np.concatenate(angles)
        whole = np.isfinite(look) & np.isfinite(angle)
        look, angle = look[whole], angle[whole]
        if len(look) < 3 or look.std() < SMALLEST_LOOK or not angle.std() > 0 or np.abs(angle).max() > LARGEST:
            return 0.0
        correlation = float(np.corrcoef(look, angle)[0, 1])
        return correlation * float(angle.std() / look.std()) if abs(correlation) >= LEAST_CORRELATION else 0.0


def on_neck_and_head(turn: Numbers) -> dict[str, Numbers]:
    """A head's turn (T, 3) axis-angle, shared by the neck and the head joint."""
    return {"neck": NECK_SHARE * turn, "head": (1 - NECK_SHARE) * turn}


def from_angles(angles: Numbers) -> Numbers:
    """Radians (T, 3) of yaw about y, pitch about x, roll about z, each in the axes turned by those before → (T, 3)
    axis-angle."""
    turned = torch.eye(3, dtype=torch.float64)
    for column, axis in enumerate((1, 0, 2)):
        about = torch.zeros(len(angles), 3, dtype=torch.float64)
        about[:, axis] = torch.from_numpy(np.ascontiguousarray(angles[:, column], np.float64))
        turned = turned @ axis_angle_to_matrix(about)
    whole = np.isfinite(angles).all(1)
    rotations = np.full((len(angles), 3), np.nan)
    rotations[whole] = matrix_to_axis_angle(turned[torch.from_numpy(whole)]).numpy()
    return rotations


def _gaze(weights: Numbers, side: str, down: bool) -> Numbers:
    """(T,) how far an eye looks down, or to the subject's left, by its actions."""
    more, less = ("Down", "Up") if down else ("Out", "In") if side == "Left" else ("In", "Out")
    columns = [ARKIT_NAMES.index(f"eyeLook{direction}{side}") for direction in (more, less)]
    return weights[:, columns[0]] - weights[:, columns[1]]


def _told(angle: str, way: str, witness: float) -> str:
    if witness:
        return f"The direction of the head's {angle} was taken from the eyes, which turn by the same rule."
    return f"The file does not say the direction of the head's {angle}; positive was taken as {way}."
