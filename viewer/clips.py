"""Motion clips as the browser plays them: named channels in 16 bits (viewer/FORMAT.md, "Clips")."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.heads.rig import Rig
from pipeline.motion.retarget import Retargeted

MAGIC, VERSION = b"AP3C", 1
LARGEST_SHORT = 32767


def clip_payload(retargeted: Retargeted, rig: Rig, fps: float) -> bytes:
    """A retargeted clip for the viewer; channels that never move are left out.

    ``retargeted`` expression (T, E) and rotations (T, J, 3) of ``rig``, ``fps`` frames per second. The step is a
    32767th of the largest value: 0.00003 of an action, 0.005° of a large turn. Raises `UserError` for an empty clip.
    """
    if not len(retargeted.expression):
        raise UserError("the clip has no frames")
    if not 0 < fps <= 1000:
        raise UserError(f"{fps:g} frames per second cannot be played; 1 to 1000 would be right")
    moving = retargeted.expression.abs().amax(0) > 0
    turning = retargeted.rotations.abs().amax((0, 2)) > 0
    expression, expression_scale = _shorts(retargeted.expression[:, moving])
    rotations, rotation_scale = _shorts(retargeted.rotations[:, turning])
    header = {
        "fps": fps,
        "frames": len(expression),
        "expressions": [name for name, kept in zip(rig.expression_names, moving, strict=True) if kept],
        "joints": [name for name, kept in zip(rig.joint_names, turning, strict=True) if kept],
        "expressionScale": expression_scale,
        "rotationScale": rotation_scale,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([MAGIC, struct.pack("<II", VERSION, len(text)), text, expression.tobytes(), rotations.tobytes()])


def write_clip(retargeted: Retargeted, rig: Rig, fps: float, path: str | Path) -> None:
    """`clip_payload` as a file, whole or not at all."""
    payload = clip_payload(retargeted, rig, fps)
    with whole_file(Path(path)) as partial:
        partial.write_bytes(payload)


def _shorts(values: torch.Tensor) -> tuple[NDArray[np.int16], float]:
    """Signed 16 bits and the value of one step."""
    array = values.detach().numpy()
    scale = float(np.abs(array).max(initial=0)) / LARGEST_SHORT or 1.0
    return np.round(array / scale).astype("<i2"), scale
