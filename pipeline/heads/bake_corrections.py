"""Corrections of Anny's mouth, and the lid rims with which `anny_corrections` closes the eyes.

Anny's own shapes stay exact in the file; these arrays are added afterwards (`anny_corrections`), so both can be tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

TONGUE_DOWN, TONGUE_BACK = 0.010, 0.010
"""Anny's resting tongue lies at the height of the lips and hides teeth and throat when the mouth opens."""
UPPER_TEETH_DOWN = 0.004
"""Anny's upper teeth end at the line where the lips meet; people show 1–3 mm of them."""
LOWER_TEETH_DOWN, LOWER_TEETH_BACK, LOWER_ARCH, LOWER_HEIGHT = 0.002, 0.003, 0.93, 0.8
"""The lower teeth stand behind the upper ones and are smaller, or they come out of the chin of a child that laughs."""
LINING_PUSH = 0.002
"""At jawOpen the lining of the mouth lies within a splat's thickness of the cheek's skin: this far further inwards."""
LINING_FADE = (0.004, 0.012)
"""Distance from the lips over which the push grows from nothing to its full length."""

LID_UPPER_LEFT = (6850, 6847, 6886, 6844, 6841, 6838, 6785, 6784, 6790, 6793, 6796, 6799, 6802, 6805)
LID_LOWER_LEFT = (6850, 6853, 6856, 6837, 11695, 6834, 6831, 6828, 6825, 6820, 6817, 6814, 11693, 6811, 6808, 6805)
"""Base-mesh ids of the front rim of the left eye's lids, from the inner to the outer corner, corners included."""


def mouth_corrections(template: Array, faces: Ids, jaw_open: Array, regions: dict[str, NDArray[np.bool_]]) -> Array:
    """(3, V, 3) metres on the template: at rest, added to tongueOut, added to jawOpen.

    ``jaw_open`` (V, 3) is the offset of that action at 1.
    """
    rest, tongue_out, jaw = np.zeros((3, *template.shape))
    names = ("tongue", "teeth_upper", "teeth_lower", "inner_mouth", "lips")
    used = {name: np.unique(faces[regions[name]]) for name in names}
    rest[used["tongue"]] = (0.0, -TONGUE_DOWN, -TONGUE_BACK)
    tongue_out[used["tongue"]] = (0.0, TONGUE_DOWN, TONGUE_BACK)
    rest[used["teeth_upper"]] = (0.0, -UPPER_TEETH_DOWN, 0.0)
    lower = template[used["teeth_lower"]]
    edge = lower[:, 1].max()
    rest[used["teeth_lower"], 0] = (LOWER_ARCH - 1) * lower[:, 0]
    rest[used["teeth_lower"], 1] = (LOWER_HEIGHT - 1) * (lower[:, 1] - edge) - LOWER_TEETH_DOWN
    rest[used["teeth_lower"], 2] = -LOWER_TEETH_BACK
    inner = used["inner_mouth"]
    from_lips = np.linalg.norm(template[inner, None] - template[None, used["lips"]], axis=2).min(1)
    grown = np.clip((from_lips - LINING_FADE[0]) / (LINING_FADE[1] - LINING_FADE[0]), 0, 1)
    normals = _vertex_normals(template + jaw_open, faces[regions["inner_mouth"]])
    jaw[inner] = LINING_PUSH * grown[:, None] * normals[inner]
    return np.stack([rest, tongue_out, jaw])


def lid_rims(template: Array, vertex_ids: Ids) -> dict[str, Ids]:
    """``upper_left`` … ``lower_right`` → indices into the crop, from the inner to the outer corner."""
    rims = {}
    for name, ids in (("upper", LID_UPPER_LEFT), ("lower", LID_LOWER_LEFT)):
        left = np.searchsorted(vertex_ids, ids)
        mirrored = template[left] * (-1, 1, 1)
        right = np.linalg.norm(template[None] - mirrored[:, None], axis=2).argmin(1)
        rims[f"{name}_left"], rims[f"{name}_right"] = left, right
    return rims


def _vertex_normals(points: Array, faces: Ids) -> Array:
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normal)
    return total / np.linalg.norm(total, axis=1, keepdims=True).clip(1e-12)
