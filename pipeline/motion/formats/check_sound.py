"""Whether a clip is as long as its sound, and the frame rate at which it would be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from pipeline.ffmpeg import ffmpeg_program, sound_input
from pipeline.motion.assumptions import Choices

LONGEST_LOOK = 10.0
"""Seconds that ffmpeg may look at a sound file's header."""
DURATION = re.compile(rb"Duration: (\d+):(\d\d):(\d\d\.\d+)")

RATES = (15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 72.0, 73.0, 90.0, 100.0, 120.0)
"""Frame rates that cameras and tools have."""
MOST_SECONDS, MOST_SHARE = 0.3, 0.03
"""A clip may differ from its sound by the larger of these."""


def sound_seconds(path: Path) -> float | None:
    """Length of a sound file by its header; None where that does not tell."""
    command = [ffmpeg_program(), "-hide_banner", "-nostdin", *sound_input(path)]
    try:
        told = subprocess.run(command, capture_output=True, timeout=LONGEST_LOOK, check=False).stderr
    except subprocess.TimeoutExpired:
        return None
    found = DURATION.search(told)
    return float(found[1]) * 3600 + float(found[2]) * 60 + float(found[3]) if found else None


def settled_fps(frames: int, fps: float, sound: float | None, choices: Choices, notes: list[str]) -> float:
    """The frame rate: where it was only assumed, the usual one at which the clip is as long as ``sound`` (seconds).

    A rate that the file or a person names stays; a note tells when the clip then differs from its sound.
    """
    if sound is None or fps <= 0 or _matches(frames, fps, sound):
        return fps
    told = f"At {fps:g} frames per second the motion is {frames / fps:.1f} s and the sound {sound:.1f} s"
    close = [rate for rate in RATES if _matches(frames, rate, sound)]
    if not close:
        notes.append(f"{told}; the longer one is cut or holds its end.")
        return fps
    better = min(close, key=lambda rate: abs(frames / rate - sound))
    assumed = any(made.key == "fps" and made.sentence for made in choices.made)
    if not assumed:
        notes.append(f"{told}; {better:g} frames per second would fit the sound.")
        return fps
    return choices.number("fps", better, f"{told}; {better:g} frames per second, which fit the sound, were taken.")


def _matches(frames: int, fps: float, sound: float) -> bool:
    return abs(frames / fps - sound) <= max(MOST_SECONDS, MOST_SHARE * sound)
