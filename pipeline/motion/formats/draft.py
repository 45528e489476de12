"""`Draft`: the numbers of a clip as its file has them; `finish` checks them and makes the `Motion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.check_cuts import chosen_piece
from pipeline.motion.formats.check_expression import settled_weights, told_expression
from pipeline.motion.formats.check_shapes import same_length, upright
from pipeline.motion.formats.check_sound import settled_fps
from pipeline.motion.formats.check_values import in_radians, told_stillness, without_gaps
from pipeline.motion.formats.rotations import AXIS_ANGLE, to_axis_angle
from pipeline.motion.motion import ROTATIONS, Motion, check_fps, still

Numbers = NDArray[Any]
LARGEST = 1e6
"""Beyond this a number is damage: coefficients reach 10, angles in degrees 360."""


@dataclass
class Draft:
    """A clip of T frames before any check. Rotations are in our axes (y up, face +Z, x the subject's left)."""

    source: str
    """Where it came from, for people."""
    fps: float
    basis: str
    expression: Numbers
    """(T, E), E may be 0."""
    rotations: Mapping[str, Numbers] = field(default_factory=dict)
    """Joint (a name of `pipeline.motion.motion.ROTATIONS`) → (T, 3) axis-angle, (T, 4) quaternion, (T, 6) or (T, 9) or
    (T, 3, 3) matrix; what is missing stays at rest. One row holds for all frames."""
    eyelids: Numbers | None = None
    """(T, 2) left, right, 0..1."""
    translation: Numbers | None = None
    """(T, 3) metres."""
    notes: list[str] = field(default_factory=list)
    """What the reader noticed besides what it assumed."""
    piece_starts: tuple[int, ...] = ()
    """First frames of the clips that the file is known to join, 0 among them; the first of them is then played."""
    exact: bool = False
    """Whether the format is documented to the last unit: whatever differs is an error, and nothing is guessed."""

    radians: bool = False
    """Whether the reader has settled the unit of the rotations, so that there is nothing left to ask."""

    def tracks(self) -> dict[str, Numbers]:
        """Everything with one row a frame, by name."""
        own = {"expression": self.expression, "eyelids": self.eyelids, "translation": self.translation}
        return {name: value for name, value in own.items() if value is not None} | dict(self.rotations)


def finish(draft: Draft, choices: Choices, sound_seconds: float | None = None) -> Motion:
    """The clip, checked; ``sound_seconds`` is the length of the sound that was given with it.

    What the numbers leave open is asked of ``choices`` (keys transpose, trim, quaternion, six, units, scale, clip) and
    told. Raises `MotionError` for numbers that cannot be a clip, naming the file.
    """
    if draft.exact:
        return _motion(draft, draft.tracks(), list(draft.notes), choices, sound_seconds)
    try:
        notes = list(draft.notes)
        return _motion(draft, _settled(draft, choices, notes), notes, choices, sound_seconds)
    except MotionError as error:
        raise MotionError(f"{draft.source}: {error}") from error


def _settled(draft: Draft, choices: Choices, notes: list[str]) -> dict[str, Numbers]:
    """The draft's arrays by all rules, which tell ``notes`` what they did."""
    check_fps(draft.fps)
    tracks = {name: _sane(name, values) for name, values in draft.tracks().items()}
    tracks = same_length(upright(tracks, choices), choices, notes)
    tracks = without_gaps(tracks | _turns(tracks, draft.radians, choices, notes), notes)
    if draft.basis == "arkit52":
        tracks["expression"] = settled_weights(tracks["expression"], choices, notes)
    tracks = chosen_piece(tracks, draft.fps, draft.piece_starts, choices, notes)
    notes += [*told_expression(tracks["expression"], draft.basis), *told_stillness(tracks, draft.basis)]
    return tracks


def _motion(
    draft: Draft, tracks: Mapping[str, Numbers], notes: list[str], choices: Choices, sound_seconds: float | None
) -> Motion:
    frames = len(tracks["expression"])
    fps = settled_fps(frames, draft.fps, sound_seconds, choices, notes)
    parts: dict[str, Any] = still(frames) | {name: _floats(value) for name, value in tracks.items()}
    told = [assumption.sentence for assumption in choices.made if assumption.sentence]
    return Motion(
        fps=fps,
        basis=draft.basis,
        **parts,
        source=draft.source,
        notes=(*told, *notes),
        assumptions=choices.made,
    )


def _sane(name: str, values: Numbers) -> Numbers:
    """As float64; what is far beyond any unit of a clip counts as missing."""
    if values.dtype.kind not in "fiub":
        raise MotionError(f"{name} holds {values.dtype} values; numbers are needed")
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.float64)
        return np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)


def _turns(tracks: Mapping[str, Numbers], radians: bool, choices: Choices, notes: list[str]) -> dict[str, Numbers]:
    """The joints (T, 3) in axis-angle radians; only what was axis-angle already can have been in degrees."""
    joints = {name: tracks[name] for name in ROTATIONS if name in tracks}
    native = {name: values for name, values in joints.items() if values.shape[1] == AXIS_ANGLE}
    other = {name: values for name, values in joints.items() if name not in native}
    return (native if radians else in_radians(native, choices)) | to_axis_angle(other, choices, notes)


def _floats(values: Numbers) -> torch.Tensor:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `Motion` reports
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))
