"""Where the landmarks lie on the template: the 68 points of iBUG, two pupils, and a part of MediaPipe's face mesh.

Points of one half of the face are written down; the other half is their mirror image. ``ibug_0`` … ``ibug_67`` in the
order of the 300-W challenge (from the subject's right to the left). ``mediapipe_<n>`` has the index of MediaPipe's face
mesh; the subset is what can be named on any face: oval, brows, eyes, irises, nose, lips, chin, cheeks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.bake_corrections import LID_LOWER_LEFT, LID_UPPER_LEFT

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Placed = tuple[str, int, Array]
Point = tuple[float, float, float]

OUTER_LIP_TOP = (455, 7214, 7210, 7215, 7169, 11956, 7170, 7171, 7168, 7167)
OUTER_LIP_BOTTOM = (492, 7241, 7235, 7166, 7165, 7164, 10370, 7163, 7162, 10405)
INNER_LIP_TOP = (474, 7229, 7228, 7227, 7226, 11964, 7225, 7179, 7178, 7193)
INNER_LIP_BOTTOM = (493, 7242, 7236, 7230, 7197, 7204, 10375, 7192, 7191, 10400)
"""Base-mesh ids of the lips' border and of the line where the lips meet, from the middle to the left corner."""

JAW: tuple[Point, ...] = (
    (72, 728, 66), (70.5, 711, 73), (68.5, 694, 76), (64.5, 677, 80), (57.4, 661, 86), (48.5, 645, 97),
    (37.5, 632, 108), (21, 621, 122), (0, 618.5, 140),
)  # fmt: skip
"""iBUG 16 down to 8, millimetres on the template (Anny's origin): the edge of the face from the ear to the chin."""
BROW: tuple[Point, ...] = ((11, 741, 149), (20, 746.5, 147), (30, 749, 143), (40, 747, 135), (48, 741, 122))
"""iBUG 22 to 26, from the middle outwards."""
NOSE_BRIDGE: tuple[Point, ...] = ((0, 728, 151), (0, 716, 156), (0, 704, 162.5), (0, 693, 168))
NOSE_BASE: tuple[Point, ...] = ((0, 680, 157.3), (7, 681.5, 155), (14, 684, 150))
"""iBUG 33 to 35."""

OVAL: dict[int, Point] = {
    10: (0, 806, 133), 338: (17, 804, 130), 297: (33, 798, 121), 332: (47, 788, 107), 284: (58, 775, 91),
    251: (67, 762, 75), 389: (72, 747, 66), 356: (72, 733, 67), 454: (71, 716, 71), 323: (69.8, 700, 74),
    361: (67, 685, 77), 288: (61.9, 669, 80), 397: (54.9, 655, 88), 365: (46.6, 642, 100), 379: (39, 634, 107),
    378: (31, 627, 112), 400: (21, 621.5, 122), 377: (10.5, 618.5, 133), 152: (0, 617.5, 139),
}  # fmt: skip
OVAL_MIRROR = {
    338: 109, 297: 67, 332: 103, 284: 54, 251: 21, 389: 162, 356: 127, 454: 234, 323: 93, 361: 132, 288: 58, 397: 172,
    365: 136, 379: 150, 378: 149, 400: 176, 377: 148,
}  # fmt: skip
SINGLE: dict[int, Point] = {
    151: (0, 781, 150), 9: (0, 757, 153.4), 8: (0, 746, 152.4), 168: (0, 735, 150.7), 6: (0, 725, 151.6),
    197: (0, 715, 156.2), 195: (0, 708, 160), 5: (0, 700, 165), 4: (0, 693.5, 168), 1: (0, 689, 167.3),
    2: (0, 680.5, 157.3), 164: (0, 674, 156.6), 18: (0, 646, 150.3), 200: (0, 638, 149.9), 199: (0, 628, 148.6),
    175: (0, 622, 145),
}  # fmt: skip
"""MediaPipe's points on the middle line, from the forehead to the chin."""
PAIRED: dict[tuple[int, int], Point] = {
    (327, 98): (12, 682, 150), (358, 129): (17, 687, 147), (294, 64): (16, 684, 147), (280, 50): (45, 695, 130),
    (425, 205): (34, 681, 137), (352, 123): (60, 700, 105), (432, 212): (36, 654, 128),
    (285, 55): (11, 738.5, 149), (295, 65): (20, 742.5, 147), (282, 52): (30, 745, 143), (283, 53): (40, 743.5, 135),
    (276, 46): (48, 738, 122), (336, 107): (11, 745, 149), (296, 66): (20, 750, 148), (334, 105): (30, 752.5, 144),
    (293, 63): (40, 750.5, 136), (300, 70): (50, 743, 121),
}  # fmt: skip
"""(subject's left, right): sides of the nose, cheeks, mouth corners' folds, lower and upper edge of the brows."""
EYE_UPPER, EYE_LOWER = (362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)
EYE_UPPER_RIGHT, EYE_LOWER_RIGHT = (
    (133, 173, 157, 158, 159, 160, 161, 246, 33),
    (133, 155, 154, 153, 145, 144, 163, 7, 33),
)
"""Lid rims from the inner to the outer corner."""
LIPS: dict[tuple[int, ...], tuple[tuple[int, ...], tuple[int, ...]]] = {
    OUTER_LIP_TOP: ((0, 267, 269, 270, 409, 291), (0, 37, 39, 40, 185, 61)),
    OUTER_LIP_BOTTOM: ((17, 314, 405, 321, 375, 291), (17, 84, 181, 91, 146, 61)),
    INNER_LIP_TOP: ((13, 312, 311, 310, 415, 308), (13, 82, 81, 80, 191, 78)),
    INNER_LIP_BOTTOM: ((14, 317, 402, 318, 324, 308), (14, 87, 178, 88, 95, 78)),
}
"""Border → MediaPipe's points from the middle to the left and to the right corner, evenly along it."""


