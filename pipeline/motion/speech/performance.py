"""Sounds on a time line become a face that says them: mouth, nods, brows, blinks, gaze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.curves import at_rest_at_the_ends, glances
from pipeline.motion.face import Face
from pipeline.motion.motion import Motion
from pipeline.motion.speech.sound_file import FRAME_SECONDS
from pipeline.motion.visemes import DIPHTHONGS, VOWELS, Sound, mouth_curves

PAUSE = "-"
SHORTEST_PAUSE = 0.12
"""Seconds between words that count as a pause."""
LONG_PAUSE = 0.35
"""Seconds of a pause in which someone may look away."""
REST_SECONDS = 0.12
"""In which the mouth leaves and finds its rest at the ends of the clip."""
SOFT, LOUD = 0.7, 1.2
"""How far the quietest and the loudest vowels open the mouth."""
LOUDNESS_PER_DECIBEL = 0.025
"""A vowel 6 dB above the others opens the mouth 15 % wider."""
FIRST_BLINK, SHORTEST_GAP, USUAL_GAP, LONGEST_GAP = 1.0, 2.0, 3.4, 6.0
"""Seconds to the first blink and between blinks; people who talk blink more often than those who wait."""
STRESSED_SHARE = 0.3
"""Of the vowels, the loudest and longest."""
NOD_LEAD = 0.2
"""Seconds by which head and brows begin to move before the vowel that they stress, and some more."""
NOD_STRENGTH = (0.35, 0.95)
NOD_GAP = 0.45
"""Seconds between two nods at least."""
SWAY_DEGREES = 1.5
AWAY_DEGREES = 9.0
END_MARGIN = 0.6
"""Seconds before the end in which nothing new begins."""


def perform(sounds: Sequence[Sound], decibels: NDArray[np.float64], seconds: float, seed: int, source: str) -> Motion:
    """A clip of ``seconds`` that says ``sounds`` in time, at rest at both ends.

    ``decibels`` (F,) is the loudness of every 10 ms. The same arguments give the same clip.
    """
    spoken = _loudened([sound for sound in sounds if sound.name != PAUSE], decibels)
    pauses = _pauses(spoken, seconds)
    face = Face(seconds, seed)
    ends = at_rest_at_the_ends(face.times, float(face.times[-1]), REST_SECONDS)
    for name, curve in mouth_curves(_with_pauses(spoken, pauses), face.times).items():
        face.add(name, curve * ends)
    stresses = _stresses(spoken, decibels)
    for number, at in enumerate(at for at in stresses if NOD_LEAD < at < seconds - END_MARGIN):
        face.stress(at, float(face.random.uniform(*NOD_STRENGTH)), brows=number % 2 == 0)
    _look_away(face, pauses)
    face.add("mouthSmile", 0.06 * at_rest_at_the_ends(face.times, seconds, 0.5))
    face.sway(SWAY_DEGREES)
    for at in _blinks(face.random, pauses, seconds):
        face.blink(at)
    face.glance()
    return face.motion(source)


def _loudened(sounds: Sequence[Sound], decibels: NDArray[np.float64]) -> list[Sound]:
    """Vowels open the mouth as far as they are loud."""
    levels = [_level(sound, decibels) for sound in sounds]
    vowels = [level for sound, level in zip(sounds, levels, strict=True) if _is_vowel(sound)]
    usual = float(np.median(vowels)) if vowels else 0.0
    scales = [float(np.clip(1 + LOUDNESS_PER_DECIBEL * (level - usual), SOFT, LOUD)) for level in levels]
    return [
        replace(sound, loudness=scale) if _is_vowel(sound) else sound
        for sound, scale in zip(sounds, scales, strict=True)
    ]


def _pauses(sounds: Sequence[Sound], seconds: float) -> list[tuple[float, float]]:
    """Start and end of every gap between sounds, before the first and after the last included."""
    ends = [0.0, *(sound.start + sound.length for sound in sounds)]
    starts = [*(sound.start for sound in sounds), seconds]
    return [(end, start) for end, start in zip(ends, starts, strict=True) if start - end >= SHORTEST_PAUSE]


def _with_pauses(sounds: Sequence[Sound], pauses: Sequence[tuple[float, float]]) -> list[Sound]:
    return sorted([*sounds, *(Sound(PAUSE, start, stop - start) for start, stop in pauses)], key=lambda s: s.start)


def _stresses(sounds: Sequence[Sound], decibels: NDArray[np.float64]) -> list[float]:
    """When the most prominent vowels begin, `NOD_GAP` apart: loud and long ones (Kochanski et al., JASA 2005)."""
    vowels = [sound for sound in sounds if _is_vowel(sound)]
    if not vowels:
        return []
    weights = np.array([_level(sound, decibels) + 40 * min(sound.length, 0.3) for sound in vowels])
    stresses: list[float] = []
    for number in np.argsort(-weights, kind="stable")[: max(1, round(STRESSED_SHARE * len(vowels)))]:
        at = vowels[number].start
        if all(abs(at - other) >= NOD_GAP for other in stresses):
            stresses.append(at)
    return sorted(stresses)


def _look_away(face: Face, pauses: Sequence[tuple[float, float]]) -> None:
    """The eyes leave the partner in some of the long pauses within the speech and come back with the next word."""
    targets: list[tuple[float, float]] = []
    for start, stop in pauses[1:-1]:
        if stop - start >= LONG_PAUSE and face.random.random() < 0.5:
            side = float(face.random.choice((-1.0, 1.0)))
            targets += [(start + 0.05, side * AWAY_DEGREES), (stop, 0.0)]
    if targets:
        face.look(left=glances(face.times, targets))


def _blinks(generator: np.random.Generator, pauses: Sequence[tuple[float, float]], seconds: float) -> list[float]:
    """Blink times 2 to 6 seconds apart, each in the pause nearest to where it would come by itself."""
    middles = np.array([start + min(0.06, (stop - start) / 2) for start, stop in pauses])
    blinks: list[float] = []
    at = FIRST_BLINK * float(generator.uniform(0.6, 1.4))
    while at < seconds - END_MARGIN:
        blinks.append(at)
        wished = at + USUAL_GAP * float(generator.uniform(0.7, 1.4))
        within = middles[(middles >= at + SHORTEST_GAP) & (middles <= at + LONGEST_GAP)]
        at = float(within[np.abs(within - wished).argmin()]) if len(within) else wished
    return blinks


def _level(sound: Sound, decibels: NDArray[np.float64]) -> float:
    """Loudest 10 ms of the sound."""
    first = min(int(sound.start / FRAME_SECONDS), len(decibels) - 1)
    last = int((sound.start + sound.length) / FRAME_SECONDS)
    return float(decibels[max(first, 0) : max(last, first + 1)].max())


def _is_vowel(sound: Sound) -> bool:
    return sound.name in VOWELS or sound.name in DIPHTHONGS
