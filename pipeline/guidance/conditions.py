"""What the ControlNet of AnimPortrait3D sees of a head: normals of the face, and where eyes and teeth are.

Source: AnimPortrait3D, `helper.py` and `GS/mesh_renderer`; its own face lists stand behind the rigs' regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.guidance.normal_map import colour_normals
from pipeline.heads.rig import Rig
from pipeline.rendering.head_mesh import solid_faces
from pipeline.rendering.mesh import interpolate, rasterize_mesh, vertex_normals

Condition = Callable[[Tensor, Sequence[Camera]], Tensor]
"""Posed vertices (V, 3) and cameras of one picture size → (C, channels, H, W) in 0..1."""

FACE = ("face", "lips", "eyelids")
EYES, IRISES, TEETH = ("eye_left", "eye_right"), ("iris_left", "iris_right"), ("teeth",)
SCLERA_VALUE, IRIS_VALUE, TEETH_VALUE = 1.0, 85 / 255, 125 / 255
IRIS_EDGE = 0.18
"""Radians over which the iris goes over to the sclera: between two of the 17 rings of FLAME's eyeball. Where the rings
of a rig lie further apart, the change is as narrow as that, or the iris would be millimetres too large."""
EAR_FRONT = 0.75
"""Share of the ears' triangles that lie behind the end of the face."""
SMOOTHINGS = 2
"""Rounds in which a vertex at the border of the face takes the mean of its neighbours."""


@dataclass(frozen=True)
class _Tables:
    """What does not depend on the pose, on one device."""

    solid: Tensor
    """(G, 3) corners of the faces that are drawn."""
    corners: Tensor
    """(G, 3) where each of them finds its attributes: rows of a table of V normals, V segment values and one zero."""
    skin_drawn: Tensor
    """(G,) bool, which of them are skin."""
    skin: Tensor
    """(S, 3) corners of the skin, counter-clockwise from outside."""
    face_share: Tensor
    """(V,) 1 on the face, 0 off it."""
    segments: Tensor
    """(V,)"""


class HeadCondition:
    """Channels nx, ny, nz, segments of a rig's mesh.

    Normals are smooth, in camera space with OpenGL's axes (x right, y up, z towards the camera) as n/2 + 1/2, on the
    face alone: white (1) where something else is seen. Segments: eyeball 1, iris 1/3, teeth 0.49, all else 0.

    The whole head hides what lies behind it, in both parts. The published code draws the normals of the face without
    the rest of the head, so that ears, seen from the side, and the back of the head are transparent; here they are not.
    """

    def __init__(self, rig: Rig) -> None:
        """Raises `UserError` where the rig does not say which part of it is the face."""
        if "face" not in rig.regions:
            raise UserError(f"the rig has no region 'face', only {', '.join(rig.regions) or 'none'}")
        self._tables = {rig.vertices.device: _tables(rig)}

    @torch.no_grad()
    def __call__(self, vertices: Tensor, cameras: Sequence[Camera]) -> Tensor:
        """(C, 4, H, W) float32 in 0..1, channels last in memory, of posed ``vertices`` (V, 3).

        Raises ValueError for cameras of several picture sizes, or none.
        """
        tables = self._on(vertices.device)
        viewmats, Ks, width, height = stack_cameras(cameras, vertices.device)
        fragments = rasterize_mesh(vertices, tables.solid, viewmats, Ks, width, height)
        attributes = _attributes(vertices, tables, viewmats)
        shown = _facing(vertices, tables, viewmats)
        corners = torch.where(shown[..., None], tables.corners, attributes.shape[1] - 1)
        return colour_normals(interpolate(fragments, corners, attributes, 0.0)).permute(0, 3, 1, 2)

    def _on(self, device: torch.device) -> _Tables:
        if device not in self._tables:
            first = next(iter(self._tables.values()))
            self._tables[device] = _Tables(*(part.to(device) for part in vars(first).values()))
        return self._tables[device]


def stack_cameras(cameras: Sequence[Camera], device: torch.device) -> tuple[Tensor, Tensor, int, int]:
    """viewmats (C, 4, 4), Ks (C, 3, 3), width and height of cameras of one picture size; else ValueError."""
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) != 1:
        raise ValueError(f"the cameras' pictures have the sizes {sorted(sizes)}; one size is needed.")
    ((width, height),) = sizes
    viewmats = torch.stack([camera.viewmat for camera in cameras])
    return viewmats.to(device), torch.stack([camera.K for camera in cameras]).to(device), width, height


