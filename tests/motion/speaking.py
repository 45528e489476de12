"""Sound files and measurements for the tests of speech."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.ffmpeg import ffmpeg_program
from pipeline.heads.rig import Rig
from pipeline.motion import ARKIT_NAMES, Motion

RECORDINGS = Path("/usr/share/pocketsphinx/test/data")
"""Human speech of Debian's package pocketsphinx-testdata."""
CHANNELS = Path("/usr/share/sounds/alsa")
"""Human speech of Debian's package alsa-utils."""
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="eSpeak NG is not installed")


def babble(seconds: float = 2.0, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Something like syllables, float −1..1 (N,): a buzz that swells four times a second, with a silent end."""
    times = np.arange(round(seconds * rate)) / rate
    buzz = np.sign(np.sin(2 * np.pi * 120 * times)) + 0.3 * np.random.default_rng(seed).normal(size=len(times))
    swell = np.clip(np.sin(2 * np.pi * 4 * times), 0, 1) * (times < seconds - 0.3)
    return 0.3 * buzz * swell


def write_wave(path: Path, samples: np.ndarray, rate: int = 16000, channels: int = 1, width: int = 2) -> Path:
    """PCM of 1 (unsigned), 2 or 3 bytes per sample."""
    repeated = np.repeat(samples[:, None], channels, axis=1).ravel()
    if width == 1:
        data = (np.clip(repeated, -1, 1) * 127 + 128).astype(np.uint8).tobytes()
    else:
        scaled = (np.clip(repeated, -1, 1) * (2 ** (8 * width - 1) - 1)).astype("<i4")
        data = scaled.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


def converted(source: Path, target: Path, *options: str) -> Path:
    """The same sound in the format that the target's name says."""
    subprocess.run(
        [ffmpeg_program(), "-v", "error", "-y", "-i", str(source), *options, str(target)], check=True, timeout=60
    )
    return target


def column(motion: Motion, name: str) -> np.ndarray:
    """(T,) values of an action."""
    return motion.expression[:, ARKIT_NAMES.index(name)].numpy()


def lip_gap(rig: Rig, vertices: torch.Tensor) -> np.ndarray:
    """Millimetres (T,) between the lips' edges of Anny near the middle, seen from the front; below 0 they overlap."""
    lips = torch.unique(rig.faces[rig.regions["lips"]])
    lips = lips[rig.vertices[lips, 0].abs() < 0.012]
    opened = rig.expressions[rig.expression_index("jawOpen")][lips].norm(dim=1)
    with_jaw = opened > 0.5 * opened.max()
    gaps = []
    for side in (-1, 0, 1):
        near = (rig.vertices[lips, 0] / 0.008).round() == side
        upper, lower = lips[near & ~with_jaw], lips[near & with_jaw]
        gaps.append(vertices[:, upper, 1].amin(1) - vertices[:, lower, 1].amax(1))
    return 1000 * torch.stack(gaps).amax(0).numpy()
