"""Head models: each makes a `Rig`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead, Phenotype
from pipeline.heads.rig import Driver, Landmarks, Rig

if TYPE_CHECKING:
    from pipeline.heads.flame import FlameHead
    from pipeline.heads.smplx import SmplxHead

__all__ = ["AnnyHead", "Driver", "Landmarks", "Phenotype", "Rig", "load_head"]


def load_head(kind: str, **kwargs: Any) -> AnnyHead | FlameHead | SmplxHead:
    """The head model of that kind (``anny``, ``flame``, ``smplx``); keyword arguments go to its constructor, see
    `AnnyHead`, `FlameHead` and `SmplxHead`. Raises `UserError` for another kind or when its model file is missing."""
    if kind == "anny":
        return AnnyHead(**kwargs)
    if kind == "flame":
        from pipeline.heads.flame import FlameHead  # smplx takes a second to import

        return FlameHead(**kwargs)
    if kind == "smplx":
        from pipeline.heads.smplx import SmplxHead

        return SmplxHead(**kwargs)
    raise UserError(f"there is no head {kind!r}; use 'anny', 'flame' or 'smplx'")
