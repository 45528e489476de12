"""What FLAME trackers name their arrays, and how their rows become a draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.heads.releases import RELEASES
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_array import ordered_weights
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.questions import ask_basis, ask_fps, ask_upright
from pipeline.motion.motion import FLAME_BASES

Numbers = NDArray[Any]
EXPRESSION = ("expr", "expression", "exp")
JOINTS = {"global_rotation": ("rotation",), "neck": ("neck_pose", "neck"), "jaw": ("jaw_pose", "jaw")}
EYES = ("eyes_pose", "eyes")
TRANSLATION = ("translation",)
NAMES = (*EXPRESSION, *(name for names in JOINTS.values() for name in names), *EYES, *TRANSLATION)
EYES_WIDTH = 6
BASIS = "flame2023"
ARKIT_WIDTHS = (51, 52)
LEAST_WEIGHT = -0.2
"""Trackers of actions overshoot 0 by less."""


def flame_draft(
    source: str,
    arrays: Mapping[str, Numbers],
    choices: Choices,
    usual_fps: float,
    stored_fps: float | None = None,
    notes: Sequence[str] = (),
) -> Draft:
    """A clip from arrays by any tracker's names; what is missing stays at rest.

    The eyes are (T, 6): left, then right. Trackers of these names fit FLAME 2023. Raises `MotionError` for eyes of
    another width.
    """
    tracks = {ours: _first(arrays, names) for ours, names in JOINTS.items()} | _eyes(arrays, choices)
    fps = ask_fps(choices, usual_fps, stored_fps)
    basis, expression, told = _expression(arrays, source, choices)
    return Draft(
        source=source,
        fps=fps,
        basis=basis,
        expression=expression,
        rotations={name: rows for name, rows in tracks.items() if rows is not None},
        translation=_first(arrays, TRANSLATION),
        notes=[*notes, *told],
    )


def _expression(arrays: Mapping[str, Numbers], source: str, choices: Choices) -> tuple[str, Numbers, list[str]]:
    """Basis, coefficients (T, E) and notes; as wide as ARKit's weights are, it is taken for those."""
    values = _first(arrays, EXPRESSION)
    if values is None:
        return BASIS, np.zeros((1, 0), np.float32), []
    if values.ndim != 2 or values.shape[1] not in ARKIT_WIDTHS:
        return ask_basis(choices, BASIS), values, []
    basis, told = (
        "arkit52",
        f"expr has {values.shape[1]} columns, which look like ARKit weights, not FLAME coefficients.",
    )
    if float(np.nanmin(values, initial=0)) < LEAST_WEIGHT:
        basis, told = (
            BASIS,
            (
                f"expr has {values.shape[1]} columns, as ARKit weights have, but goes below 0, as weights never do; it "
                f"was taken as {RELEASES[BASIS].title}."
            ),
        )
    basis = choices.option("basis", basis, ("arkit52", *FLAME_BASES), told)
    if basis != "arkit52":
        return basis, values, []
    weights, notes = ordered_weights(values.astype(np.float64), source, choices)
    return basis, weights, notes


def _eyes(arrays: Mapping[str, Numbers], choices: Choices) -> dict[str, Numbers | None]:
    eyes = _first(arrays, EYES)
    if eyes is None:
        return {}
    rows = eyes.reshape(len(eyes), -1)
    if rows.shape[1] != EYES_WIDTH == len(rows):
        rows = ask_upright(rows, "eyes", choices)
    if rows.shape[1] != EYES_WIDTH:
        raise MotionError(f"the eyes have shape {eyes.shape}; (frames, {EYES_WIDTH}), left then right, is needed")
    return {"left_eye": rows[:, :3], "right_eye": rows[:, 3:]}


def _first(arrays: Mapping[str, Numbers], names: tuple[str, ...]) -> Numbers | None:
    return next((arrays[name] for name in names if name in arrays), None)
