"""JSON whose frames name every weight, as programs write MediaPipe's face blendshapes.

A list of frames, or an object with one under ``frames``; a frame is ``{"jawOpen": 0.1, …}``, or MediaPipe's own result,
a list of ``{"categoryName": "jawOpen", "score": 0.1}`` under ``faceBlendshapes``, ``categories`` or the like. A time,
called timestamp or time, and MediaPipe's ``facialTransformationMatrixes`` (16 numbers) may stand beside the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.geometry import matrix_to_axis_angle
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import action_named, actions_from, letters
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.formats.head_turns import on_neck_and_head
from pipeline.motion.formats.json_file import JsonFile, number_of, numbers_of
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timing import on_time_line, time_line

NAME = "named weights (MediaPipe)"
EXPECTS = 'one .json with a list of frames that name each weight ("jawOpen": 0.1, or categoryName and score)'
USES = "52 actions, head where its matrix is there"
HOW_TO_EXPORT = "MediaPipe Face Landmarker with output_face_blendshapes: dump face_blendshapes of every frame as JSON"
DEFAULT_FPS = 30.0
LISTS = ("frames", "results", "data", "faceBlendshapes", "face_blendshapes", "blendshapes")
INSIDE = ("faceblendshapes", "blendshapes", "categories", "weights", "blendshapeweights")
NAMED = ("categoryName", "category_name", "category", "displayName", "display_name", "name")
SCORED = ("score", "value", "weight")
TIMES = ("timestampms", "timems", "timestamp", "time", "t")
MATRICES = ("facialtransformationmatrixes", "facialtransformationmatrices", "transformationmatrix", "matrix")
MATRIX_TOLERANCE = 0.05
DEEPEST = 5


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one JSON file whose first frame names facial actions."""
    if len(sources) != 1 or not isinstance(sources[0], JsonFile):
        return False
    frames = _frames(sources[0])
    return any(_weights(frame) for frame in frames[:1])


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip; a frame without a face has no numbers. Raises `MotionError` naming what does not fit."""
    (file,) = sources
    assert isinstance(file, JsonFile)
    frames = _frames(file)
    named = [_weights(frame) for frame in frames]
    names = sorted({name for weights in named for name in weights})
    rows = [[weights.get(name, math.nan) for name in names] for weights in named]
    weights, notes = actions_from(numbers_of(rows, "weights", file.name), names, file.name)
    times = [_time(frame) for frame in frames]
    line = None
    if None not in times:
        line = time_line(numbers_of(times, "time", file.name, axes=1), file.name)
    draft = Draft(
        source=file.name,
        fps=ask_fps(choices, DEFAULT_FPS, number_of(file.get("fps")) or (line.fps if line else None)),
        basis="arkit52",
        radians=True,
        expression=weights,
        rotations=_turns(frames),
        notes=notes,
    )
    return on_time_line(draft, line)


def _turns(frames: list[Any]) -> dict[str, Numbers]:
    """Neck and head from the transformations of the frames, where they have any."""
    matrices = [_matrix(frame) for frame in frames]
    if all(matrix is None for matrix in matrices):
        return {}
    turn = np.full((len(frames), 3), np.nan)
    for number, matrix in enumerate(matrices):
        if matrix is not None:
            turn[number] = matrix_to_axis_angle(torch.from_numpy(matrix)).numpy()
    return on_neck_and_head(turn)


def _matrix(frame: Any) -> Numbers | None:
    """(3, 3) of MediaPipe's transformation from its canonical face (our axes, centimetres) to the camera's space."""
    found = next((v for k, v in frame.items() if letters(k) in MATRICES), None) if isinstance(frame, dict) else None
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    found = found.get("data") if isinstance(found, dict) else found
    try:
        whole = np.array(found, np.float64).reshape(4, 4)
    except (TypeError, ValueError, OverflowError):
        return None
    matrix = (whole.T if whole[3, :3].any() else whole)[:3, :3]  # column by column the translation comes last
    proper = np.isfinite(matrix).all() and np.abs(matrix @ matrix.T - np.eye(3)).max() < MATRIX_TOLERANCE
    return np.ascontiguousarray(matrix) if proper and np.linalg.det(matrix) > 0 else None


def _frames(file: JsonFile) -> list[Any]:
    """The list of frames, or nothing."""
    if isinstance(file.data, list):
        return file.data
    return next((file.data[key] for key in LISTS if isinstance(file.get(key), list)), [])


def _weights(frame: Any, depth: int = 0) -> dict[str, float]:
    """Names and numbers of one frame: of its first face, wherever they are inside."""
    if depth > DEEPEST:
        return {}
    if isinstance(frame, list):
        scored = dict(pair for pair in map(_scored, frame) if pair is not None)
        return scored or (_weights(frame[0], depth + 1) if frame else {})
    if not isinstance(frame, dict):
        return {}
    inside = [value for key, value in frame.items() if letters(key) in INSIDE]
    found = next((weights for value in inside if (weights := _weights(value, depth + 1))), {})
    return found or {key: number for key, value in frame.items() if (number := _weight(key, value)) is not None}


def _scored(entry: Any) -> tuple[str, float] | None:
    """Name and score of one of MediaPipe's categories."""
    if not isinstance(entry, dict):
        return None
    name = next((entry[key] for key in NAMED if entry.get(key)), None)
    score = next((entry[key] for key in SCORED if key in entry), None)
    number = _weight(name, score)
    return None if number is None else (str(name), number)


def _weight(name: Any, value: Any) -> float | None:
    return number_of(value) if isinstance(name, str) and action_named(name) else None


def _time(frame: Any) -> float | None:
    if not isinstance(frame, dict):
        return None
    by_letters = {letters(key): value for key, value in frame.items()}
    return next((time for key in TIMES if (time := number_of(by_letters.get(key))) is not None), None)
