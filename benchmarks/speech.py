"""Alignment of synthetic speech against the times that eSpeak NG gives, and how long a text takes to become a clip."""

from __future__ import annotations

import tempfile
import time
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from pipeline.motion.speech import espeak, say
from pipeline.motion.speech.align import align
from pipeline.motion.speech.ipa import english_sounds_of
from pipeline.motion.speech.sound_file import read_sound
from pipeline.motion.speech.transcript import words_of
from pipeline.motion.visemes import CLASS_OF_SOUND, DIPHTHONGS, VOWELS

VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-us-nyc")
TEXTS = (
    "Hello, I am new here.",
    "Peter Piper picked a peck of pickled peppers.",
    "She sells sea shells by the sea shore, and she likes them very much.",
    "The quick brown fox jumps over the lazy dog.",
    "My mother makes a big bowl of pumpkin soup every Monday.",
    "Would you mind opening the window before five o'clock?",
)


def run() -> list[Figure]:
    """Errors of the starts of all sounds that both sides name, over 24 clips."""
    errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for voice in VOICES:
            for text in TEXTS:
                errors += _errors(text, voice, Path(folder) / "speech.wav")
        started = time.perf_counter()
        clip = say(" ".join(TEXTS), "en-us", folder=Path(folder))
        seconds = time.perf_counter() - started
    away = 1000 * np.abs(errors)
    return [
        Figure(f"alignment of {len(away)} sounds with their known times, median", float(np.median(away)), "ms", 33.3),
        Figure("the same, nine in ten within", float(np.quantile(away, 0.9)), "ms", 80.0),
        Figure(f"a text of {clip.duration:.0f} s spoken and animated", seconds, "s", 2.0),
    ]


def _errors(text: str, voice: str, path: Path) -> list[float]:
    utterance = espeak.speak(text, voice, path, before=0.3, after=0.5)
    said = [(english_sounds_of(phoneme.ipa), phoneme.start) for phoneme in utterance.phonemes]
    known = [(_kind(names[0]), start) for names, start in said if names]
    found = [(_kind(sound.name), sound.start) for sound in align(read_sound(path), words_of(text, "en")).sounds]
    shared = SequenceMatcher(None, [kind for kind, _ in known], [kind for kind, _ in found], autojunk=False)
    return [
        found[block.b + number][1] - known[block.a + number][1]
        for block in shared.get_matching_blocks()
        for number in range(block.size)
    ]


def _kind(sound: str) -> str:
    """Two systems of spelling agree on vowels and places of articulation, not on every name."""
    return "vowel" if sound in VOWELS or sound in DIPHTHONGS else CLASS_OF_SOUND.get(sound, sound)
