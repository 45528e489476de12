"""Phonemes to mouth movements: what each sound asks of the face, and how neighbouring sounds share it.

Sounds are ARPABET, and a few more that other languages have. Each asks for values of some ARKit actions; a bell-shaped
dominance round its middle says how much it insists (Cohen and Massaro, Modeling Coarticulation in Synthetic Visual
Speech, 1993): a vowel's jaw gives way to its neighbours, a consonant leaves the lips to the vowels around it. Closed
lips, and a lip on the teeth, are reached whatever stands beside them, slowly closed and popped open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.motion.curves import minimum_jerk

REST: dict[str, float] = {}
VOWELS: dict[str, dict[str, float]] = {
    "AA": {"jawOpen": 0.50, "mouthLowerDown": 0.15},
    "AE": {"jawOpen": 0.42, "mouthStretch": 0.20, "mouthSmile": 0.10, "mouthUpperUp": 0.12, "mouthLowerDown": 0.20},
    "AH": {"jawOpen": 0.32, "mouthLowerDown": 0.12},
    "AO": {"jawOpen": 0.40, "mouthFunnel": 0.40, "mouthPucker": 0.10},
    "EH": {"jawOpen": 0.32, "mouthStretch": 0.15, "mouthLowerDown": 0.18, "mouthUpperUp": 0.08},
    "ER": {"jawOpen": 0.20, "mouthFunnel": 0.28, "mouthPucker": 0.15},
    "IH": {"jawOpen": 0.18, "mouthSmile": 0.12, "mouthStretch": 0.12, "mouthLowerDown": 0.15},
    "IY": {"jawOpen": 0.12, "mouthSmile": 0.28, "mouthStretch": 0.20, "mouthLowerDown": 0.18, "mouthUpperUp": 0.08},
    "UH": {"jawOpen": 0.18, "mouthFunnel": 0.35, "mouthPucker": 0.30},
    "UW": {"jawOpen": 0.12, "mouthPucker": 0.65, "mouthFunnel": 0.20},
    "EE": {"jawOpen": 0.22, "mouthSmile": 0.20, "mouthStretch": 0.18, "mouthLowerDown": 0.18, "mouthUpperUp": 0.08},
    "OH": {"jawOpen": 0.26, "mouthFunnel": 0.45, "mouthPucker": 0.30},
    "OE": {"jawOpen": 0.24, "mouthFunnel": 0.42, "mouthPucker": 0.25},
    "UE": {"jawOpen": 0.10, "mouthPucker": 0.60, "mouthFunnel": 0.25},
}
"""The last four are the pure vowels of French thé, eau, peu and tu."""
DIPHTHONGS = {"AY": ("AA", "IY"), "EY": ("EH", "IY"), "OY": ("AO", "IY"), "AW": ("AA", "UW"), "OW": ("AO", "UW")}
"""From one vowel to another; the first takes 55 % of the time."""
CONSONANTS: dict[str, dict[str, float]] = {
    "lips": {"jawOpen": 0.06, "mouthPress": 0.30, "mouthRollLower": 0.25, "mouthRollUpper": 0.20},
    "near_lips": {"jawOpen": 0.07, "mouthPucker": 0.25, "mouthPress": 0.10},
    "lip_teeth": {"jawOpen": 0.07, "mouthRollLower": 0.45, "mouthUpperUp": 0.22},
    "tongue_teeth": {"jawOpen": 0.14, "tongueOut": 0.12, "mouthLowerDown": 0.15},
    "ridge": {"jawOpen": 0.09, "mouthStretch": 0.10, "mouthLowerDown": 0.18, "mouthUpperUp": 0.08},
    "light_l": {"jawOpen": 0.18, "mouthLowerDown": 0.12},
    "hush": {"jawOpen": 0.10, "mouthFunnel": 0.50, "mouthPucker": 0.15, "mouthUpperUp": 0.08},
    "back": {"jawOpen": 0.16},
    "breath": {"jawOpen": 0.22},
    "round_r": {"jawOpen": 0.13, "mouthFunnel": 0.30, "mouthPucker": 0.15},
    "round_w": {"jawOpen": 0.08, "mouthPucker": 0.70},
    "glide_y": {"jawOpen": 0.12, "mouthSmile": 0.22, "mouthStretch": 0.15},
}
SOUNDS_OF_CLASS = {
    "lips": "P B M", "near_lips": "BH", "lip_teeth": "F V", "tongue_teeth": "TH DH", "ridge": "T D N S Z",
    "light_l": "L",
    "hush": "SH ZH CH JH", "back": "K G NG", "breath": "HH", "round_r": "R", "round_w": "W", "glide_y": "Y",
}  # fmt: skip
CLASS_OF_SOUND = {sound: kind for kind, sounds in SOUNDS_OF_CLASS.items() for sound in sounds.split()}

INSISTENCE = {"lips": 1.2, "lip_teeth": 1.2, "round_w": 2.5, "hush": 2.5, "tongue_teeth": 1.6, "ridge": 1.0}
"""How much a consonant outweighs a vowel of the same length; others 0.8."""
ROUNDING = {"UW": 1.8, "UE": 1.8, "UH": 1.4, "OH": 1.5, "OE": 1.5, "AO": 1.3}
"""How much a rounded vowel outweighs another: lips that round are seen even in a short syllable."""
LONGEST_REACH = 0.16
"""Seconds that a sound reaches beyond its own middle at most."""
LIP_SOUNDS_EARLY = 0.03
"""Seconds that lips begin to close before the sound is heard."""

HELD = {"lips": 1.0, "lip_teeth": 0.85}
"""Classes that reach their place whatever stands beside them, and how fully."""
SHORTEST_HOLD = 0.045
"""Seconds in place: longer than a frame at 25 frames per second, so that every closure is seen."""
CLOSING, OPENING = 0.075, 0.05
"""Seconds on the way there and back: lips close slowly and pop open."""
KEPT = {"jawOpen": 0.3, "mouthPucker": 0.5}
"""Share that an action keeps while the lips are held: the jaw stays open behind them, rounding lasts."""


@dataclass(frozen=True)
class Sound:
    """One phoneme on the time line; ``-`` is a pause."""

    name: str
    start: float
    """Seconds."""
    length: float
    loudness: float = 1.0
    """Scales how far the mouth opens: about 1.15 when stressed, 0.7 in a weak syllable."""

    def __post_init__(self) -> None:
        if self.name != "-" and not {self.name} & {*VOWELS, *DIPHTHONGS, *CLASS_OF_SOUND}:
            raise UserError(f"there is no sound {self.name!r}; sounds are ARPABET, such as AA, IY, M or TH")


@dataclass(frozen=True)
class _Wish:
    """Values that one sound asks for, at a time."""

    middle: float
    width: float
    weight: float
    values: Mapping[str, float]


def mouth_curves(sounds: Sequence[Sound], times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """ARKit action → values (T,) at ``times`` (T,) seconds. Before and after the sounds the mouth is at rest.

    Actions without a side above (mouthSmile, …) come back as their left and right.
    """
    wishes = [wish for sound in sounds for wish in _wishes(sound)]
    middles = np.array([wish.middle for wish in wishes])
    widths = np.array([wish.width for wish in wishes])
    weights = np.array([wish.weight for wish in wishes])
    bells = weights * np.exp(-(((times[:, None] - middles) / widths) ** 2))
    rest = 0.05
    shares = bells / (bells.sum(1, keepdims=True) + rest)
    curves: dict[str, NDArray[np.float64]] = {}
    for action in sorted({name for wish in wishes for name in wish.values} | {"jawOpen"}):
        curves[action] = shares @ np.array([wish.values.get(action, 0.0) for wish in wishes])
    _hold(curves, sounds, times)
    return _with_sides(curves)


def _hold(curves: dict[str, NDArray[np.float64]], sounds: Sequence[Sound], times: NDArray[np.float64]) -> None:
    """Bring the lips, or a lip and the teeth, together on every sound that needs it."""
    for kind, share in HELD.items():
        held = np.zeros(len(times))
        for sound in sounds:
            if CLASS_OF_SOUND.get(sound.name) == kind:
                held = np.maximum(held, share * _grip(sound, times))
        if not held.any():
            continue
        for action in curves.keys() | CONSONANTS[kind].keys():
            free = curves.get(action, np.zeros(len(times)))
            way = CONSONANTS[kind].get(action, 0.0) - free
            curves[action] = free + held * np.where(way < 0, 1 - KEPT.get(action, 0.0), 1.0) * way
        if kind == "lips":  # ARKit's mouthClose brings the lips together over as much jaw as it equals
            curves["mouthClose"] = held * curves["jawOpen"]


def _grip(sound: Sound, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 while the sound holds its place, 0 away from it (T,)."""
    hold = max(SHORTEST_HOLD, sound.length - OPENING / 2)
    start = sound.start + min(0.0, sound.length - SHORTEST_HOLD) - LIP_SOUNDS_EARLY / 2
    closing, opening = (times - start + CLOSING) / CLOSING, (times - start - hold) / OPENING
    return minimum_jerk(closing) * (1 - minimum_jerk(opening))


