"""Whether an expression's numbers can be what they are taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.assumptions import Choices

Numbers = NDArray[Any]
ARKIT_SLACK = 0.05
"""Trackers overshoot 0..1 a little."""
PERCENT_FROM, PERCENT_TO = 1.5, 100.0
LARGEST_USUAL = 8.0
"""Coefficients of tracked clips stay within 6.5."""
LARGEST_PERCENTILE = 99.9
GROUP = 10
DECAYED = 0.9
"""Late coefficients move less than early ones: 0.25 to 0.4 of them in tracked clips."""
FEWEST_FRAMES, FEWEST_COLUMNS = 30, 50


def settled_weights(values: Numbers, choices: Choices, notes: list[str]) -> Numbers:
    """ARKit weights (T, 52) within 0..1: percentages are divided (``scale``), what overshoots is cut."""
    largest, smallest = float(values.max()), float(values.min())
    percent = PERCENT_FROM < largest <= PERCENT_TO
    if percent or choices.is_set("scale"):
        told = f"Weights go to {largest:.3g}; they were divided by 100."
        if choices.option("scale", "0..100" if percent else "0..1", ("0..1", "0..100"), told) == "0..100":
            values = values / 100
            largest, smallest = largest / 100, smallest / 100
    if smallest < -ARKIT_SLACK or largest > 1 + ARKIT_SLACK:
        notes.append(f"Weights from {smallest:.2f} to {largest:.2f} were cut to 0..1.")
        return np.clip(values, 0, 1)
    return values


def told_expression(values: Numbers, basis: str) -> list[str]:
    """What is unusual about the expression."""
    if not values.any():
        return ["No expression in the file; only head, jaw and eyes can move."]
    if basis == "arkit52":
        return []
    largest = float(np.percentile(np.abs(values), LARGEST_PERCENTILE))
    if largest > LARGEST_USUAL:
        return [
            f"Expression values reach {float(np.abs(values).max()):.3g}; they usually stay within about 6. They may "
            "belong to another model."
        ]
    if _does_not_decay(values):
        return [
            "Late expression coefficients vary as much as the first ones, which is unusual; they may belong to "
            "another model."
        ]
    return []


def _does_not_decay(values: Numbers) -> bool:
    frames, width = values.shape
    if frames < FEWEST_FRAMES or width < FEWEST_COLUMNS:
        return False
    spread = values.std(0)
    return bool(spread[-GROUP:].mean() > DECAYED * spread[:GROUP].mean() > 0)
