"""Splats in space hung on the triangles of a posed rig: hair on the skull, clothes on the trunk, glasses on the skull.

The frame of a triangle is that of `triangle_frames`, taken in the pose in which the portrait was found, so that every
other pose carries the splats along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import pad

from pipeline.avatar import SH_C0, Layer, SplatAvatar
from pipeline.geometry import triangle_frames
from pipeline.heads.rig import Rig
from pipeline.heads.skeleton import skull_joint, trunk_share
from pipeline.priors.procedural.splats import frame_from_normal, quaternions
from pipeline.reconstruction.multiview import Part
from pipeline.stages.splat_sampling import Points
from pipeline.stages.super_dense import CAGE, UNSEEN

WIDTH, THICKNESS = 0.75, 0.12
"""Standard deviations of a disc along and across the surface, in distances to its neighbours."""
OPACITY = 0.95
SKULL_SHARE = 0.95
"""Skin weight on the skull from which a triangle is carried by it alone."""
STILL = 5e-4
"""Metres by which no expression moves such a triangle."""
TRUNK_SHARE = 0.5
"""Skin weight on the trunk from which clothes hang on a triangle."""
FACIAL = ("lips", "eyelids", "eye_socket", "eye_left", "eye_right", "teeth", "tongue", "inner_mouth",
          "lashes_left", "lashes_right")  # fmt: skip
"""Regions that nothing worn hangs on."""
NOSE_TIP = "ibug_33"
LAYERS = {Part.FACE: Layer.ACCESSORY, Part.SKIN: Layer.SKIN, Part.HAIR: Layer.HAIR, Part.CLOTH: Layer.CLOTH}


@dataclass(frozen=True)
class Bound:
    """Splats as `SplatAvatar.from_parts` takes them, of one colour each."""

    face: Tensor
    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    sh: Tensor
    layer: Tensor

    @classmethod
    def of(cls, avatar: SplatAvatar, colors: Tensor) -> Bound:
        """The splats of an avatar in other colours (N, 3) display sRGB."""
        values = {
            name: getattr(avatar, name).detach() for name in (field.name for field in fields(cls)) if name != "sh"
        }
        return cls(**values, sh=((colors - 0.5) / SH_C0)[:, None])

    def avatar(self, rig: Rig, sh_degree: int) -> SplatAvatar:
        """The splats on their rig, ready for view-dependent colour up to ``sh_degree``."""
        sh = pad(self.sh, (0, 0, 0, (sh_degree + 1) ** 2 - 1))
        return SplatAvatar.from_parts(rig, **vars(self) | {"sh": sh}, sh_frame="world" if sh_degree else "rest")

    def joined(self, other: Bound) -> Bound:
        """These splats, then the others."""
        return Bound(**{name: torch.cat([value, getattr(other, name).to(value)]) for name, value in vars(self).items()})


def hang(rig: Rig, vertices: Tensor, points: Points, colors: Tensor, on_cage: Tensor) -> Bound:
    """Discs at ``points`` hung on the nearest triangle of the right region of the rig posed as ``vertices`` (V, 3).

    ``colors`` (N, 3) display sRGB, ``on_cage`` (N,) bool: hair that hangs on the rig's cage.
    """
    face = _nearest_faces(rig, vertices, points, on_cage)
    turn = torch.from_numpy(quaternions(frame_from_normal(points.normal.numpy())))
    sizes = points.spacing * torch.tensor([WIDTH, WIDTH, THICKNESS])
    means, quats, log_scales = triangle_frames(vertices, rig.faces).local(face, points.position, turn, sizes)
    layers = torch.zeros(len(Part), dtype=torch.uint8)
    for part, layer in LAYERS.items():
        layers[part] = layer
    return Bound(
        face=face.to(torch.int32),
        means=means,
        quats=quats,
        log_scales=log_scales,
        opacity_logits=torch.full((len(face),), math.log(OPACITY / (1 - OPACITY))),
        sh=((colors - 0.5) / SH_C0)[:, None],
        layer=layers[points.part.long()],
    )


def _nearest_faces(rig: Rig, vertices: Tensor, points: Points, on_cage: Tensor) -> Tensor:
    """(N,) long."""
    worn = _above_mouth(rig, vertices, points) & (points.part == Part.FACE)
    skin = ~rig.faces_in((*UNSEEN, *FACIAL))
    skull, trunk = skin & _on_skull(rig), skin & _on_trunk(rig)
    face = torch.zeros(len(points.position), dtype=torch.long)
    for rows, candidates in (
        ((points.part == Part.HAIR) & ~on_cage, skull),
        ((points.part == Part.HAIR) & on_cage, rig.faces_in((CAGE,))),
        (points.part == Part.CLOTH, trunk),
        (worn, skull),
        ((points.part == Part.SKIN) | ((points.part == Part.FACE) & ~worn), skin),
    ):
        if rows.any():
            face[rows] = _nearest(vertices, rig.faces, candidates if candidates.any() else skin, points.position[rows])
    return face


def _above_mouth(rig: Rig, vertices: Tensor, points: Points) -> Tensor:
    """(N,) bool: higher than the tip of the nose, where nothing follows the jaw; all of a rig without that landmark."""
    marks = rig.landmarks
    if marks is None or NOSE_TIP not in marks.names:
        return torch.ones(len(points.position), dtype=torch.bool)
    tip = marks.positions(vertices, rig.faces)[marks.names.index(NOSE_TIP)]
    return points.position[:, 1] > tip[1]


def _on_skull(rig: Rig) -> Tensor:
    """(F,) bool: triangles that the skull alone carries."""
    carried = rig.weights[:, skull_joint(rig)] > SKULL_SHARE
    still = rig.expressions.norm(dim=2).amax(0) < STILL
    return (carried & still)[rig.faces].all(1)


def _on_trunk(rig: Rig) -> Tensor:
    return (trunk_share(rig) > TRUNK_SHARE)[rig.faces].all(1)


def _nearest(vertices: Tensor, faces: Tensor, candidates: Tensor, points: Tensor) -> Tensor:
    """(N,) the triangle, of the candidates (F,) bool, whose centroid is nearest."""
    chosen = torch.nonzero(candidates).squeeze(1)
    centroids = vertices[faces[chosen]].mean(1).numpy()
    return chosen[torch.from_numpy(np.asarray(cKDTree(centroids).query(points.numpy(), workers=-1)[1]))]
