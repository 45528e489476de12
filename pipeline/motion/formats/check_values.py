"""Rotations are radians, no frame misses a value, and what never moves is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.motion import ROTATIONS, lerp_rows, slerp_rows

Numbers = NDArray[Any]
JAW_LIMIT, JOINT_LIMIT = 1.2, 3.3
"""Radians: no jaw opens further, and no joint is turned by more than half a turn (a camera that is upside down is)."""
LIMIT_PERCENTILE = 99
LONGEST_GAP = 5
"""Frames without a value that are filled."""
LARGEST_MISSING_SHARE = 0.05
STILL_RADIANS = 1e-4
RUNS_TOLD = 3


def in_radians(turns: Mapping[str, Numbers], choices: Choices) -> dict[str, Numbers]:
    """Axis-angle (T, 3) by joint in radians; ``units`` are degrees where the numbers are impossible in radians."""
    reaches = {name: _reach(name, values) for name, values in turns.items()}
    if not any(reaches.values()):
        return dict(turns)
    over = {name: reach for name, reach in reaches.items() if reach > (JAW_LIMIT if name == "jaw" else JOINT_LIMIT)}
    units, told = "radians", ""
    if over:
        name, reach = max(over.items(), key=lambda item: item[1])
        told = f"{name} reaches {reach:.3g}, which is impossible in radians; all angles were read as degrees."
        units = "degrees"
    if choices.option("units", units, ("radians", "degrees"), told) == "radians":
        return dict(turns)
    return {name: np.radians(values) for name, values in turns.items()}


def without_gaps(tracks: Mapping[str, Numbers], notes: list[str]) -> dict[str, Numbers]:
    """Arrays (T, N) with short gaps of NaN or infinite values filled between their neighbours.

    Raises `MotionError` naming the frames when a gap is longer than `LONGEST_GAP` frames, or when more than
    `LARGEST_MISSING_SHARE` of the frames miss something.
    """
    with np.errstate(over="ignore"):
        floats = {name: values.astype(np.float32) for name, values in tracks.items()}
    missing = {name: np.asarray(~np.isfinite(values).all(1)) for name, values in floats.items()}
    anywhere = np.asarray(np.stack(list(missing.values())).any(0))
    if not anywhere.any():
        return floats
    runs = _runs(anywhere)
    told = f"{_frames(runs)} missing values (NaN or infinite)"
    if max(last - first + 1 for first, last in runs) > LONGEST_GAP:
        raise MotionError(f"{told}; gaps of up to {LONGEST_GAP} frames can be filled, this is too long")
    if anywhere.mean() > LARGEST_MISSING_SHARE:
        raise MotionError(
            f"{told}, {int(anywhere.sum())} of {len(anywhere)} frames; up to {LARGEST_MISSING_SHARE:.0%} can be filled"
        )
    notes.append(f"{told}; they were filled from the frames beside them.")
    return {name: _filled(name, floats[name], gaps) for name, gaps in missing.items()}


def told_stillness(tracks: Mapping[str, Numbers], basis: str) -> list[str]:
    """A sentence on what a clip never moves, where that could have been expected."""
    groups = {"head": ("global_rotation", "neck", "head"), "jaw": ("jaw",), "eye": ("left_eye", "right_eye")}
    if basis == "arkit52":
        groups = {"head": groups["head"]}  # its jaw and eyes move by the weights
    calm = [group for group, names in groups.items() if not any(_moves(tracks.get(name)) for name in names)]
    if not calm:
        return []
    adding = "; blinks and glances can be added" if "eye" in calm else ""
    listed = " or ".join([", ".join(calm[:-1]), calm[-1]]) if len(calm) > 1 else calm[0]
    return [f"No {listed} movement in the file{adding}."]


def _reach(name: str, values: Numbers) -> float:
    """How far a joint turns, but for a few outliers: the jaw by its opening, others by the angle."""
    angles = np.abs(values[:, 0]) if name == "jaw" else np.linalg.norm(values, axis=1)
    angles = angles[np.isfinite(angles)]
    return float(np.percentile(angles, LIMIT_PERCENTILE)) if len(angles) else 0.0


def _filled(name: str, values: Numbers, gaps: NDArray[np.bool_]) -> Numbers:
    """(T, N) with the rows of ``gaps`` (T) bool between the whole rows around them; at the ends the nearest holds."""
    if not gaps.any():
        return values
    whole = np.flatnonzero(~gaps)
    places = np.interp(np.arange(len(values)), whole, np.arange(len(whole)))
    between = slerp_rows if name in ROTATIONS else lerp_rows
    filled = values.copy()
    filled[gaps] = between(torch.from_numpy(values[whole]), torch.from_numpy(places[gaps])).numpy()
    return filled


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(stop) - 1) for first, stop in edges.reshape(-1, 2)]


def _frames(runs: list[tuple[int, int]]) -> str:
    named = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:RUNS_TOLD]]
    more = f" and {len(runs) - RUNS_TOLD} more places" if len(runs) > RUNS_TOLD else ""
    single = len(runs) == 1 and runs[0][0] == runs[0][1]
    return f"Frame {named[0]} has" if single else f"Frames {', '.join(named)}{more} have"


def _moves(turns: Numbers | None) -> bool:
    return turns is not None and bool((np.ptp(turns, axis=0) > STILL_RADIANS).any())
