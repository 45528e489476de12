"""What the ControlNet of HeadStudio sees of a head: MediaPipe's landmarks, drawn as coloured lines.

Source: HeadStudio (ECCV 2024), `threestudio/utils/mediapipe_utils.py`; the colours are those that its ControlNet
(CrucibleAI/ControlNetMediaPipeFace) was trained with. The background is black as in that training, where HeadStudio's
own maps hold 1/255; and where HeadStudio draws the face also on the back of the head, nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.guidance.conditions import stack_cameras
from pipeline.heads.rig import Rig
from pipeline.rendering.head_mesh import solid_faces
from pipeline.rendering.mesh import rasterize_mesh

Colour = tuple[int, int, int]
Chain = tuple[int, ...]


class Line(NamedTuple):
    """Points of MediaPipe's face mesh in the order in which they are joined."""

    points: Chain
    colour: Colour


LEFT_BROW, RIGHT_BROW = (10, 220, 180), (180, 220, 10)
LEFT_EYE, RIGHT_EYE = (10, 200, 180), (180, 200, 10)
LIPS, OVAL = (10, 180, 10), (10, 200, 10)
LINES = (
    Line((10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
          150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10), OVAL),
    Line((276, 283, 282, 295, 285), LEFT_BROW),
    Line((300, 293, 334, 296, 336), LEFT_BROW),
    Line((46, 53, 52, 65, 55), RIGHT_BROW),
    Line((70, 63, 105, 66, 107), RIGHT_BROW),
    Line((263, 249, 390, 373, 374, 380, 381, 382, 362), LEFT_EYE),
    Line((263, 466, 388, 387, 386, 385, 384, 398, 362), LEFT_EYE),
    Line((33, 7, 163, 144, 145, 153, 154, 155, 133), RIGHT_EYE),
    Line((33, 246, 161, 160, 159, 158, 157, 173, 133), RIGHT_EYE),
    Line((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291), LIPS),
    Line((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291), LIPS),
    Line((78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308), LIPS),
    Line((78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), LIPS),
)  # fmt: skip
"""The oval first; left and right are the subject's."""
PUPILS = {"pupil_left": LEFT_EYE, "pupil_right": RIGHT_EYE}
LEFT_CHEEK, RIGHT_CHEEK, FOREHEAD, CHIN = 454, 234, 10, 152
"""Points of the oval that say where the face looks."""
THICKNESS, PUPIL_RADIUS, SIDE = 2, 1, 512
"""Pixels of a line and of a pupil in a picture of that side; others are in proportion."""
NEAR = 0.01
"""Metres; landmarks are never nearer to a camera that sees a whole eye."""
OVAL_TOLERANCE, SKIN_TOLERANCE, PUPIL_TOLERANCE = 0.04, 0.008, 0.001
"""Metres behind the nearest surface up to which a landmark is seen: the oval goes back to the ears, over the horizon of
the cheeks; lips and lids fold over their own lines; but a closed lid hides the pupil."""
BEHIND = -0.2
"""Cosine between the gaze of the face and the way to the camera below which the camera is behind the face."""


