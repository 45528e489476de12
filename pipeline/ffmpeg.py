"""The ffmpeg program that imageio-ffmpeg brings, and what of it a stranger's sound file may use."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg

from pipeline.errors import UserError

SOUND_FORMATS = "wav,flac,ogg,mp3,mov,aac"
"""Plain sound; no playlists, which name other files or addresses."""
LARGEST_BLOCK = 256 * 2**20
"""Bytes that ffmpeg may take at once: a crafted header asks for more than the machine has."""


def ffmpeg_program() -> str:
    """Path of the program. Raises `UserError` where there is none for this machine."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise UserError("ffmpeg is missing on this machine; install it with: pip install imageio-ffmpeg") from error


def sound_input(path: Path) -> list[str]:
    """Arguments that make ``path`` an input of ffmpeg, whatever a stranger put into it."""
    limits = ["-protocol_whitelist", "file", "-format_whitelist", SOUND_FORMATS, "-max_alloc", str(LARGEST_BLOCK)]
    return [*limits, "-i", f"file:{path}"]
