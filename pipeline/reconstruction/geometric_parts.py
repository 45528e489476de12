"""What each triangle of a portrait shows, told from the head that was fitted to it, where there is no parser."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from torch import Tensor
from trimesh.triangles import closest_point

from pipeline.errors import UserError
from pipeline.heads.rig import Rig
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.rendering.mesh import vertex_normals

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FACIAL = ("face", "lips", "eyelids", "eye_left", "eye_right", "eye_socket")
COVERED = ("teeth", "tongue", "inner_mouth", "hair_cage", "limbs", "lashes_left", "lashes_right")
"""Regions that are not the outside of a head."""
BODY = ("neck", "torso")
BARE_SKULL, BARE_BODY = 0.004, 0.006
"""Metres outside the fitted skin up to which a surface of the skin's colour is skin: what a fit and a mesh err by."""
FRINGE, BEARD = 0.007, 0.03
"""Metres outside the fitted face up to which something above the brows, or below them, is still part of the face."""
SURE_HAIR = 0.008
"""Metres outside the upper skull from which something is surely hair or a hat."""
LIKE_SKIN = 0.035
"""Distance in shares of red, green and blue at which a colour is no longer that of the face's skin."""
SURELY = 0.7
"""How much nearer to the hair's colour than to the clothes' something on the body must be to be hair."""
IN_SHADE = 0.5
"""Part of the face's brightness that skin has in the shade."""
ROUNDS = 4
"""Of the vote among neighbours that takes away specks."""
CANDIDATES = 6


def geometric_parts(surface: Surface, rig: Rig, vertices: Tensor, scale: float) -> Surface:
    """The surface with parts by where its triangles lie on or outside a fitted head, and by colour where it has some.

    What lies on or near the face is face; what lies on the bare head, neck or shoulders and has the face's colour is
    skin; what stands off the head is hair, and off the body cloth, or hair where it has the colour that the hair of the
    skull has. A parser sees more: a bald head with painted hair, a hand, a white collar on white skin.

    Args:
        rig: of the fitted head, whose regions are looked at.
        vertices: (V, 3) of that rig, posed and in the surface's world.
        scale: units of that world per metre.

    Raises:
        UserError: the rig lacks iBUG's landmarks.
        ValueError: the surface has no colours.
    """
    if surface.colors is None:
        raise ValueError("a surface without colours cannot be told apart; give it some")
    place = _Place.of(surface, rig, vertices, scale)
    parts = _ruled(place, surface.colors[surface.faces].mean(1).detach().cpu().double().numpy())
    return replace(surface, parts=torch.from_numpy(_without_specks(surface, parts)).to(surface.faces.device))


@dataclass(frozen=True)
class _Place:
    """Where on a head the triangles of a surface lie."""

    facial: Mask
    """(F,) next to the face."""
    cheeks: Mask
    """(F,) next to the face, between brows and mouth."""
    chin: Mask
    """(F,) next to the throat under the chin, where a beard hangs."""
    high: Mask
    """(F,) above the brows."""
    body: Mask
    """(F,) next to neck or torso."""
    torso: Mask
    """(F,) next to the torso."""
    off: Array
    """(F,) metres outside the skin; negative inside."""

    @classmethod
    def of(cls, surface: Surface, rig: Rig, vertices: Tensor, scale: float) -> _Place:
        head = vertices.detach().cpu()
        outside = (~rig.faces_in(COVERED)).cpu().nonzero().squeeze(1)
        faces = rig.faces.cpu()[outside]
        corners = surface.vertices[surface.faces].detach().cpu().double().numpy()
        middles = corners.mean(1)
        nearest, foot = _closest(middles, head[faces].double().numpy())
        normal = vertex_normals(head, faces)[faces].mean(1).double().numpy()[nearest]
        side = np.sign(((middles - foot) * normal).sum(1))
        off = side * np.linalg.norm(middles - foot, axis=1) / scale
        region = outside[torch.from_numpy(nearest)]
        marks = _landmarks(rig, head)
        brows, mouth, jaw = marks[17:27, 1].max(), marks[48:55, 1].max(), marks[[4, 12], 2].max()
        facial, body, torso = (rig.faces_in(names).cpu()[region].numpy() for names in (FACIAL, BODY, ("torso",)))
        high, low = foot[:, 1] > brows, foot[:, 1] < mouth
        chin = ~facial & ~torso & low & (foot[:, 2] > jaw)
        return cls(facial, facial & ~high & ~low, chin, high, body & ~chin, torso, off)


