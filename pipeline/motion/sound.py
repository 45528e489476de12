"""The sound of an edited clip: the same part, the same speed, as often."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from pipeline.errors import MotionError
from pipeline.ffmpeg import ffmpeg_program, sound_input
from pipeline.files import reading, whole_file

RATE = 48000
LONGEST_WORK = 60
"""Seconds that ffmpeg may take."""
TEMPO = (0.5, 2.0)
"""Within which one atempo filter keeps its quality; more is made of several."""
MOST_SECONDS = 1800.0
"""Of the sound that is made; half an hour takes 350 MB."""


def edit_sound(sound: Path, folder: Path, start: float, seconds: float, speed: float, times: int) -> Path:
    """A WAV file in ``folder``: from second ``start`` on, ``speed`` times as fast at the same pitch, cut or followed by
    silence to ``seconds``, ``times`` times over. The same sound and edits give the same name.

    Raises `MotionError` for a sound that cannot be read, and for more than `MOST_SECONDS`.
    """
    if seconds * times > MOST_SECONDS:
        raise MotionError(
            f"the clip's sound would last {seconds * times / 60:.0f} minutes; at most {MOST_SECONDS / 60:.0f} are made"
        )
    with reading(sound):
        state = sound.stat()
    asked = (str(sound), state.st_size, state.st_mtime_ns, start, seconds, speed, times)
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    target = folder / f"sound-{name}.wav"
    if target.is_file():
        return target
    filters = [f"atrim=start={start:.6f}", "asetpts=PTS-STARTPTS", f"aresample={RATE}", *_tempo(speed)]
    filters += [f"apad=whole_dur={seconds:.6f}", f"atrim=end={seconds:.6f}"]
    if times > 1:
        filters.append(f"aloop=loop={times - 1}:size={round(seconds * RATE)}")
    with whole_file(target) as partial:
        _run(sound, ",".join(filters), partial)
    return target


def _tempo(speed: float) -> list[str]:
    """A speed as a chain of tempo filters."""
    chain, (slowest, fastest) = [], TEMPO
    while speed != 1:
        step = min(max(speed, slowest), fastest)
        chain.append(f"atempo={step:.6f}")
        speed /= step
    return chain


def _run(sound: Path, filters: str, target: Path) -> None:
    command = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *sound_input(sound)]
    command += ["-vn", "-af", filters, "-c:a", "pcm_s16le", "-f", "wav", f"file:{target}"]
    try:
        made = subprocess.run(command, capture_output=True, timeout=LONGEST_WORK, check=False)
    except subprocess.TimeoutExpired as error:
        raise MotionError(f"the sound {sound.name} takes too long to read; give a shorter one") from error
    if made.returncode:
        raise MotionError(f"the sound {sound.name} cannot be read; give a WAV, FLAC, Ogg or MP3 file")
