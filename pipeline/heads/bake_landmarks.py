"""Where the landmarks lie on the template."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Placed = tuple[str, int, Array]


def place_landmarks(
    template: Array, faces: NDArray[np.int64], face_parts: NDArray[np.int64], parts: tuple[str, ...]
) -> list[Placed]:
    """(name, face, barycentrics) of every landmark."""
    placed = []
    for name, part in (("pupil_left", "helper-l-eye"), ("pupil_right", "helper-r-eye")):
        candidates = np.flatnonzero(face_parts == parts.index(part))
        front = candidates[template[faces[candidates]].mean(1)[:, 2].argmax()]
        placed.append((name, int(front), np.full(3, 1 / 3)))
    return placed