def _landmarks(rig: Rig, vertices: Tensor) -> Array:
    """(68, 3) of iBUG, in the world of ``vertices``."""
    names = [f"ibug_{number}" for number in range(68)]
    marks = rig.landmarks
    if marks is None or not set(names) <= set(marks.names):
        raise UserError("this head lacks the 68 landmarks of iBUG, which its face is found by")
    points = marks.positions(vertices, rig.faces.cpu()).double().numpy()
    return points[[marks.names.index(name) for name in names]]


def _closest(points: Array, triangles: Array) -> tuple[NDArray[np.int64], Array]:
    """For points (M, 3) the nearest of triangles (T, 3, 3), and the place (M, 3) on it."""
    ways = min(CANDIDATES, len(triangles))
    near = cKDTree(triangles.mean(1)).query(points, ways)[1].reshape(len(points), ways)
    foot = closest_point(triangles[near].reshape(-1, 3, 3), np.repeat(points, ways, axis=0)).reshape(-1, ways, 3)
    best = np.linalg.norm(foot - points[:, None], axis=2).argmin(1)
    rows = np.arange(len(points))
    return near[rows, best], foot[rows, best]


def _ruled(place: _Place, colors: Array) -> NDArray[np.uint8]:
    """(F,) `Part` of each triangle by itself."""
    bare = place.off < np.where(place.body, BARE_BODY, BARE_SKULL)
    bare &= _like_skin(colors, colors[place.cheeks & (place.off < BARE_SKULL)])
    face = (place.facial | place.chin & ~bare) & (place.off < np.where(place.high, FRINGE, BEARD))
    on_skull = ~place.body & ~place.facial & place.high & (place.off > SURE_HAIR)
    hairy = ~place.body | _nearer_first(colors, on_skull, place.torso)
    part = np.where(hairy, int(Part.HAIR), int(Part.CLOTH))
    part = np.where(bare, int(Part.SKIN), part)
    return np.where(face, int(Part.FACE), part).astype(np.uint8)


def _like_skin(colors: Array, skin: Array) -> Mask:
    """(F,) whether colours (F, 3) are like the middle one of ``skin`` (M, 3), lit or in shade; all where M is 0."""
    if not len(skin):
        return np.ones(len(colors), bool)
    middle = np.median(skin, axis=0)
    hue = np.linalg.norm(_hue(colors) - _hue(middle), axis=-1)
    return (hue < LIKE_SKIN) & (colors.sum(-1) > IN_SHADE * middle.sum())


def _hue(colors: Array) -> Array:
    """Shares (..., 3) of red, green and blue."""
    return colors / colors.sum(-1, keepdims=True).clip(1e-3)


def _nearer_first(colors: Array, first: Mask, second: Mask) -> Mask:
    """(F,) whether a colour is surely that of ``first``, not that of ``second``; none where one of them is empty."""
    if not first.any() or not second.any():
        return np.zeros(len(colors), bool)
    to_first, to_second = (np.linalg.norm(colors - np.median(colors[each], axis=0), axis=1) for each in (first, second))
    return to_first < SURELY * to_second


def _without_specks(surface: Surface, parts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each triangle becomes what most of those round its corners are, weighted by area, some times over."""
    faces = surface.faces.cpu().numpy()
    corners = surface.vertices.detach().cpu().double().numpy()[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    rows = np.repeat(np.arange(len(faces)), 3)
    touches = csr_array((np.ones(len(rows)), (rows, faces.ravel())), (len(faces), len(surface.vertices)))
    for _ in range(ROUNDS):
        shares = np.eye(len(Part))[parts] * area[:, None]
        parts = (touches @ (touches.T @ shares)).argmax(1).astype(np.uint8)
    return parts
