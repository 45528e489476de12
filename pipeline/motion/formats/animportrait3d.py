"""The pair of `.npy` files that AnimPortrait3D (Wu et al., 2025, `render_animation.py`) plays.

``exp`` (T, up to 100): FLAME expression coefficients. ``pose`` (T, 15): axis-angle radians of global rotation, neck,
jaw, left eye and right eye. The two come in any order, and either alone will do. Neither names its frame rate (25 is
that program's default) nor its FLAME release (its clips are tracked with FLAME 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.sources import Source
from pipeline.motion.motion import FLAME_BASES, MOST_FRAMES

NAME = "AnimPortrait3D expression and pose"
EXPECTS = "one or two .npy: expression (frames, up to 100) and pose (frames, 15)"
HOW_TO_EXPORT = "the files that AnimPortrait3D's render_animation.py takes as exp_path and pose_path"
DEFAULT_FPS = 25.0
MOST_EXPRESSIONS = 100
POSE = ("global_rotation", "neck", "jaw", "left_eye", "right_eye")
POSE_WIDTH = 3 * len(POSE)
UNNAMED_ARKIT_WIDTHS = (51, 52)


def sniff(sources: Sequence[Source]) -> bool:
    """Whether these are one or two bare arrays."""
    return 1 <= len(sources) <= 2 and all(isinstance(file, ArrayFile) and not file.compressed for file in sources)


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming the file and what does not fit."""
    files = [file for file in sources if isinstance(file, ArrayFile)]
    for file in files:
        _check_header(file)
    poses = [file for file in files if _width(file) == POSE_WIDTH]
    expressions = [file for file in files if _width(file) != POSE_WIDTH]
    if len(poses) > 1 or len(expressions) > 1:
        kind = f"(frames, {POSE_WIDTH}) poses" if poses else "expressions"
        raise MotionError(f"{files[0].name} and {files[1].name} are both {kind}; give one expression and one pose file")
    frames = {file.name: file.arrays[""].shape[0] for file in files}
    if len(set(frames.values())) > 1:
        told = " and ".join(f"{name} has {count} frames" for name, count in frames.items())
        raise MotionError(f"{told}; both files of a clip need the same number")
    fps = choices.number(
        "fps", DEFAULT_FPS, f"The files name no frame rate; {DEFAULT_FPS:.0f} frames per second were assumed."
    )
    basis = "flame2023"
    if expressions:
        told = "The files name no FLAME release; the expression was taken as FLAME 2023."
        basis = choices.option("basis", basis, FLAME_BASES, told)
    pose = _values(poses[0]) if poses else np.zeros((len(_values(expressions[0])), POSE_WIDTH), np.float32)
    return Draft(
        source=" + ".join(file.name for file in files),
        fps=fps,
        basis=basis,
        expression=_values(expressions[0]) if expressions else np.zeros((len(pose), 0), np.float32),
        rotations={name: pose[:, 3 * k : 3 * k + 3] for k, name in enumerate(POSE)},
    )


def _width(file: ArrayFile) -> int:
    return file.arrays[""].shape[1]


def _check_header(file: ArrayFile) -> None:
    header = file.arrays[""]
    shape = header.shape
    wanted = f"expression is (frames, up to {MOST_EXPRESSIONS}) and pose is (frames, {POSE_WIDTH})"
    if not header.is_number:
        raise MotionError(f"{file.name} holds {header.dtype} values; {wanted}, of floats")
    if len(shape) != 2 or not shape[1]:
        raise MotionError(f"{file.name} has shape {shape}; {wanted}")
    if shape[1] in UNNAMED_ARKIT_WIDTHS:
        raise MotionError(
            f"{file.name} has {shape[1]} columns, which look like ARKit weights without names, not FLAME coefficients; "
            "give them as a motion clip (.npz) with the basis arkit52"
        )
    if shape[1] > MOST_EXPRESSIONS:
        turned = f"; it looks transposed, {shape[::-1]} would fit" if shape[0] in (POSE_WIDTH, MOST_EXPRESSIONS) else ""
        raise MotionError(f"{file.name} has shape {shape}; {wanted}{turned}")
    if not 1 <= shape[0] <= MOST_FRAMES:
        raise MotionError(f"{file.name} has {shape[0]} frames; a clip has 1 to {MOST_FRAMES}")


def _values(file: ArrayFile) -> np.ndarray:
    with np.errstate(over="ignore"):
        values = file.read().astype(np.float32)
    broken = ~np.isfinite(values).all(1)
    if broken.any():
        raise MotionError(
            f"{file.name} holds {int(broken.sum())} of {len(values)} frames with a NaN or infinite value, "
            f"the first is frame {int(broken.argmax())}; every value must be a finite number"
        )
    return values
