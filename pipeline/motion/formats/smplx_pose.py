"""What a head takes from an SMPL-X body: neck, head, jaw and eyes, in each of the orders that files have."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Numbers = NDArray[Any]
BASIS = "smplx2020"
BODY_IGNORED = "Body motion ignored; head, jaw, eyes and expression used."
NECK, HEAD = 12, 15
"""Numbers of these joints in SMPL, SMPL+H and SMPL-X, the body's root being 0."""
BODY_JOINTS = 21
"""Joints of ``body_pose``, which leaves the root out."""
JAW, LEFT_EYE, RIGHT_EYE = 22, 23, 24
"""In SMPL-X only."""


def from_full_pose(joints: Numbers) -> dict[str, Numbers]:
    """All joints (T, J, n) in SMPL-X's own order (165 numbers as axis-angle) or SMPL's → those of the head (T, n)."""
    turns = {"neck": joints[:, NECK], "head": joints[:, HEAD]}
    if joints.shape[1] == 55:
        turns |= {"jaw": joints[:, JAW], "left_eye": joints[:, LEFT_EYE], "right_eye": joints[:, RIGHT_EYE]}
    return turns


def from_body_pose(joints: Numbers) -> dict[str, Numbers]:
    """The body's joints without its root (T, 21, n) → neck and head (T, n)."""
    return {"neck": joints[:, NECK - 1], "head": joints[:, HEAD - 1]}
