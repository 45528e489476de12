"""Where the eyes of a sampled pose look and how far they are open.

Source of the ranges: AnimPortrait3D, GSAvatar/helper.py, `get_smplx_params`: the eyes of the tracked clip are left
aside, both look the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heads.rig import Rig
from pipeline.motion.maps.face_model import EYELIDS

GAZE = (0.3, 0.4)
"""Radians down or up, and to the sides."""
CLOSING_SHARE = 0.3
CLOSING, OPENING = (0.5, 1.1), (-1.0, 0.5)
"""Eyelids of that share of the poses, and of the others: 1 is closed, below 0 is wider than at rest."""
WIDEST_LID = -0.3
"""How far lids that only close may be run backwards; AnimPortrait3D's own are made for −1."""
EYES = ("left_eye", "right_eye")
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
WIDES = ("eyeWideLeft", "eyeWideRight")


class Eyes:
    """The channels and joints of one rig's eyes and lids."""

    def __init__(self, rig: Rig) -> None:
        names = rig.expression_names
        self._joints = [rig.joint_index(name) for name in EYES if name in rig.joint_names]
        self._drivers = [driver for driver in rig.drivers if driver.joint in self._joints]
        self._blinks = [names.index(name) for name in BLINKS if name in names]
        self._wides = [names.index(name) for name in WIDES if name in names]
        self._lids = [(names.index(name), *_range(rig, side)) for side, name in enumerate(EYELIDS) if name in names]
        looks = [driver.expression for driver in self._drivers]
        self._channels = [*looks, *self._blinks, *self._wides, *(lid[0] for lid in self._lids)]

    def rest(self, expression: Tensor, rotations: Tensor) -> None:
        """Take gaze and lids out of poses (T, E) and (T, J, 3), in place."""
        expression[:, self._channels] = 0
        rotations[:, self._joints] = 0

    def draw(self, source: torch.Generator, expression: Tensor, rotations: Tensor) -> None:
        """Give a pose, (1, E) and (1, J, 3) with eyes at rest, a gaze and lids of its own, in place."""
        numbers = torch.rand(4, generator=source)
        gaze = torch.zeros(3)
        gaze[:2] = (2 * numbers[:2] - 1) * torch.tensor(GAZE)
        low, high = CLOSING if float(numbers[2]) < CLOSING_SHARE else OPENING
        self.look(gaze, expression, rotations)
        self.close(low + (high - low) * float(numbers[3]), expression)

    def look(self, gaze: Tensor, expression: Tensor, rotations: Tensor) -> None:
        """Both eyes by an axis-angle (3,); the actions that turn them too move the lids as far as they would."""
        rotations[:, self._joints] = gaze
        for driver in self._drivers:
            along = float(gaze @ gaze.new_tensor(driver.axis))
            expression[:, driver.expression] = min(max(along / driver.radians, 0.0), 1.0)

    def close(self, lid: float, expression: Tensor) -> None:
        """Both eyes: 1 is closed, 0 at rest, below 0 wide open, as far as the rig's lids can."""
        expression[:, self._blinks] = min(max(lid, 0.0), 1.0)
        expression[:, self._wides] = min(max(-lid, 0.0), 1.0)
        for channel, rest, widest in self._lids:
            open_share = max(1.0 - rest, 1e-3)
            expression[:, channel] = max(min((lid - rest) / open_share, 1.0), widest)


def _range(rig: Rig, side: int) -> tuple[float, float]:
    """How far a lid is closed at rest (a fitted person's are), and the least value of its channel."""
    if rig.model is None or rig.model.fit is None:
        return 0.0, WIDEST_LID
    rest = rig.model.fit.eyelids[side]
    return rest, (-1.0 - rest) / max(1.0 - rest, 1e-3)
