"""Which motion a visitor means: one of our clips, files of their own, speech, or a sentence to be spoken."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.heads.rig import Rig
from pipeline.motion import Motion, load_motion
from pipeline.motion.edits import Edits, apply

MOTIONS = Path(__file__).parents[1] / "examples" / "motions"
MOST_REMEMBERED = 16
"""Clips that stay in memory between a visitor's edits."""
CHOICES_EXAMPLE = '{"fps": "30", "basis": "flame2020"}'
LANGUAGE = "en"


@dataclass(frozen=True)
class MotionRequest:
    """One source, what was set by hand about it, and the edits."""

    clip: str | None = None
    """Name of one of ours."""
    files: tuple[Path, ...] = ()
    """Files that make up one clip."""
    speech: Path | None = None
    """A recording."""
    transcript: str = ""
    """What is said in it; empty where unknown."""
    text: str = ""
    """A sentence to be spoken."""
    language: str = LANGUAGE
    """Of the text or transcript."""
    choices: tuple[tuple[str, str], ...] = ()
    """What is set by hand about the files, by `Assumption.key`."""
    edits: Edits = field(default_factory=Edits, hash=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for, so that the head rests."""
        return not (self.clip or self.files or self.speech or self.text)


def motion_request(
    clip: str | None = None,
    files: Sequence[str] | None = None,
    speech: str | None = None,
    transcript: str | None = None,
    text: str | None = None,
    language: str | None = None,
    choices: Any = None,
    edits: Any = None,
) -> MotionRequest:
    """What came from the page or the API, checked. Raises `UserError` for more than one source or unreadable JSON."""
    text = (text or "").strip()
    given = [name for name, value in {"clip": clip, "files": files, "speech": speech, "text": text}.items() if value]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} were given; a head moves with one of them")
    return MotionRequest(
        clip=clip or None,
        files=tuple(Path(file) for file in files or ()),
        speech=Path(speech) if speech else None,
        transcript=(transcript or "").strip(),
        text=text,
        language=language or LANGUAGE,
        choices=read_choices(choices),
        edits=Edits.from_json(edits),
    )


def read_choices(choices: Any) -> tuple[tuple[str, str], ...]:
    """``{"fps": "30"}`` as it came from outside. Raises `UserError` for anything else."""
    if not choices:
        return ()
    if not isinstance(choices, dict) or any(isinstance(value, dict | list | None) for value in choices.values()):
        raise UserError(f"the choices are not understood; they must look like {CHOICES_EXAMPLE}")
    return tuple(sorted((str(key), str(value)) for key, value in choices.items()))


def clip_names() -> list[str]:
    """Our own clips."""
    return sorted(path.stem for path in MOTIONS.glob("*.npz"))


def spoken_languages() -> list[tuple[str, str]]:
    """(name, code) of what this machine can speak, the most general English first; empty without a voice."""
    from pipeline.motion.speech import languages

    named = [(name, code) for code, name in languages().items()]
    return [("English", LANGUAGE), *named] if named else []


class Shelf:
    """Reads and makes motions, and remembers the last ones, so that an edit does not start from the file again."""

    def __init__(self) -> None:
        self._motions: OrderedDict[tuple[MotionRequest, Path | None], Motion] = OrderedDict()
        self._guard = threading.Lock()

    def motion(self, request: MotionRequest, folder: Path | None) -> Motion:
        """The clip before any edit; spoken text needs a ``folder`` for its sound. Raises `UserError`."""
        key = replace(request, edits=Edits()), folder if request.text else None
        with self._guard:
            known = self._motions.get(key)
        if known is None or (known.audio is not None and not known.audio.is_file()):
            known = _make(request, folder)
        with self._guard:
            self._motions[key] = known
            self._motions.move_to_end(key)
            while len(self._motions) > MOST_REMEMBERED:
                self._motions.popitem(last=False)
        return known

    def edited(self, request: MotionRequest, rig: Rig, folder: Path) -> Motion:
        """The clip as it is to be played on ``rig``; a cut sound is left in ``folder``. Raises `UserError`."""
        return apply(self.motion(request, folder), request.edits, rig, folder)


def _make(request: MotionRequest, folder: Path | None) -> Motion:
    if request.files:
        return load_motion(request.files, dict(request.choices))
    if request.speech or request.text:
        return _speak(request, folder)
    if request.clip is None:
        raise UserError("no motion is chosen; choose one of our clips, upload your own, or give speech or a text")
    if request.clip not in clip_names():
        raise UserError(f"there is no clip {request.clip!r}; choose from {', '.join(clip_names())}, or upload your own")
    return load_motion([MOTIONS / f"{request.clip}.npz"])


def _speak(request: MotionRequest, folder: Path | None) -> Motion:
    from pipeline.motion.speech import say, speech_motion  # the recogniser is loaded when somebody speaks

    if request.speech:
        return speech_motion(request.speech, request.transcript or None, request.language)
    assert folder is not None
    return say(request.text, request.language, folder=folder)
