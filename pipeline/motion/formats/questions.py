"""What readers ask in the same words: frame rate, model release, transposed arrays."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pipeline.heads.releases import RELEASES
from pipeline.motion.assumptions import Choices
from pipeline.motion.motion import FLAME_BASES


def ask_fps(choices: Choices, usual: float, stored: float | None = None) -> float:
    """Frames per second: ``stored`` in the file, or else the ``usual`` rate of its tool."""
    if stored is not None:
        return choices.number("fps", stored) if stored > 0 or choices.is_set("fps") else stored
    return choices.number("fps", usual, f"The file names no frame rate; {usual:g} frames per second were assumed.")


def ask_basis(choices: Choices, usual: str, stored: str = "") -> str:
    """What the expression coefficients belong to: ``stored`` in the file, or else the ``usual`` release of its tool."""
    if stored in FLAME_BASES:
        return choices.option("basis", stored, FLAME_BASES)
    told = f"The file does not say which model its expression belongs to; it was taken as {RELEASES[usual].title}."
    return choices.option("basis", usual, FLAME_BASES, told)


def ask_upright(values: NDArray[Any], name: str, choices: Choices) -> NDArray[Any]:
    """``values`` (W, T), which look transposed, as (T, W) unless a person says that they are not."""
    rows, columns = values.shape
    told = f"{name} is {rows} x {columns}; it looks transposed and was read as {columns} frames x {rows}."
    return values.T if choices.option("transpose", "yes", ("yes", "no"), told) == "yes" else values
