"""Known heads in AnimPortrait3D's world, and what cameras there see of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.rig import Rig
from pipeline.reconstruction.head_fit import HeadFit
from pipeline.reconstruction.multiview import Observed, Similarity, Surface
from pipeline.reconstruction.triangulation import project, projections
from pipeline.stages.cameras import Orbit

ORBIT = Orbit(torch.zeros(3), torch.tensor([0.0, 0.228, 0.0]), 2.65, 30.0, 2.985)
PIXEL_NOISE = 1.5
EYES = torch.tensor([0.01, 0.394, 0.31], dtype=torch.float64)
"""The middle between the pupils of every `portrait`."""
FACING = 0.1
"""Cosine to the view from which a landmark is seen."""


@dataclass(frozen=True)
class Portrait:
    """A posed head at a place."""

    rig: Rig
    expression: Tensor
    rotations: Tensor
    place: Similarity

    @property
    def vertices(self) -> Tensor:
        """(V, 3) in the world."""
        return self.place.to_source(self.rig.pose(self.expression, self.rotations)[0])

    def observed(self, cameras: list[Camera]) -> Observed:
        """Its landmarks with noise; those on triangles that look away are not seen."""
        marks, vertices = self.rig.landmarks, self.vertices
        assert marks is not None
        points = marks.positions(vertices, self.rig.faces)
        pixels, _ = project(projections(cameras), points.double())
        first, second, third = vertices[self.rig.faces[marks.faces]].unbind(1)
        normals = torch.nn.functional.normalize(torch.linalg.cross(second - first, third - first), dim=1)
        centres = torch.stack([camera.position for camera in cameras])
        towards = torch.nn.functional.normalize(centres[:, None] - points, dim=-1)
        noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(3))
        seen = ((towards * normals).sum(-1) > FACING).float()
        return Observed(marks.names, (pixels + PIXEL_NOISE * noise).float(), seen)

    def surface(self) -> Surface:
        """Its skin and eyeballs, bald."""
        regions = self.rig.regions
        shown = (regions["skin"] | regions["eye_left"] | regions["eye_right"]) & ~regions["inner_mouth"]
        return Surface(self.vertices, self.rig.faces[shown])

    def start(self) -> Similarity:
        """Where it is, 15 degrees about the eyes, more than 3 cm and 3 % of its size off."""
        turn = axis_angle_to_matrix(torch.tensor([0.1, 0.24, 0.0])).double()
        push = torch.tensor([0.05, 0.06, -0.05], dtype=torch.float64)
        moved = turn @ (self.place.translation.double() - EYES) + EYES + push
        return Similarity(0.97 * self.place.scale, turn @ self.place.rotation.double(), moved)

    def error(self, fit: HeadFit, region: str = "face") -> Tensor:
        """(N,) metres between the vertices of a region and those of a fit."""
        rows = self.rig.faces[self.rig.regions[region]].unique()
        return (fit.vertices()[rows] - self.vertices[rows]).norm(dim=1) / self.place.scale


def portrait(rig: Rig, turn: tuple[float, float, float] = (0.0946, -0.0293, 0.0161), **actions: float) -> Portrait:
    """About where AnimPortrait3D's fits begin."""
    expression, rotations = rig.neutral()
    for name, value in actions.items():
        expression[0, rig.expression_index(name)] = value
    marks = rig.landmarks
    assert marks is not None
    rows = [marks.names.index(name) for name in ("pupil_left", "pupil_right")]
    pupils = marks.positions(rig.vertices, rig.faces)[rows]
    rotation = axis_angle_to_matrix(torch.tensor(turn))
    place = EYES.float() - 2.7783 * rotation @ pupils.mean(0)
    return Portrait(rig, expression, rotations, Similarity(2.7783, rotation, place))


def cameras_of_the_fit() -> list[Camera]:
    """The nine views that the paper fits to: three yaws, three heights."""
    return [ORBIT.camera(yaw, polar, 512) for yaw in (45, 90, 135) for polar in (75, 90, 105)]