class LandmarkCondition:
    """Brows, eyes, lips, the oval of the face and the pupils of a rig as lines on black."""

    def __init__(self, rig: Rig) -> None:
        """Raises `UserError` where the rig lacks one of the landmarks."""
        names = [f"mediapipe_{number}" for number in dict.fromkeys(n for line in LINES for n in line.points)]
        names += PUPILS
        known = rig.landmarks.names if rig.landmarks is not None else ()
        if missing := [name for name in names if name not in known]:
            raise UserError(f"the rig has no landmark {missing[0]!r}; HeadStudio's guidance needs all {len(names)}")
        assert rig.landmarks is not None
        rows = torch.tensor([known.index(name) for name in names])
        self._row = {name: row for row, name in enumerate(names)}
        self._corners = rig.faces.cpu()[rig.landmarks.faces.cpu()[rows]]
        self._barycentrics = rig.landmarks.barycentrics.cpu()[rows]
        self._faces = rig.faces[solid_faces(rig)]
        self._tolerance = torch.full((len(names),), SKIN_TOLERANCE)
        self._tolerance[[self._row[f"mediapipe_{number}"] for number in LINES[0].points]] = OVAL_TOLERANCE
        self._tolerance[[self._row[name] for name in PUPILS]] = PUPIL_TOLERANCE

    @torch.no_grad()
    def __call__(self, vertices: Tensor, cameras: Sequence[Camera]) -> Tensor:
        """(C, 3, H, W) float32 RGB in 0..1 of posed ``vertices`` (V, 3), on their device.

        Raises ValueError for cameras of several picture sizes, or none.
        """
        viewmats, Ks, width, height = stack_cameras(cameras, vertices.device)
        depths = rasterize_mesh(vertices, self._faces.to(vertices.device), viewmats, Ks, width, height).depth.cpu()
        marks = (vertices.cpu()[self._corners] * self._barycentrics[..., None]).sum(1)
        maps = []
        for camera, depth in zip(cameras, depths, strict=True):
            if self._faces_towards(marks, camera.position.cpu()):
                points, distance = _projected(marks, camera)
                maps.append(self._drawn(points, distance < _depth_at(depth, points) + self._tolerance, width, height))
            else:
                maps.append(Image.new("RGB", (width, height)))
        pictures = torch.from_numpy(np.stack([np.asarray(picture) for picture in maps]))
        return (pictures.to(vertices.device).float() / 255).permute(0, 3, 1, 2).contiguous()

    def _faces_towards(self, marks: Tensor, eye: Tensor) -> bool:
        """Whether a camera at ``eye`` (3,) is in front of the face or beside it."""
        left, right, top, bottom = (self._at(marks, n) for n in (LEFT_CHEEK, RIGHT_CHEEK, FOREHEAD, CHIN))
        forwards = torch.linalg.cross(left - right, top - bottom)
        return bool(torch.cosine_similarity(forwards, eye - (left + right) / 2, dim=0) > BEHIND)

    def _drawn(self, points: Tensor, seen: Tensor, width: int, height: int) -> Image.Image:
        """Lines between points (L, 2), in pixels, of which both ends are ``seen`` (L,)."""
        picture = Image.new("RGB", (width, height))
        draw = ImageDraw.Draw(picture)
        scale = min(width, height) / SIDE
        for start, end, colour in self._segments():
            if seen[start] and seen[end]:
                ends = [tuple(points[row].tolist()) for row in (start, end)]
                draw.line(ends, fill=colour, width=max(1, round(THICKNESS * scale)))
        for name, colour in PUPILS.items():
            row = self._row[name]
            if seen[row]:
                draw.circle(tuple(points[row].tolist()), max(1, round(PUPIL_RADIUS * scale)), fill=colour)
        return picture

    def _segments(self) -> Iterator[tuple[int, int, Colour]]:
        for line in LINES:
            for start, end in pairwise(line.points):
                yield self._row[f"mediapipe_{start}"], self._row[f"mediapipe_{end}"], line.colour

    def _at(self, marks: Tensor, number: int) -> Tensor:
        return marks[self._row[f"mediapipe_{number}"]]


def _projected(points: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Pixels (L, 2), pixel centres at .0 as Pillow has them, and depth (L,) of points (L, 3)."""
    seen = points @ camera.viewmat[:3, :3].T.cpu() + camera.viewmat[:3, 3].cpu()
    flat = seen @ camera.K.T.cpu()
    return flat[:, :2] / seen[:, 2:].clamp_min(NEAR) - 0.5, seen[:, 2]


def _depth_at(depth: Tensor, points: Tensor) -> Tensor:
    """The mesh's depth (H, W) at the pixels nearest to points (L, 2); infinite outside: lines run out of a crop."""
    height, width = depth.shape
    column, row = points.round().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return torch.where(inside, depth[row.clamp(0, height - 1), column.clamp(0, width - 1)], torch.inf)
