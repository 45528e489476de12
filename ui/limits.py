"""How long avatars are kept, and how many: what the operator of this place sets in the environment."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from pipeline.errors import UserError

KEEP_HOURS, MOST_AVATARS, MOST_GB = (
    f"ANIMPORTRAIT3D_{name}" for name in ("KEEP_HOURS", "MOST_AVATARS", "MOST_GB")
)  # fmt: skip
ON_A_SPACE = {KEEP_HOURS: 24.0, MOST_AVATARS: 50.0, MOST_GB: 10.0}
"""Unless the operator says otherwise; on a person's own machine there is no limit but the disk."""


@dataclass(frozen=True)
class Limits:
    """None is no limit."""

    keep_hours: float | None = None
    """An avatar that nobody has opened for so long is deleted, unless it was published."""
    most_avatars: int | None = None
    """Of one person."""
    most_gb: float | None = None
    """Of everybody together, 10⁹ bytes."""


def limits() -> Limits:
    """The limits of this place. Raises `UserError` for a variable that is no number above zero."""
    most = _number(MOST_AVATARS)
    if most is not None and not most.is_integer():
        raise UserError(f"{MOST_AVATARS} is {most:g}; it must be a whole number, e.g. 50")
    return Limits(_number(KEEP_HOURS), None if most is None else int(most), _number(MOST_GB))


def _number(variable: str) -> float | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return ON_A_SPACE[variable] if os.environ.get("SPACE_ID") else None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{variable} is {text!r}; it must be a number above 0, e.g. 24, or empty for the default")
    return number
