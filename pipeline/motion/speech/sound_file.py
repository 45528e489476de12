"""Sound files of strangers as plain samples."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.ffmpeg import ffmpeg_program, sound_input
from pipeline.files import reading

Samples = NDArray[np.int16]

RATE = 16000
"""Samples per second that the aligner's acoustic model was trained on; lips need no more."""
LONGEST_SECONDS = 600.0
MOST_BYTES = 256 * 2**20
LONGEST_WORK = 60.0
"""Seconds that ffmpeg may take."""
SHORTEST_SECONDS = 0.1
SILENCE = 30.0
"""Loudest sample (of 32768) below which a file counts as silent: −60 dB."""
FRAME_SECONDS = 0.01


def read_sound(path: Path) -> Samples:
    """The first sound track of a WAV, FLAC, Ogg, MP3 or M4A file, mixed to mono at `RATE` (N,), 0.1 s to 10 minutes.

    Raises `MotionError` for anything else, for silence, and for files that cannot be read within their limits.
    """
    with reading(path):
        if not path.is_file():
            raise MotionError(f"there is no sound file {path}")
        size = path.stat().st_size
    if size > MOST_BYTES:
        raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB are read")
    samples = np.frombuffer(_decode(path), "<i2")
    seconds = len(samples) / RATE
    if seconds < SHORTEST_SECONDS:
        raise MotionError(f"{path.name} has {seconds:.2f} s of sound; give a recording of someone who speaks")
    if seconds > LONGEST_SECONDS:
        raise MotionError(f"{path.name} is longer than {LONGEST_SECONDS / 60:.0f} minutes; cut it into parts")
    if int(np.abs(samples.astype(np.int32)).max()) < SILENCE:
        raise MotionError(f"{path.name} is silent; give a recording of someone who speaks")
    return samples


def loudness(samples: Samples) -> NDArray[np.float64]:
    """Decibels below full scale of every 10 ms (F,), at least −90."""
    step = round(RATE * FRAME_SECONDS)
    count = max(1, len(samples) // step)
    padded = np.zeros(count * step)
    padded[: min(len(samples), count * step)] = samples[: count * step] / 32768.0
    power = (padded.reshape(count, step) ** 2).mean(1)
    return 10 * np.log10(np.maximum(power, 1e-9))


def _decode(path: Path) -> bytes:
    """Raw 16-bit samples; a little more than the limit where the file has more."""
    command = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-nostdin", *sound_input(path)]
    command += ["-map", "0:a:0", "-t", f"{LONGEST_SECONDS + 1:.0f}", "-ac", "1", "-ar", str(RATE)]
    try:
        made = subprocess.run(
            [*command, "-f", "s16le", "pipe:1"], capture_output=True, timeout=LONGEST_WORK, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MotionError(f"{path.name} takes too long to read; give a shorter recording") from error
    if made.returncode or not made.stdout:
        raise MotionError(f"{path.name} is no sound that can be read; give a WAV, FLAC, Ogg, MP3 or M4A file")
    return made.stdout
