"""Motion files. `FORMATS` is the table of readers; the first whose ``sniff`` fits the headers reads the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.motion.formats import animportrait3d, npz
from pipeline.motion.formats.arrays import MOST_BYTES, ArrayFile, open_arrays
from pipeline.motion.motion import FASTEST_FPS, SLOWEST_FPS, Motion


@dataclass(frozen=True)
class MotionFormat:
    """One kind of motion file."""

    name: str
    expects: str
    """What files it takes, for an error message."""
    sniff: Callable[[Sequence[ArrayFile]], bool]
    """Whether the headers fit; no data has been read yet."""
    read: Callable[[Sequence[ArrayFile], float | None], Motion]


FORMATS = tuple(
    MotionFormat(module.NAME, module.EXPECTS, module.sniff, module.read) for module in (npz, animportrait3d)
)


def load_motion(paths: Sequence[Path], fps: float | None = None) -> Motion:
    """Read one clip from the files that make it up, in any order; a WAV file among them becomes its sound.

    ``fps`` overrides the frame rate that the files name or that their format usually has.
    Raises `UserError`, one sentence, for anything wrong with the files. Pickles are refused; nothing is executed.
    """
    if fps is not None and not SLOWEST_FPS <= fps <= FASTEST_FPS:
        raise UserError(f"the frame rate is {fps}; it must be {SLOWEST_FPS:.0f} to {FASTEST_FPS:.0f}")
    sounds = [path for path in paths if _is_wave(path)]
    files = [open_arrays(path) for path in paths if path not in sounds]
    if not files:
        raise UserError("no motion file was given; give a .npz clip, or an expression and a pose .npy")
    if len(sounds) > 1:
        raise UserError(f"{len(sounds)} WAV files were given; a clip has one")
    for kind in FORMATS:
        if kind.sniff(files):
            motion = kind.read(files, fps)
            return replace(motion, audio=sounds[0]) if sounds else motion
    told = " and ".join(file.summary() for file in files)
    wanted = "; ".join(f"{kind.expects} ({kind.name})" for kind in FORMATS)
    raise UserError(f"{told} is no motion that this program knows; it reads {wanted}")


def _is_wave(path: Path) -> bool:
    """Whether the file's first bytes are those of a WAV file. Raises `UserError` when it is too large."""
    with reading(path):
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            start = file.read(12)
        size = path.stat().st_size
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return False
    if size > MOST_BYTES:
        raise UserError(f"{path.name} has {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB are read")
    return True
