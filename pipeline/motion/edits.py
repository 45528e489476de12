"""`Edits`: everything that a person changes about a clip, as one value that the page, the API and the command line pass
around as JSON; `apply` carries it out, in one order for preview, video and files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import MotionError
from pipeline.heads import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.motion import editing
from pipeline.motion.motion import Motion
from pipeline.motion.sound import edit_sound

EXAMPLE = '{"trim": [0.5, 3], "speed": 1.2, "scale": {"jaw": 0.8}, "mix": {"happy": 0.4}, "blinks": 15, "repeat": 2}'
NEED_NAMES = ("lips", "brows")
"""Groups that a head model's coefficients do not show."""
MOST_CUTS = 100


@dataclass(frozen=True)
class Edits:
    """Changes in the order in which they are made; the defaults change nothing."""

    split: tuple[float, ...] = ()
    """Seconds at which the clip is cut."""
    part: int = 0
    """Which part of the cut clip is meant, from 1; 0 for the whole."""
    trim: tuple[float, float | None] | None = None
    """Seconds of that part at which the clip begins and ends; None for the end that it has."""
    speed: float = 1.0
    """0.25..4 times as fast."""
    smooth: float = 0.0
    """0 as it is .. 1 without any quick movement."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Group of `editing.GROUPS` → 0 still, 1 as it is, up to 3 times."""
    mix: Mapping[str, float] = field(default_factory=dict)
    """Feeling or ARKit action → 0..1, on top of the clip."""
    blinks: float = 0.0
    """Added per minute."""
    seed: int = 0
    """Draws when they come."""
    fade: float = 0.0
    """Seconds over which the end flows into the first frame."""
    repeat: int = 1
    """Times."""

    @classmethod
    def from_json(cls, data: Any) -> Edits:
        """From ``{"speed": 1.2, …}``, text or parsed; empty for no change. Raises `MotionError` for anything else."""
        try:
            values = json.loads(data or "{}") if isinstance(data, str) else data or {}
            if not isinstance(values, dict):
                raise TypeError
            known = {known.name for known in fields(cls)}
            if unknown := [name for name in values if name not in known]:
                raise MotionError(f"there is no edit {unknown[0]!r}; there are {', '.join(sorted(known))}")
            return cls(**{name: READERS[name](value) for name, value in values.items()})
        except MotionError:
            raise
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise MotionError(f"the edits are not understood; they must look like {EXAMPLE}") from error

    def to_json(self) -> str:
        """What differs from no change, as `from_json` takes it."""
        plain = asdict(Edits())
        return json.dumps({name: value for name, value in asdict(self).items() if value != plain[name]})

    def moment(self, seconds: float, duration: float) -> float:
        """Second of the uncut clip that is on the screen ``seconds`` into the edited one, which lasts ``duration``."""
        start = [0.0, *sorted(self.split)][self.part - 1] if self.part else 0.0
        if self.trim is not None:
            start += self.trim[0]
        return start + seconds % (duration / self.repeat) * self.speed

    @property
    def need_names(self) -> bool:
        """Whether they need actions with names, not a head model's coefficients."""
        return any(self.mix.values()) or any(self.scale.get(group, 1.0) != 1 for group in NEED_NAMES)


def apply(motion: Motion, edits: Edits, rig: Rig | None = None, folder: Path | None = None) -> Motion:
    """The edited clip.

    Where an edit needs named actions, a clip of a head model's coefficients is said in them first, by ``rig`` if it has
    ARKit's actions, otherwise by the free head; all other edits leave the coefficients as they are. The sound is cut,
    stretched and repeated alike into a file in ``folder``; without one a sound that no longer fits is left out. Raises
    `MotionError` for an edit that this clip cannot take.
    """
    if edits == Edits():
        return motion
    if edits.need_names and motion.basis != "arkit52":
        motion = editing.in_actions(motion, rig if rig is not None and rig.basis == "arkit52" else AnnyHead().rig)
    chosen, start = _part(motion, edits)
    edited = editing.change_speed(chosen, edits.speed)
    edited = editing.smooth(edited, edits.smooth)
    edited = editing.scale(edited, edits.scale)
    if any(edits.mix.values()):
        edited = editing.mix(edited, edits.mix)
    if edits.blinks:
        edited = editing.add_blinks(edited, edits.blinks, edits.seed)
    if edits.fade:
        edited = editing.seamless(edited, edits.fade)
    once = edited.duration
    edited = editing.repeat(edited, edits.repeat)
    return _with_sound(edited, motion.audio, folder, start, edits, once)


def parts(edits: Edits) -> list[Edits]:
    """The edits of every part of a cut clip; one where it is not cut or a part is chosen."""
    if not edits.split or edits.part:
        return [edits]
    return [replace(edits, part=number + 1) for number in range(len(edits.split) + 1)]


def _part(motion: Motion, edits: Edits) -> tuple[Motion, float]:
    """The chosen part, trimmed, and the second of the clip at which it begins."""
    cuts = sorted(edits.split)
    start = 0.0
    if edits.part:
        if not 1 <= edits.part <= len(cuts) + 1:
            raise MotionError(f"part {edits.part} was asked for; the clip has {len(cuts) + 1}")
        start = [0.0, *cuts][edits.part - 1]
        motion = editing.split(motion, cuts)[edits.part - 1]
    if edits.trim is not None:
        motion, start = editing.trim(motion, *edits.trim), start + edits.trim[0]
    return motion, round(start * motion.fps) / motion.fps


def _with_sound(
    motion: Motion, sound: Path | None, folder: Path | None, start: float, edits: Edits, once: float
) -> Motion:
    """The clip with its sound, cut and stretched as the clip was."""
    if sound is None or (motion.audio is not None and edits.speed == 1 and edits.repeat == 1):
        return motion
    if folder is None:
        return replace(motion, audio=None, notes=(*motion.notes, "The sound was left out, as the clip was cut."))
    return replace(motion, audio=edit_sound(sound, folder, start, once, edits.speed, edits.repeat))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise TypeError
    return number


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_CUTS:
        raise TypeError
    return tuple(_number(item) for item in value)


def _trim(value: Any) -> tuple[float, float | None] | None:
    if value is None:
        return None
    start, stop = value
    return _number(start), None if stop is None else _number(stop)


def _amounts(value: Any) -> dict[str, float]:
    return {str(name): _number(amount) for name, amount in value.items()}


READERS: dict[str, Callable[[Any], Any]] = {
    "split": _numbers, "part": int, "trim": _trim, "speed": _number, "smooth": _number, "scale": _amounts,
    "mix": _amounts, "blinks": _number, "seed": int, "fade": _number, "repeat": int,
}  # fmt: skip
"""Edit → what reads its JSON value."""