def outward_faces(rig: Rig) -> Tensor:
    """(F, 3) corners counter-clockwise from outside: the heads of AnimPortrait3D's own files are wound from inside."""
    triangles = rig.vertices[rig.faces[rig.regions["face"]]]
    normals = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return rig.faces if normals[:, 2].sum() > 0 else rig.faces.flip(-1)


def _tables(rig: Rig) -> _Tables:
    faces, count = outward_faces(rig), len(rig.vertices)
    solid = solid_faces(rig)
    skin, parts = rig.faces_in(("skin", *FACE)) & solid, rig.faces_in((*EYES, *TEETH)) & solid
    nothing = torch.full_like(faces, 2 * count)
    corners = torch.where(skin[:, None], faces, torch.where(parts[:, None], faces + count, nothing))
    share = _face_share(rig, faces[skin], _face(rig)[skin])
    return _Tables(faces[solid], corners[solid], skin[solid], faces[skin], share, _segments(rig, faces))


def _face(rig: Rig) -> Tensor:
    """(F,) bool: as FLAME's mask of the face, it ends where the ears begin, not below or behind them."""
    face = rig.faces_in(FACE)
    if "ears" not in rig.regions:
        return face
    depth = rig.vertices[rig.faces].mean(1)[:, 2]
    return face & (depth > depth[rig.regions["ears"]].quantile(EAR_FRONT))


def _face_share(rig: Rig, skin: Tensor, face: Tensor) -> Tensor:
    """(V,) how much of the skin (S, 3) round a vertex belongs to the face (S,) bool, smoothed: the normals end in a
    line across triangles instead of at their jagged edges."""

    def spread(values: Tensor) -> Tensor:
        """Of the faces (S,) to their corners."""
        summed = rig.vertices.new_zeros(len(rig.vertices)).index_add_(0, skin.flatten(), values.repeat_interleave(3))
        return summed / counts

    counts = torch.bincount(skin.flatten(), minlength=len(rig.vertices)).clamp_min(1)
    share = spread(face.float())
    for _ in range(SMOOTHINGS):
        share = spread(share[skin].mean(1))
    return share


def _segments(rig: Rig, faces: Tensor) -> Tensor:
    """(V,) what is interpolated and then cut at 1, so that an eyeball of coarse rings has a sharp iris all the same."""
    values = rig.vertices.new_zeros(len(rig.vertices))
    values[faces[rig.faces_in(TEETH)]] = TEETH_VALUE
    for eye, iris in zip(EYES, IRISES, strict=True):
        if eye in rig.regions and iris in rig.regions:
            ball, middle = faces[rig.regions[eye]], faces[rig.regions[iris]]
            sharpness = max(1.0, _ring_width(rig.vertices, ball, middle) / IRIS_EDGE)
            values[ball] = IRIS_VALUE + (SCLERA_VALUE - IRIS_VALUE) * sharpness
            values[middle] = IRIS_VALUE
    return values


def _ring_width(vertices: Tensor, ball: Tensor, iris: Tensor) -> float:
    """Radians, seen from the middle of an eyeball (B, 3), between the border of its iris (I, 3) and the next ring."""
    inside = ball.new_zeros(len(vertices), dtype=torch.bool)
    inside[iris] = True
    rays = torch.nn.functional.normalize(vertices - vertices[ball.unique()].mean(0), dim=-1)
    edges = torch.cat([ball[:, [0, 1]], ball[:, [1, 2]], ball[:, [2, 0]]])
    across = edges[inside[edges[:, 0]] != inside[edges[:, 1]]]
    if not len(across):
        return 0.0
    angles = (rays[across[:, 0]] * rays[across[:, 1]]).sum(-1).clamp(-1, 1).acos()
    return float(angles.quantile(0.25))


def _attributes(vertices: Tensor, tables: _Tables, viewmats: Tensor) -> Tensor:
    """(C, 2V + 1, 4): V normals in camera space as long as the share of the face, V segment values, and nothing."""
    to_gl = viewmats.new_tensor([1.0, -1.0, -1.0])
    normals = vertex_normals(vertices, tables.skin) * tables.face_share[:, None]
    count = len(vertices)
    attributes = vertices.new_zeros(len(viewmats), 2 * count + 1, 4)
    attributes[:, :count, :3] = normals @ (viewmats[:, :3, :3] * to_gl[:, None]).mT
    attributes[:, count : 2 * count, 3] = tables.segments
    return attributes


def _facing(vertices: Tensor, tables: _Tables, viewmats: Tensor) -> Tensor:
    """(C, G) bool, all but the skin that is seen from inside the head."""
    corners = vertices[tables.solid]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    eyes = -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:]).squeeze(-1)
    towards = eyes @ normals.T - (corners[:, 0] * normals).sum(-1)
    return (towards > 0) | ~tables.skin_drawn
