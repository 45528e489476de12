"""Head models: each makes a `Rig`."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead, Phenotype
from pipeline.heads.rig import Driver, Landmarks, Rig

__all__ = ["AnnyHead", "Driver", "Landmarks", "Phenotype", "Rig", "load_head"]


def load_head(kind: str, **kwargs: Any) -> AnnyHead:
    """The head model of that kind; keyword arguments go to its constructor (see `AnnyHead`)."""
    if kind == "anny":
        return AnnyHead(**kwargs)
    if kind in ("flame", "smplx"):
        raise UserError(
            f"the head {kind!r} needs a licensed file of your own, which this version cannot read; use the head 'anny'"
        )
    raise UserError(f"there is no head {kind!r}; use 'anny'")
