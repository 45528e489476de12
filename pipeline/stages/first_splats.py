"""The splats that a rigged portrait begins with, before any optimisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.heads.rig import Rig
from pipeline.reconstruction.head_fit import HeadFit
from pipeline.reconstruction.multiview import Surface, Views
from pipeline.stages.binding import Bound, hang
from pipeline.stages.body_splats import Head, body, painted, with_cage
from pipeline.stages.randomness import generator
from pipeline.stages.splat_sampling import sample_beside
from pipeline.stages.super_dense import UNSEEN
from pipeline.stages.view_colors import Occluder, Seen, seen_colors

SKIN_TOLERANCE, SURFACE_TOLERANCE = 1.5e-3, 6e-3
"""Metres behind the rig's own mesh, and behind the portrait's surface, at which a point is still seen: the first tells
lids and lips apart, the second allows for what a fit misses the portrait by."""
SEEN = 0.05
"""Sum of squared cosines from which a splat of hair or clothes is kept: one slanted view is enough."""
TRANSPARENT = (*UNSEEN, "lashes_left", "lashes_right")
"""Regions whose triangles hide nothing."""
LINING = ("inner_mouth",)
ROUND_THE_EYES = ("eyelids", "eye_socket", "eye_left", "eye_right")
"""Regions whose unseen triangles come to light as the face moves. Others that a fit hides in itself, such as nostrils
a millimetre off, must give way to the pictures."""


@dataclass(frozen=True)
class Portrait:
    """The static head in the metres of its rig."""

    views: Views
    surface: Surface
    """With its parts."""


@dataclass(frozen=True)
class FirstSplats:
    """Where an optimisation begins."""

    avatar: SplatAvatar
    vertices: Tensor
    """(V, 3) of its rig in the pose that the portrait holds."""
    held: Tensor
    """(F,) bool: triangles about whose splats the pictures say nothing."""


@torch.no_grad()
def first_splats(head: HeadFit, portrait: Portrait, splats: int, sh_degree: int, seed: int) -> FirstSplats:
    """A body on the fitted rig, and hair, clothes and whatever else stands off it, in the colours of the views.

    About ``splats`` splats in all, with spherical harmonics up to ``sh_degree`` (0 beyond the first).
    """
    rigged = Head(head.rig, head.template_points)
    coat = body(rigged)
    vertices = posed(head.rig, head)
    means = coat.gaussians(vertices).means
    cameras, surface = portrait.views.cameras, portrait.surface
    opaque = head.rig.faces[~head.rig.faces_in(TRANSPARENT)]
    own = Occluder.of(vertices, opaque, cameras, SKIN_TOLERANCE)
    outer = Occluder.of(surface.vertices, surface.faces, cameras, SURFACE_TOLERANCE)
    seen = seen_colors(means, _normals(coat, vertices), portrait.views, (own, outer))
    bound = Bound.of(coat, painted(coat, seen))
    held = head.rig.faces_in(LINING) | (head.rig.faces_in(ROUND_THE_EYES) & _never_seen(head.rig, bound, seen))

    room, draws = splats - len(bound.face), generator(seed, "initialization", "points")
    points = sample_beside(surface, outer.seen_faces, means, room, draws)
    shown = seen_colors(points.position, points.normal, portrait.views, (outer,))
    points, colors = points.select(shown.weight > SEEN), shown.colors[shown.weight > SEEN]
    rig, on_cage = with_cage(rigged, points)
    vertices = posed(rig, head)
    bound = bound.joined(hang(rig, vertices, points, colors, on_cage))
    avatar = bound.avatar(rig, sh_degree)
    return FirstSplats(avatar, vertices, torch.cat([held, held.new_zeros(len(rig.faces) - len(held))]))


def posed(rig: Rig, head: HeadFit) -> Tensor:
    """(V, 3) in the pose that the portrait holds; a cage that was added follows the joints."""
    return rig.pose(head.expression, head.rotations)[0]


def _never_seen(rig: Rig, bound: Bound, seen: Seen) -> Tensor:
    """(F,) bool: triangles that have splats of the body, none of which any picture shows."""
    faces = bound.face.long()[: len(seen.weight)]
    count = torch.zeros(len(rig.faces)).index_add_(0, faces, torch.ones(len(faces)))
    shown = torch.zeros(len(rig.faces)).index_add_(0, faces, (seen.weight > 0).float())
    return (count > 0) & (shown == 0)


def _normals(avatar: SplatAvatar, vertices: Tensor) -> Tensor:
    """(N, 3) of the triangles that the splats lie on, outwards."""
    corners = vertices[avatar.rig.faces[avatar.face.long()]]
    edges = corners[:, 1:] - corners[:, :1]
    return torch.nn.functional.normalize(torch.linalg.cross(edges[:, 0], edges[:, 1]), dim=1)
