"""Crops of a view: the boxes round face, mouth and eyes, and for each a camera that draws that box alone.

Source of the boxes: AnimPortrait3D, GSAvatar/helper.py, `get_bboxes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.guidance.shot import Box, Direction, Pose, Region, Shot
from pipeline.heads.rig import Landmarks, Rig
from pipeline.stages.config import Phase

FRAME = 896
"""Pixels of the frame that the sizes are of."""
SIZES: dict[Region, int] = {"face": 512, "mouth": 200, "eye_left": 116, "eye_right": 116}
"""Pixels of each box's side."""
CENTRES: dict[Region, tuple[str, ...]] = {
    "face": ("pupil_left", "pupil_right"),
    "mouth": ("ibug_48", "ibug_54"),
    "eye_left": ("pupil_left",),
    "eye_right": ("pupil_right",),
}
"""Landmarks whose mean is the middle of each box."""
HIDDEN_EYE = 30.0
"""Degrees of yaw beyond the front at which the nose hides the farther eye."""


class FacePoints:
    """The middles of the boxes on a head in motion; poses only the few vertices that they need, on the CPU."""

    def __init__(self, rig: Rig) -> None:
        marks, names = rig.landmarks, sorted({name for needed in CENTRES.values() for name in needed})
        if marks is None or not set(names) <= set(marks.names):
            raise UserError(f"this head lacks the landmarks {', '.join(names)}, which crops are placed by")
        chosen = torch.tensor([marks.names.index(name) for name in names])
        vertices, corners = rig.faces.cpu()[marks.faces.cpu()[chosen]].unique(return_inverse=True)
        self._rig = replace(
            rig,
            vertices=rig.vertices.detach().cpu()[vertices],
            faces=corners.reshape(-1, 3),
            expressions=rig.expressions.cpu()[:, vertices],
            weights=rig.weights.cpu()[vertices],
            pose_dirs=None if rig.pose_dirs is None else rig.pose_dirs.cpu()[:, vertices],
            joints=rig.joints.detach().cpu(),
            joint_dirs=None if rig.joint_dirs is None else rig.joint_dirs.cpu(),
            regions={},
            uv=None,
            landmarks=Landmarks(tuple(names), torch.arange(len(names)), marks.barycentrics.cpu()[chosen]),
        )

    def __call__(self, pose: Pose) -> dict[Region, Tensor]:
        """(3,) in the world, metres."""
        marks = self._rig.landmarks
        assert marks is not None
        posed = self._rig.pose(pose.expression, pose.rotations)[0]
        points = dict(zip(marks.names, marks.positions(posed, self._rig.faces), strict=True))
        return {region: torch.stack([points[name] for name in names]).mean(0) for region, names in CENTRES.items()}


@dataclass(frozen=True)
class Seen:
    """One view before it is cut up."""

    camera: Camera
    """Of the whole square frame."""
    yaw: float
    """Degrees, −180 to 360, 90 the front."""
    direction: Direction


def cut(seen: Seen, points: dict[Region, Tensor], phase: Phase, resolution: int) -> tuple[Shot, ...]:
    """The shots of a view that this phase looks at, each ``resolution`` pixels square.

    ``points`` as `FacePoints` gives them. Crops are taken from the front half only, and an eye only where the nose does
    not hide it. The full frame leaves the face to the crop of the face.
    Raises `UserError` where the phase looks at nothing that is seen from there.
    """
    boxes = {region: crop_box(seen.camera, points[region], region) for region in visible(phase.regions, seen.yaw)}
    shots = [
        Shot(region, crop_camera(seen.camera, box, resolution), seen.direction, phase.conditioned)
        for region, box in boxes.items()
    ]
    if "full" in phase.regions:
        frame = seen.camera.width
        covered = scaled_box(boxes["face"], resolution / frame) if "face" in boxes else None
        whole = crop_camera(seen.camera, (0, 0, frame, frame), resolution)
        shots.append(Shot("full", whole, seen.direction, phase.conditioned_full, covered))
    if not shots:
        raise UserError(
            f"phase {phase.name!r} sees nothing at a yaw of {seen.yaw:.0f}°; add full or face to its regions"
        )
    return tuple(shots)


def visible(regions: Sequence[Region], yaw: float) -> list[Region]:
    """Those of the crops that a camera at ``yaw`` degrees looks at."""
    if not 0 <= yaw <= 180:
        return []
    hidden = {"eye_right": yaw >= 90 + HIDDEN_EYE, "eye_left": yaw <= 90 - HIDDEN_EYE}
    return [region for region in regions if region != "full" and not hidden.get(region, False)]


def crop_box(camera: Camera, point: Tensor, region: Region) -> Box:
    """The box round a point (3,) of the world, in the frame's pixels, moved to lie inside."""
    side = SIZES[region] * camera.width // FRAME
    seen = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    left, top = (min(max(int(float(middle) - side / 2), 0), camera.width - side) for middle in (seen[:2] / seen[2]))
    return left, top, left + side, top + side


def crop_camera(camera: Camera, box: Box, resolution: int) -> Camera:
    """The camera whose square picture of ``resolution`` pixels is this square box of ``camera``'s picture."""
    left, top, right, _ = box
    K = camera.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    K[:2] *= resolution / (right - left)
    return Camera(camera.viewmat, K, resolution, resolution)


def scaled_box(box: Box, scale: float) -> Box:
    """The same box in a picture of another size."""
    left, top, right, bottom = (round(edge * scale) for edge in box)
    return left, top, right, bottom
