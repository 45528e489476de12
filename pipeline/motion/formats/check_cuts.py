"""Clips that are several clips joined: where the cuts are, and which piece is played."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.motion.assumptions import Choices
from pipeline.motion.motion import ROTATIONS

Numbers = NDArray[Any]
JUMP_RADIANS = 0.6
JUMP_EXPRESSION = 5.0
"""Largest change of a coefficient, or turn of a joint, from one frame to the next."""
SHORTEST_PIECE_SECONDS = 0.5
"""Cuts closer than this on average are noise."""
CUTS_TOLD = 6


def chosen_piece(
    tracks: Mapping[str, Numbers], fps: float, starts: tuple[int, ...], choices: Choices, notes: list[str]
) -> dict[str, Numbers]:
    """The frames to play (``clip``: all, or the number of a piece, from 1).

    ``starts`` are the first frames of the pieces where the file is known to join some; otherwise they are looked for.
    """
    known = len(starts) > 1
    frames = len(tracks["expression"])
    starts = starts if known else (0, *jumps(tracks))
    if len(starts) == 1:
        return dict(tracks)
    if not known and len(starts) * SHORTEST_PIECE_SECONDS > frames / fps:
        notes.append(f"The clip jumps {len(starts) - 1} times from one frame to the next; its tracking is noisy.")
        return dict(tracks)
    options = ("all", *(str(number) for number in range(1, len(starts) + 1)))
    cuts = ", ".join(f"{start / fps:.1f} s" for start in starts[1 : 1 + CUTS_TOLD])
    cuts += ", …" if len(starts) - 1 > CUTS_TOLD else ""
    if known:
        told = f"The file joins {len(starts)} clips (cuts at {cuts}); the first of them is played."
    else:
        told = f"This looks like several clips joined (cuts at {cuts}); all are played one after the other."
    wanted = choices.option("clip", "1" if known else "all", options, told)
    if wanted == "all":
        return dict(tracks)
    number = int(wanted) - 1
    piece = slice(starts[number], [*starts[1:], frames][number])
    return {name: values[piece] for name, values in tracks.items()}


def jumps(tracks: Mapping[str, Numbers]) -> list[int]:
    """Frames that differ from the one before by more than a face can."""
    frames = len(tracks["expression"])
    jump = np.zeros(max(frames - 1, 0), bool)
    for name, values in tracks.items():
        change = np.diff(values, axis=0)
        if name == "expression" and values.shape[1]:
            jump |= np.abs(change).max(1) > JUMP_EXPRESSION
        elif name in ROTATIONS:
            jump |= np.linalg.norm(change, axis=1) > JUMP_RADIANS
    return [int(frame) + 1 for frame in np.flatnonzero(jump)]
