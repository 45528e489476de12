"""The three kinds of heads, complete, and poses of theirs that all of them know."""

from __future__ import annotations

from functools import cache

from torch import Tensor

from pipeline.camera import Camera, Framing, orbit_camera
from pipeline.heads import AnnyHead, load_head
from pipeline.heads.borrowed_parts import complete_head
from pipeline.heads.rig import Rig

KINDS = ("anny", "flame", "smplx")
OPEN = {"anny": {"jawOpen": 0.8}, "flame": {"jaw": 0.3}, "smplx": {"jaw": 0.3}}
SHUT = {
    "anny": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "flame": {"eyelid_left": 1.0, "eyelid_right": 1.0},
    "smplx": {"eyelid_left": 1.0, "eyelid_right": 1.0},
}


@cache
def rig_of(kind: str) -> Rig:
    """With teeth, lashes and torso; FLAME and SMPL-X need the fixture ``models``."""
    if kind == "anny":
        return AnnyHead().rig
    head = load_head(kind)
    return complete_head(head.rig, head.correspondence).rig


def posed(rig: Rig, **values: float) -> Tensor:
    """Vertices (V, 3) with expressions at these values, or joints turned by so many radians about x."""
    expression, rotations = rig.neutral()
    for name, value in values.items():
        if name in rig.expression_names:
            expression[0, rig.expression_index(name)] = value
        else:
            rotations[0, rig.joint_index(name), 0] = value
    return rig.pose(expression, rotations)[0]


def face_camera(rig: Rig, yaw: float = 0.0, side: int = 256, fov: float = 10.0, at: str = "ibug_30") -> Camera:
    """A camera that looks at a landmark, the tip of the nose, from 1.5 m and as high as that."""
    target = point(rig, rig.vertices, at)
    return orbit_camera(Framing((float(target[0]), float(target[1]), float(target[2])), 1.5, fov), yaw, 0.0, side, side)


def point(rig: Rig, vertices: Tensor, name: str) -> Tensor:
    """A landmark (3,)."""
    assert rig.landmarks is not None
    return rig.landmarks.positions(vertices, rig.faces)[rig.landmarks.names.index(name)]


def pixel(camera: Camera, at: Tensor) -> tuple[int, int]:
    """Row and column of a point (3,)."""
    x, y, z = camera.K @ (camera.viewmat[:3, :3] @ at + camera.viewmat[:3, 3])
    return int(y / z), int(x / z)
