"""`Draft`: the numbers of a clip as its file has them; `finish` checks them and makes the `Motion`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import MotionError
from pipeline.motion.assumptions import Choices
from pipeline.motion.motion import Motion, still

Numbers = NDArray[Any]


@dataclass
class Draft:
    """A clip of T frames before any check. Rotations are in our axes (y up, face +Z, x the subject's left)."""

    source: str
    """Where it came from, for people."""
    fps: float
    basis: str
    expression: Numbers
    """(T, E), E may be 0."""
    rotations: Mapping[str, Numbers] = field(default_factory=dict)
    """Joint (a name of `pipeline.motion.motion.ROTATIONS`) → (T, 3) axis-angle; what is missing stays at rest."""
    eyelids: Numbers | None = None
    """(T, 2) left, right, 0..1."""
    translation: Numbers | None = None
    """(T, 3) metres."""
    notes: list[str] = field(default_factory=list)
    """What the reader noticed besides what it assumed."""


def finish(draft: Draft, choices: Choices) -> Motion:
    """The clip, checked. Raises `MotionError` for numbers that cannot be a clip."""
    count = len(draft.expression)
    tensors: dict[str, Any] = still(count) | {name: _floats(value, name) for name, value in draft.rotations.items()}
    for name in ("eyelids", "translation"):
        value = getattr(draft, name)
        if value is not None:
            tensors[name] = _floats(value, name)
    told = [assumption.sentence for assumption in choices.made if assumption.sentence]
    return Motion(
        fps=draft.fps,
        basis=draft.basis,
        expression=_floats(draft.expression, "expression"),
        **tensors,
        source=draft.source,
        notes=(*told, *draft.notes),
        assumptions=choices.made,
    )


def _floats(values: Numbers, name: str) -> torch.Tensor:
    if values.dtype.kind not in "fiub":
        raise MotionError(f"{name} holds {values.dtype} values; numbers are needed")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `Motion` reports
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))
