"""Frames with times of their own: how many there are in a second, and the same clip evenly timed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.errors import MotionError
from pipeline.motion.formats.draft import Draft, Numbers
from pipeline.motion.motion import FASTEST_FPS, MOST_FRAMES, SLOWEST_FPS, lerp_rows, slerp_rows

COMMON_RATES = (
    24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0, 60000 / 1001, 60.0, 72.0, 90.0, 100.0, 120.0, 240.0,
)  # fmt: skip
TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 120)
RATE_TOLERANCE = 0.004
"""A measured rate this close to a common one is that one."""
MOST_SHIFT = 0.3
"""Frames by which a time may miss its even place."""
UNITS = (1.0, 1e-3, 1e-6, 1e-9)
"""Seconds, milliseconds, microseconds, nanoseconds: told apart by the step between frames."""
TIMECODE = re.compile(r"\s*(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3}(?:\.\d{0,9})?)\s*")


@dataclass(frozen=True)
class TimeLine:
    """When the frames of a clip were."""

    fps: float
    rows: Numbers | None
    """(S,) fractional row of the file for every evenly timed frame; None where the frames are even already."""
    notes: list[str]


def on_time_line(draft: Draft, line: TimeLine | None) -> Draft:
    """``draft`` with evenly timed frames, rotations by slerp and everything else linearly, and what is told of them."""
    if line is None:
        return draft
    draft.notes += line.notes
    if line.rows is None:
        return draft
    draft.expression = _at(draft.expression, line.rows, turns=False)
    draft.rotations = {name: _at(value, line.rows, turns=True) for name, value in draft.rotations.items()}
    if draft.eyelids is not None:
        draft.eyelids = _at(draft.eyelids, line.rows, turns=False)
    return draft


def time_line(times: Numbers, source: str) -> TimeLine | None:
    """The time line of frames at ``times`` (T,) in any unit; None where they tell no rate (fewer than two times).

    Raises `MotionError` when a time is missing, runs backwards, or the rate is out of range.
    """
    if not np.isfinite(times).all():
        raise MotionError(f"{source} has no time in frame {int((~np.isfinite(times)).argmax())}; every frame needs one")
    steps = np.diff(times)
    if (steps < 0).any():
        raise MotionError(f"{source} runs backwards in time at frame {int((steps < 0).argmax()) + 1}")
    kept = np.flatnonzero(np.r_[True, steps > 0])
    if len(kept) < 2:
        return None
    seconds = (times[kept] - times[0]) * _unit(float(np.median(np.diff(times[kept]))), source)
    steps = np.diff(seconds)
    ordinary = steps[np.abs(steps / np.median(steps) - 1) < 0.5]
    fps = common_rate(1 / float(ordinary.mean()))
    _check(fps, float(seconds[-1]), source)
    return _even(seconds, kept, fps, len(times))


def timecode_line(codes: Sequence[str], source: str) -> TimeLine | None:
    """The time line of frames with SMPTE timecodes ``HH:MM:SS:FF.sub``, drop-frame ones (``;``) included.

    None where they tell no rate: FF counts the frames of a second, so the clip must reach into a second one.
    Raises `MotionError` for what is no timecode.
    """
    parts = [_timecode(code, number, source) for number, code in enumerate(codes)]
    seconds = np.array([part[0] for part in parts], np.float64)
    frames = np.array([part[1] for part in parts], np.float64)
    if seconds.min() == seconds.max():
        return None
    seconds += 86400 * np.cumsum(np.r_[False, np.diff(seconds) < -43200])  # past midnight
    base = next((rate for rate in TIMECODE_RATES if frames.max() < rate), None)
    if base is None:
        raise MotionError(f"{source} has a timecode with frame {frames.max():.0f}; a second has up to 120 frames")
    counted = seconds * base + frames
    rate = float(base)
    if any(part[2] for part in parts) and base in (30, 60):  # drop-frame: some numbers are left out, never frames
        minutes = seconds // 60
        counted -= base // 15 * (minutes - minutes // 10)
        rate = base * 1000 / 1001
    return time_line((counted - counted[0]) / rate, source)


def common_rate(fps: float) -> float:
    """The rate that cameras have, where ``fps`` is next to one."""
    nearest = min(COMMON_RATES, key=lambda rate: abs(rate - fps))
    return nearest if abs(nearest - fps) <= RATE_TOLERANCE * nearest else round(fps, 3)


def _unit(step: float, source: str) -> float:
    for unit in UNITS:
        if 0.9 / FASTEST_FPS <= step * unit <= 1.1 / SLOWEST_FPS:
            return unit
    raise MotionError(f"{source} has frames {step:g} apart in time; 1 to 240 frames per second are read")


def _check(fps: float, duration: float, source: str) -> None:
    if not SLOWEST_FPS <= fps <= FASTEST_FPS:
        raise MotionError(f"{source} has {fps:g} frames per second; 1 to 240 are read")
    if duration * fps >= MOST_FRAMES:
        raise MotionError(
            f"{source} spans {duration:.0f} s, {duration * fps:.0f} frames; a clip has at most {MOST_FRAMES}"
        )


def _even(seconds: Numbers, kept: Numbers, fps: float, total: int) -> TimeLine:
    places = seconds * fps
    nearest = places.round()
    if np.abs(places - nearest).max() <= MOST_SHIFT and (np.diff(nearest) > 0).all():
        places = nearest  # an even clock with some ticks missing; the rest is its jitter
    count = round(float(places[-1])) + 1
    if len(kept) == total == count and (places == nearest).all():
        return TimeLine(fps, None, [])
    missing = count - len(kept)
    gap = float(np.diff(seconds).max())
    told = f"The frames are unevenly timed; they were set to {fps:.6g} per second."
    if missing > 0:
        told = f"{missing} of {count} frames are missing (up to {gap:.2f} s); they were filled in between the others."
    return TimeLine(fps, np.interp(np.arange(count), places, kept.astype(np.float64)), [told])


def _timecode(code: str, number: int, source: str) -> tuple[int, float, bool]:
    """Whole seconds, frames within the second, and whether it is a drop-frame code."""
    match = TIMECODE.fullmatch(code)
    if match is None:
        raise MotionError(f"{source} has the timecode {code[:32]!r} in frame {number}; HH:MM:SS:FF would be right")
    hours, minutes, seconds = (int(match[group]) for group in (1, 2, 3))
    return 3600 * hours + 60 * minutes + seconds, float(match[5]), match[4] == ";"


def _at(values: Numbers, rows: Numbers, turns: bool) -> Numbers:
    take = slerp_rows if turns else lerp_rows
    return take(torch.from_numpy(np.ascontiguousarray(values, np.float64)), torch.from_numpy(rows)).numpy()
