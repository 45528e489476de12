"""Motion files. `FORMATS` is the table of readers; the first whose ``sniff`` fits the headers reads the files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from pipeline.errors import MotionError, UserError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats import (
    amass,
    animportrait3d,
    arkit_array,
    arkit_arrays,
    arkit_json,
    arkit_table,
    artalk,
    audio2face,
    deca,
    emage,
    emoca,
    face_cap,
    gaussian_avatars,
    json_clip,
    livelink,
    named_frames,
    nersemble,
    npz,
    show,
    smirk,
    talkshow,
    vhap,
    vhap_folder,
)
from pipeline.motion.formats.check_sound import sound_seconds
from pipeline.motion.formats.draft import Draft, finish
from pipeline.motion.formats.sources import Source, is_sound, open_source
from pipeline.motion.formats.unknown import unknown
from pipeline.motion.motion import Motion

MOST_FILES = 4096


@dataclass(frozen=True)
class MotionFormat:
    """One kind of motion file."""

    name: str
    expects: str
    """What files it takes, for an error message and for the table in the README."""
    uses: str
    """What of it moves a head."""
    how_to_export: str
    """One line: how to get such a file from the tool that makes it."""
    sniff: Callable[[Sequence[Source]], bool]
    """Whether names, shapes and types fit; no data has been read yet."""
    read: Callable[[Sequence[Source], Choices], Draft]

    @classmethod
    def of(cls, module: ModuleType) -> MotionFormat:
        return cls(module.NAME, module.EXPECTS, module.USES, module.HOW_TO_EXPORT, module.sniff, module.read)


FORMATS = tuple(
    MotionFormat.of(module)
    for module in (
        npz,
        json_clip,
        vhap,
        vhap_folder,
        gaussian_avatars,
        nersemble,
        show,
        emage,
        amass,
        deca,
        emoca,
        smirk,
        artalk,
        livelink,
        face_cap,
        arkit_table,
        arkit_json,
        audio2face,
        named_frames,
        arkit_arrays,
        arkit_array,
        talkshow,
        animportrait3d,
    )
)
"""From the most to the least particular."""


def load_motion(paths: Sequence[Path], choices: Mapping[str, str] | None = None) -> Motion:
    """Read one clip from the files that make it up, in any order; a sound file among them becomes its sound.

    ``choices`` sets by hand what a reader would otherwise assume, by the `Assumption.key`, e.g.
    ``{"fps": "30", "basis": "flame2020"}``. Nothing in a file is executed: pickles and the like are read by an
    allow-list in another process. Raises `MotionError`, one sentence, for anything wrong with the files.
    """
    try:
        return _load(list(paths), Choices(choices))
    except MotionError:
        raise
    except UserError as error:
        raise MotionError(str(error)) from error


def _load(paths: list[Path], choices: Choices) -> Motion:
    if len(paths) > MOST_FILES:
        raise MotionError(f"{len(paths)} files were given; a clip has at most {MOST_FILES}")
    sounds = [path for path in paths if is_sound(path)]
    if len(sounds) > 1:
        raise MotionError(f"{len(sounds)} sound files were given; a clip has one")
    if len(sounds) == len(paths):
        beside = f", only the sound {sounds[0].name}; it can be spoken as a recording" if sounds else ""
        raise MotionError(f"no motion file was given{beside}; give a motion clip, e.g. an .npz")
    with tempfile.TemporaryDirectory(prefix="animportrait3d-motion-") as workspace:
        sources = [open_source(path, Path(workspace)) for path in paths if path not in sounds]
        kind = _format_of(sources)
        seconds = sound_seconds(sounds[0]) if sounds else None
        motion = finish(kind.read(sources, choices), choices, seconds)
    choices.check_all_asked()
    return replace(motion, format=kind.name, audio=sounds[0] if sounds else None)


def _format_of(sources: Sequence[Source]) -> MotionFormat:
    kind = _fitting(sources)
    if kind is None:
        raise MotionError(unknown(sources, [_fitting([source]) for source in sources], FORMATS))
    return kind


def _fitting(sources: Sequence[Source]) -> MotionFormat | None:
    return next((kind for kind in FORMATS if kind.sniff(sources)), None)
