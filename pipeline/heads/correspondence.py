"""Where every vertex of a foreign head model lies on the free head: from geometry alone, in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.anny import fit_sphere
from pipeline.heads.anny_file import HeadFile
from pipeline.heads.anny_space import anny_space
from pipeline.heads.registration import Target, body_faces, lip_side, lower_share, register
from pipeline.heads.surface_match import Match, Surface3D, connected_pieces, match, vertex_normals

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

EYE_SHARE = 0.9
"""Skin weight of an eye joint from which a vertex is part of the eyeball."""
REACH = 0.55
"""Metres from the eyes beyond which a body is no part of what is laid over the free head."""
TRUST_DISTANCE = 0.003
TRUST_COSINE = 0.75
"""A partner further away or more turned than that is not trusted."""
NEIGHBOURS = 8
"""Vertices of the model from whose ways the way of a vertex of the laid free head is averaged."""
SIDES = ("left", "right")


@dataclass(frozen=True)
class Correspondence:
    """The vertices of a head model on the free head (`AnnyHead`)."""

    template_points: Tensor
    """(V, 3) where every vertex lies in the free head's template coordinates (`AnnyHead.template_points`), metres."""
    vertices: Tensor
    """(M,) long: the vertices of skin that have a partner to be trusted."""
    faces: Tensor
    """(M,) long: the face of the free head's mesh (the same for every identity) that the partner lies on."""
    barycentrics: Tensor
    """(M, 3) its place there, rows sum to 1."""
    laid: Tensor
    """(A, 3) the vertices of the free head, laid over this model, in this model's coordinates."""
    registered: Tensor
    """(V, 3) the model's vertices that `laid` lies on."""

    def laid_on(self, vertices: Tensor) -> Tensor:
        """The free head (A, 3) on another person of the same model: ``vertices`` (V, 3), wherever their origin is."""
        distance, near = cKDTree(self.registered.numpy()).query(self.laid.numpy(), NEIGHBOURS)
        share = torch.from_numpy(1 / (distance + 1e-3) ** 2).float()
        moved = (vertices - self.registered)[torch.from_numpy(near)]
        return self.laid + (moved * (share / share.sum(1, keepdim=True))[..., None]).sum(1)


def correspond(
    vertices: ArrayLike,
    faces: ArrayLike,
    weights: ArrayLike,
    joint_names: Sequence[str],
    landmarks: Mapping[str, ArrayLike] | None = None,
) -> Correspondence:
    """Register a head model with the free head.

    ``vertices`` (V, 3) of the neutral template, y up, face towards +Z, any size within reason; ``faces`` (F, 3);
    ``weights`` (V, J) skin weights of ``joint_names``, among them ``left_eye``, ``right_eye`` and ``jaw``;
    ``landmarks`` ``ibug_<n>`` or ``mediapipe_<n>`` → (3,) where the model file brings them.
    Deterministic. Raises `UserError` when there are no eyeballs to start from.
    """
    mesh = _Mesh(np.asarray(vertices, np.float64), np.asarray(faces, np.int64))
    skinning = np.asarray(weights, np.float64)
    balls = tuple(_eyeball(skinning, joint_names, side) for side in SIDES)
    jaw = skinning[:, list(joint_names).index("jaw")]
    spheres = [fit_sphere(mesh.vertices[ball].astype(np.float32)) for ball in balls]
    surface = Surface3D(mesh.vertices, mesh.faces, lip_side(jaw), _skin_faces(mesh, balls))
    target = Target(
        surface,
        (spheres[0][0], spheres[1][0]),
        (spheres[0][1], spheres[1][1]),
        {name: np.asarray(point, np.float64) for name, point in (landmarks or {}).items()},
    )
    space = anny_space()
    laid = register(space, target)
    return _read_off(space.head, laid, target, balls)


@dataclass(frozen=True)
class _Mesh:
    vertices: Array
    faces: Ids