def _wishes(sound: Sound) -> list[_Wish]:
    if sound.name in DIPHTHONGS:
        first, second = DIPHTHONGS[sound.name]
        split = 0.55 * sound.length
        return [
            *_wishes(Sound(first, sound.start, split, sound.loudness)),
            *_wishes(Sound(second, sound.start + split, sound.length - split, sound.loudness)),
        ]
    width = min(max(0.62 * sound.length, 0.045), LONGEST_REACH)
    middle = sound.start + sound.length / 2
    if sound.name in VOWELS:
        values = {name: value * sound.loudness for name, value in VOWELS[sound.name].items()}
        return [_Wish(middle, width * 1.15, ROUNDING.get(sound.name, 1.0), values)]
    if sound.name == "-":
        return [_Wish(middle, max(0.5 * sound.length, 0.06), 1.0, REST)]
    kind = CLASS_OF_SOUND[sound.name]
    early = LIP_SOUNDS_EARLY if kind in ("lips", "lip_teeth") else 0.01
    return [_Wish(middle - early, width, INSISTENCE.get(kind, 0.8), CONSONANTS[kind])]


def _with_sides(curves: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    single = {"jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper", "tongueOut"}
    sided = {}
    for name, curve in curves.items():
        for full in [name] if name in single else [f"{name}Left", f"{name}Right"]:
            sided[full] = curve
    return sided
