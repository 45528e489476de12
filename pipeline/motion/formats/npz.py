"""Our own clip file: a `.npz` of plain arrays.

| array | type and shape | what it is |
|---|---|---|
| motion_version | int () | 1 |
| fps | float () | frames per second, 1..240 |
| basis | text () | what the expression's columns mean: one of `BASES` |
| expression | float (T, E) | for arkit52 the 52 weights in the order of `ARKIT_NAMES`, else model coefficients |
| global_rotation, neck, head, jaw, left_eye, right_eye | float (T, 3) | axis-angle radians; absent: no turn |
| eyelids | float (T, 2) | left, right; 0 open, 1 closed; may be absent |
| translation | float (T, 3) | metres; may be absent |
| source | text () | where the clip came from; may be absent |

Any float type will do: 16 bits are plenty for a clip. Frames are evenly spaced. Sound is a WAV file beside the clip,
given together with it; the file itself names no other file. `BASES` and `ARKIT_NAMES` are in `pipeline.motion.motion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.errors import MotionError
from pipeline.files import whole_file
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.sources import Source
from pipeline.motion.motion import ROTATIONS, Motion

NAME = "motion clip of this project"
EXPECTS = "one .npz with motion_version, fps, basis and expression"
USES = "everything it holds"
HOW_TO_EXPORT = "Save as clip on the page, or pipeline.motion.write_motion"
VERSION = 1
REQUIRED = ("motion_version", "fps", "basis", "expression")
OPTIONAL = ("eyelids", "translation", "source")


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one file with the arrays that every clip has."""
    return len(sources) == 1 and isinstance(sources[0], ArrayFile) and set(REQUIRED) <= set(sources[0].arrays)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming what does not fit."""
    (file,) = sources
    assert isinstance(file, ArrayFile)
    version = int(_scalar(file, "motion_version", "iu"))
    if version != VERSION:
        raise MotionError(f"{file.name} is a motion clip of version {version}; this program reads version {VERSION}")
    unknown = sorted(set(file.arrays) - {*REQUIRED, *OPTIONAL, *ROTATIONS})
    return Draft(
        fps=choices.number("fps", float(_scalar(file, "fps", "fiu"))),
        basis=_text(file, "basis"),
        expression=_rows(file, "expression"),
        rotations={name: _rows(file, name) for name in ROTATIONS if name in file.arrays},
        eyelids=_rows(file, "eyelids") if "eyelids" in file.arrays else None,
        translation=_rows(file, "translation") if "translation" in file.arrays else None,
        source=(_text(file, "source") if "source" in file.arrays else "") or file.name,
        exact=True,
        notes=[f"Arrays that this program does not know were left out: {', '.join(unknown)}."] if unknown else [],
    )


def write_motion(motion: Motion, path: Path, precision: Literal["float32", "float16"] = "float32") -> None:
    """Write a clip, whole or not at all; the same clip gives the same bytes. Audio and notes are not stored.

    Raises `MotionError` when ``path`` does not end in .npz.
    """
    if path.suffix.lower() != ".npz":
        raise MotionError(f"{path.name} does not end in .npz, the ending of a motion clip")
    arrays: dict[str, np.ndarray] = {
        "motion_version": np.array(VERSION),
        "fps": np.array(motion.fps, dtype=np.float64),
        "basis": np.array(motion.basis),
        "source": np.array(motion.source),
    }
    for name in motion.tensor_names():
        value = getattr(motion, name)
        if name in ("expression", "head", "eyelids", "translation") or bool(value.any()):
            arrays[name] = value.numpy().astype(precision)
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _rows(file: ArrayFile, name: str) -> np.ndarray:
    header = file.arrays[name]
    if not header.is_number or len(header.shape) != 2:
        raise MotionError(
            f"{name} in {file.name} is {header.dtype} {header.shape}; (frames, columns) of floats is needed"
        )
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `Motion` reports
        return file.read(name).astype(np.float32)


def _scalar(file: ArrayFile, name: str, kinds: str) -> np.ndarray:
    header = file.arrays[name]
    if header.shape != () or header.dtype.kind not in kinds:
        raise MotionError(f"{name} in {file.name} is {header.dtype} {header.shape}; a single value is needed")
    return file.read(name)


def _text(file: ArrayFile, name: str) -> str:
    value = _scalar(file, name, "U").astype(file.arrays[name].dtype.newbyteorder("<"))
    try:
        return value.tobytes().decode("utf-32-le").rstrip("\0")
    except UnicodeDecodeError as error:
        raise MotionError(f"{name} in {file.name} is not text") from error