def _eyeball(weights: Array, joint_names: Sequence[str], side: str) -> Ids:
    name = f"{side}_eye"
    if name not in joint_names:
        raise UserError(f"this head model has no joint {name}; it has {', '.join(joint_names)}")
    ball = np.flatnonzero(weights[:, list(joint_names).index(name)] > EYE_SHARE)
    if len(ball) < 8:
        raise UserError(f"this head model has no eyeball that turns with {name}, so its face cannot be found")
    return ball


def _skin_faces(mesh: _Mesh, balls: tuple[Ids, ...]) -> Ids:
    """The largest connected piece that is no eyeball, within reach of the eyes."""
    apart = np.zeros(len(mesh.vertices), bool)
    apart[np.concatenate(balls)] = True
    middle = mesh.vertices[apart].mean(0)
    candidates = np.flatnonzero(~apart[mesh.faces].any(1))
    near = np.linalg.norm(mesh.vertices[mesh.faces[candidates]].mean(1) - middle, axis=1) < REACH
    candidates = candidates[near]
    piece = connected_pieces(mesh.faces[candidates], len(mesh.vertices))[mesh.faces[candidates, 0]]
    return candidates[piece == np.bincount(piece).argmax()]


def _read_off(head: HeadFile, laid: Array, target: Target, balls: tuple[Ids, ...]) -> Correspondence:
    """The way back: for every vertex of the model its place on the laid free head."""
    model = target.surface
    skin = np.unique(model.faces[model.used])
    body = np.flatnonzero(body_faces(head))
    free = Surface3D(laid, head.faces, lower_share(head), body)
    normals = vertex_normals(model.vertices, model.faces[model.used])[skin]
    found = match(model.vertices[skin], normals, model.lower[skin], free)
    trusted = _trusted(head, free, found, model, skin, normals)
    template = np.full_like(model.vertices, np.nan)
    places = (head.template[head.faces[found.faces]] * found.barycentrics[..., None]).sum(1)
    template[skin[trusted]] = places[trusted]
    for side, ball, middle, radius in zip(SIDES, balls, target.eyes, target.radii, strict=True):
        own, own_radius = fit_sphere(head.template[np.unique(head.faces[head.regions[f"eye_{side}"]])])
        template[ball] = own + (model.vertices[ball] - middle) * own_radius / radius
    template = _fill(model, template, laid, head.template.astype(np.float64))
    return Correspondence(
        torch.from_numpy(template.astype(np.float32)),
        torch.from_numpy(skin[trusted]),
        torch.from_numpy(found.faces[trusted]),
        torch.from_numpy(found.barycentrics[trusted].astype(np.float32)),
        torch.from_numpy(laid.astype(np.float32)),
        torch.from_numpy(model.vertices.astype(np.float32)),
    )


def _trusted(head: HeadFile, free: Surface3D, found: Match, model: Surface3D, skin: Ids, normals: Array) -> Mask:
    near = np.linalg.norm(found.points - model.vertices[skin], axis=1) < TRUST_DISTANCE
    facing = (found.normals * normals).sum(1) > TRUST_COSINE
    outside = head.regions["skin"][found.faces]
    return near & facing & outside & ~free.at_end(found)


def _fill(model: Surface3D, template: Array, laid: Array, own_template: Array) -> Array:
    """Vertices without a partner move as smoothly as their neighbours in the mesh; loose parts as what lies by."""
    shift = template - model.vertices
    known = ~np.isnan(shift[:, 0])
    near = cKDTree(laid).query(model.vertices, 4)[1]
    guess = (own_template - laid)[near].mean(1)
    edges = np.unique(np.sort(model.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    size = len(shift)
    half = coo_matrix((np.ones(len(edges)), edges.T), shape=(size, size))
    adjacency = half + half.T
    hold = np.where(known, 1e6, 1e-3)
    system = csc_matrix(diags(np.asarray(adjacency.sum(1)).ravel() + hold) - adjacency)
    filled = splu(system).solve(hold[:, None] * np.where(known[:, None], np.nan_to_num(shift), guess))
    return model.vertices + filled
