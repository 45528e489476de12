"""One ffmpeg process that takes raw RGB frames and writes an H.264 MP4."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from pipeline.errors import UserError
from pipeline.ffmpeg import ffmpeg_program, sound_input

QUALITY = 18
"""x264's constant rate factor: visually lossless."""
AUDIO_BITRATE = "160k"


class Sound(NamedTuple):
    """What is heard with the frames."""

    path: Path
    """WAV, FLAC, Ogg, MP3 or M4A file; it is cut, or followed by silence."""
    seconds: float
    """Length of the video."""


class Encoder:
    """Writes frames to ``path``, whose ending does not matter; a context manager that leaves no process behind.

    yuv420p in BT.709 (tagged so), x264 veryfast, moov before mdat so that browsers start at once. Sides must be even.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, sound: Sound | None = None) -> None:
        self._sound = sound
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._process = subprocess.Popen(
            _command(path, width, height, fps, sound),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for us; we end the encoder
        )

    def write(self, frame: np.ndarray) -> None:
        """Add one (height, width, 3) uint8 frame."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            self._process.wait()
            self._raise_failure()

    def finish(self) -> None:
        """Wait until the file is whole. Raises `UserError` for a full disk or a sound that cannot be read."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # ffmpeg has already ended; its exit code tells why
            self._process.stdin.close()
        if self._process.wait() != 0:
            self._raise_failure()

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the last frame was still buffered when the process was killed
            self._process.stdin.close()
        self._errors.close()

    def _raise_failure(self) -> None:
        self._errors.seek(0)
        told = self._errors.read().decode(errors="replace").strip()
        if "No space left on device" in told:
            raise UserError("the disk is full; free some space and export again")
        if self._sound is not None and str(self._sound.path) in told:
            raise UserError(f"the sound {self._sound.path.name} cannot be read; give a WAV, FLAC, Ogg, MP3 or M4A file")
        raise RuntimeError(f"ffmpeg failed with exit code {self._process.returncode}: {told[-2000:]}")


def _command(path: Path, width: int, height: int, fps: float, sound: Sound | None) -> list[str]:
    rate = str(Fraction(fps).limit_denominator(1001))
    command = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "pipe:0"]
    if sound is not None:  # not -shortest: ffmpeg then lets the sound run on when frames come slowly
        command += sound_input(sound.path)
        command += ["-map", "0:v", "-map", "1:a:0"]  # an MP3 may carry a cover picture
        command += ["-af", "apad", "-t", f"{sound.seconds:.6f}"]
        command += ["-c:a", "aac", "-b:a", AUDIO_BITRATE]
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"]
    command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(QUALITY)]
    return [*command, "-movflags", "+faststart", "-f", "mp4", f"file:{path}"]
