"""ARKit weights as JSON: ``{"names": [...], "frames": [{"weights": [...], "time": seconds}, ...], "metadata": {...}}``.

So the BEAT data set writes its faces (51 names, without tongueOut), LAM its ``bsData.json`` and this program its clips.
``metadata.fps`` or the frames' times give the frame rate. What BEAT calls ``rotation`` names neither axes nor unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.formats.arkit_columns import actions_from
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.json_file import JsonFile, number_of, numbers_of
from pipeline.motion.formats.questions import ask_fps
from pipeline.motion.formats.sources import Source
from pipeline.motion.formats.timing import on_time_line, time_line

NAME = "ARKit JSON"
EXPECTS = 'one .json with "names" and "frames" of "weights"'
USES = "52 actions"
HOW_TO_EXPORT = "the .json beside each take of BEAT; LAM_Audio2Expression's bsData.json; Save as ARKit JSON on the page"
BEAT_NAMES, BEAT_FPS, DEFAULT_FPS = 51, 60.0, 30.0


def sniff(sources: Sequence[Source]) -> bool:
    """Whether this is one JSON object with names and frames."""
    if len(sources) != 1 or not isinstance(sources[0], JsonFile):
        return False
    names, frames = sources[0].get("names"), sources[0].get("frames")
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(names, list) and isinstance(first, dict) and "weights" in first


def read(sources: Sequence[Source], choices: Choices) -> Draft:
    """The clip. Raises `MotionError` naming what does not fit."""
    (file,) = sources
    assert isinstance(file, JsonFile)
    names = [str(name) for name in file.data["names"]]
    frames: list[dict[str, Any]] = [frame if isinstance(frame, dict) else {} for frame in file.data["frames"]]
    values = numbers_of([frame.get("weights") for frame in frames], "weights", file.name)
    if values.shape[1] != len(names):
        raise MotionError(f"{file.name} has {values.shape[1]} weights in a frame but {len(names)} names")
    weights, notes = actions_from(values, names, file.name)
    if any(_moves(frame.get("rotation")) for frame in frames):
        notes.append("The head's rotation was left out: the file says neither its axes nor its unit.")
    line = None
    if all("time" in frame for frame in frames):
        times = numbers_of([frame["time"] for frame in frames], "time", file.name, axes=1)
        line = time_line(times, file.name)
    stored = _stored_fps(file)
    usual = BEAT_FPS if len(names) == BEAT_NAMES else DEFAULT_FPS
    draft = Draft(
        source=file.name,
        fps=ask_fps(choices, usual, line.fps if line else stored),
        basis="arkit52",
        expression=weights,
        notes=notes,
    )
    return on_time_line(draft, line)


def _stored_fps(file: JsonFile) -> float | None:
    metadata = file.get("metadata")
    places = (metadata if isinstance(metadata, dict) else {}, file.data)
    return next((fps for place in places if (fps := number_of(place.get("fps"))) is not None), None)


def _moves(rotation: Any) -> bool:
    """Whether a frame's rotation is there and not zero."""
    return isinstance(rotation, list) and any(number_of(value) for value in rotation)
