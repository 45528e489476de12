"""Which column of a file is which of ARKit's 52 facial actions: by name, however the name is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.formats.draft import Numbers
from pipeline.motion.motion import ARKIT_NAMES

FEWEST_ACTIONS = 10
"""Names of actions that a file must have to be taken as one of facial actions."""
MOST_TOLD = 6
LONGEST_NAME = 128
SIDE = re.compile(r"[^a-zA-Z0-9]+([lLrR])$")
NEUTRAL = "neutral"
"""MediaPipe's first column, which moves nothing."""

EYE_ACTIONS = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
LOWER_FACE = (
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
EYES = tuple(f"eye{action}{side}" for side in ("Left", "Right") for action in EYE_ACTIONS)
JAW_LEFT_FIRST = ("jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")
JAW_RIGHT_FIRST = ("jawForward", "jawRight", "jawLeft", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")
ORDERS: Mapping[str, tuple[str, ...]] = {
    "alphabetical": ARKIT_NAMES,
    "mediapipe": (NEUTRAL, *ARKIT_NAMES[:-1]),
    "live_link_face": (*EYES, *JAW_RIGHT_FIRST, "mouthRight", "mouthLeft", *LOWER_FACE),
    "apple": (*EYES, *JAW_LEFT_FIRST, "mouthLeft", "mouthRight", *LOWER_FACE),
}
"""Orders in which tools write columns without names."""


def letters(name: str) -> str:
    """A column's name without case, spaces and signs; a closing _L or _R becomes the side."""
    return _letters(name[:LONGEST_NAME])


@lru_cache(maxsize=1024)
def _letters(name: str) -> str:
    full = SIDE.sub(lambda side: "left" if side[1] in "lL" else "right", name.strip().rpartition(".")[2])
    return re.sub(r"[^a-z0-9]", "", full.lower())


BY_LETTERS = {letters(name): name for name in ARKIT_NAMES}


def action_named(name: str) -> str | None:
    """The action that a column's name means, or None."""
    return BY_LETTERS.get(letters(name))


def names_actions(names: Iterable[str]) -> bool:
    """Whether these are the columns of facial actions."""
    return sum(action_named(name) is not None for name in names) >= FEWEST_ACTIONS


def actions_from(values: Numbers, names: Sequence[str], source: str) -> tuple[Numbers, list[str]]:
    """Columns (T, C) with names (C) → (T, 52) in the order of `ARKIT_NAMES`, and notes on what is not there.

    Raises `MotionError` when an action is named twice or hardly any is known.
    """
    known: dict[str, int] = {}
    for column, name in enumerate(names):
        action = action_named(name)
        if action in known:
            raise MotionError(f"{source} has {action} twice; every action must be there once")
        if action is not None:
            known[action] = column
    if len(known) < FEWEST_ACTIONS:
        told = ", ".join(str(name)[:32] for name in names[:MOST_TOLD])
        raise MotionError(f"{source} names {told}; ARKit's names (eyeBlinkLeft, jawOpen, …) are needed")
    weights = np.zeros((len(values), len(ARKIT_NAMES)), np.float64)
    for action, column in known.items():
        weights[:, ARKIT_NAMES.index(action)] = values[:, column]
    missing = [name for name in ARKIT_NAMES if name not in known]
    return weights, [f"{_told(missing)} not in the file and will stay at rest."] if missing else []


def _told(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_TOLD} more actions" if len(names) > MOST_TOLD else ""
    return f"{', '.join(names[:MOST_TOLD])}{more} {'is' if len(names) == 1 else 'are'}"


def column_of(names: Sequence[str], wanted: str) -> int | None:
    """The column of that name, however written, or None."""
    return next((column for column, name in enumerate(names) if letters(name) == letters(wanted)), None)