def place_landmarks(
    template: Array, vertex_ids: Ids, faces: Ids, regions: dict[str, NDArray[np.bool_]]
) -> list[Placed]:
    """(name, face, barycentrics) of every landmark. ``template`` (V, 3) in our axes with Anny's origin, metres."""
    targets = {**_ibug(template, vertex_ids), **_mediapipe(template, vertex_ids)}
    skin = np.flatnonzero(regions["skin"] | regions["inner_mouth"])
    placed = [(name, *_nearest(template, faces, skin, target)) for name, target in targets.items()]
    for side, mediapipe in (("left", 473), ("right", 468)):
        ball = np.flatnonzero(regions[f"eye_{side}"])
        corners = template[np.unique(faces[ball])]
        pupil = np.array([*corners.mean(0)[:2], corners[:, 2].max()])
        face, weights = _nearest(template, faces, ball, pupil)
        placed += [(f"pupil_{side}", face, weights), (f"mediapipe_{mediapipe}", face, weights)]
    return placed


def _ibug(template: Array, vertex_ids: Ids) -> dict[str, Array]:
    left: dict[int, Array] = {16 - row: _metres(point) for row, point in enumerate(JAW)}
    left |= {22 + row: _metres(point) for row, point in enumerate(BROW)}
    left |= {27 + row: _metres(point) for row, point in enumerate(NOSE_BRIDGE)}
    left |= {33 + row: _metres(point) for row, point in enumerate(NOSE_BASE)}
    upper, lower = (_polyline(template, vertex_ids, ids) for ids in (LID_UPPER_LEFT, LID_LOWER_LEFT))
    left |= dict(zip((42, 43, 44, 45), _along(upper, (0.0, 0.34, 0.64, 1.0)), strict=True))
    left |= dict(zip((46, 47), _along(lower, (0.64, 0.36)), strict=True))
    outer_top, outer_bottom, inner_top, inner_bottom = (_polyline(template, vertex_ids, ids) for ids in LIPS)
    left |= dict(zip((51, 52, 53, 54), _along(outer_top, (0.0, 0.28, 0.62, 1.0)), strict=True))
    left |= dict(zip((57, 56, 55), _along(outer_bottom, (0.0, 0.33, 0.68)), strict=True))
    left |= dict(zip((62, 63, 64), _along(inner_top, (0.0, 0.38, 0.95)), strict=True))
    left |= dict(zip((66, 65), _along(inner_bottom, (0.0, 0.38)), strict=True))
    points = {**{_IBUG_MIRROR.get(number, number): _mirror(point) for number, point in left.items()}, **left}
    return {f"ibug_{number}": points[number] for number in sorted(points)}


_IBUG_MIRROR = {
    **{16 - row: row for row in range(8)},
    **{22 + row: 21 - row for row in range(5)},
    34: 32, 35: 31, 42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40,
    52: 50, 53: 49, 54: 48, 55: 59, 56: 58, 63: 61, 64: 60, 65: 67,
}  # fmt: skip


def _mediapipe(template: Array, vertex_ids: Ids) -> dict[str, Array]:
    points: dict[int, Array] = {number: _metres(point) for number, point in {**OVAL, **SINGLE}.items()}
    points |= {right: _mirror(points[left]) for left, right in OVAL_MIRROR.items()}
    for (left, right), written in PAIRED.items():
        points[left], points[right] = _metres(written), _mirror(_metres(written))
    sides = ((EYE_UPPER, EYE_UPPER_RIGHT, LID_UPPER_LEFT), (EYE_LOWER, EYE_LOWER_RIGHT, LID_LOWER_LEFT))
    borders = [*sides, *((left, right, ids) for ids, (left, right) in LIPS.items())]
    for left_numbers, right_numbers, ids in borders:
        spaced = _along(_polyline(template, vertex_ids, ids), np.linspace(0, 1, len(left_numbers)))
        for left, right, point in zip(left_numbers, right_numbers, spaced, strict=True):
            points[right] = _mirror(point)
            points[left] = point
    return {f"mediapipe_{number}": points[number] for number in sorted(points)}


def _metres(point: Point) -> Array:
    return np.array(point) / 1000


def _mirror(point: Array) -> Array:
    return point * (-1, 1, 1)


def _polyline(template: Array, vertex_ids: Ids, ids: tuple[int, ...]) -> Array:
    return template[np.searchsorted(vertex_ids, ids)]


def _along(line: Array, fractions: tuple[float, ...] | Array) -> list[Array]:
    """Points at fractions of the length of a polyline (N, 3)."""
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    at = np.array(fractions) * lengths[-1]
    return list(np.stack([np.interp(at, lengths, line[:, axis]) for axis in range(3)], axis=1))


def _nearest(template: Array, faces: Ids, candidates: Ids, point: Array) -> tuple[int, Array]:
    """Face among the candidates and barycentrics of its point nearest to ``point`` (3,)."""
    corners = template[faces[candidates]]
    near = np.linalg.norm(corners.mean(1) - point, axis=1).argsort()[:40]
    best = (np.inf, 0, np.zeros(3))
    for row in near:
        a, b, c = corners[row]
        coordinates = np.linalg.lstsq(np.stack([b - a, c - a], axis=1), point - a, rcond=None)[0]
        weights = np.clip([1 - coordinates.sum(), *coordinates], 0, None)
        weights /= weights.sum()
        distance = float(np.linalg.norm(weights @ corners[row] - point))
        if distance < best[0]:
            best = (distance, int(candidates[row]), weights)
    return best[1], best[2]
