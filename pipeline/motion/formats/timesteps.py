"""Frames that carry numbers: in order, each once, with short gaps open for `without_gaps` to fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.formats.check_values import LARGEST_MISSING_SHARE, LONGEST_GAP

Numbers = NDArray[Any]
GAPS_TOLD = 3
MOST_STEPS = 2**31


def by_timestep(arrays: Mapping[str, Numbers], steps: Numbers, notes: list[str]) -> dict[str, Numbers]:
    """Rows (T, …) whose frame numbers are ``steps`` (T,) → rows in the order of time.

    Several cameras repeat a number: the first row stays. Frames that are missing become rows of NaN where
    `without_gaps` fills so few of them, and are told otherwise. Arrays of another length stay as they are.
    """
    whole = np.clip(np.nan_to_num(steps), 0, MOST_STEPS).astype(np.int64)
    numbers, first = np.unique(whole, return_index=True)
    if len(numbers) < len(steps):
        notes.append(f"{len(steps)} frames hold {len(numbers)} points in time; each was used once.")
    places = _places(numbers, notes)
    done = {}
    for name, rows in arrays.items():
        if len(rows) != len(steps):
            done[name] = rows
            continue
        spread = np.full((places[-1] + 1, *rows.shape[1:]), np.nan)
        spread[places] = rows[first]
        done[name] = spread
    return done


def usual_step(numbers: Numbers) -> int:
    """The commonest distance between neighbouring frame numbers, at least 1."""
    apart = np.diff(np.unique(np.nan_to_num(numbers.astype(np.float64)))).clip(0, 1000).astype(np.int64)
    return max(1, int(np.bincount(apart).argmax())) if len(apart) else 1


def _places(numbers: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Row of each frame number in the clip."""
    step = usual_step(numbers)
    apart = np.diff(numbers)
    missing = np.maximum(apart // step, 1) - 1
    if not missing.any():
        return np.arange(len(numbers))
    told = [f"{numbers[gap] + step}-{numbers[gap + 1] - step}" for gap in np.flatnonzero(missing)[:GAPS_TOLD]]
    few = missing.max() <= LONGEST_GAP and missing.sum() <= LARGEST_MISSING_SHARE * (len(numbers) + missing.sum())
    if not few:
        more = ", …" if np.count_nonzero(missing) > GAPS_TOLD else ""
        notes.append(f"Time steps {', '.join(told)}{more} are not in the file; the clip goes on without them.")
        return np.arange(len(numbers))
    return np.concatenate([[0], np.cumsum(missing + 1)])
