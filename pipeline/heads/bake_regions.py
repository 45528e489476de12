"""Which part of the head every face belongs to, from MakeHuman's painted masks and the template's geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SOCKET_RIM_LEFT = (
    7748, 7747, 7749, 7750, 7751, 7752, 7753, 7754, 7755, 7756, 11716, 7757, 7758, 7759, 7760, 7761, 7762, 7763, 11717,
    7764, 7771, 7770, 7769, 7768, 7772, 7767, 7766, 7765,
)  # fmt: skip
"""Base-mesh ids of the edge loop where the left eye's lids meet the eyeball; what lies behind it is never seen."""
LID_TRAVEL = 0.003
"""Metres: faces that a full blink moves further belong to the lids."""
IRIS_ANGLE = 0.42
"""Radians from the optical axis, seen from the middle of the eyeball, within which a face belongs to the iris."""


def label_regions(
    template: Array,
    faces: NDArray[np.int64],
    face_parts: NDArray[np.int64],
    uv: Array,
    parts: tuple[str, ...],
    vertex_ids: NDArray[np.int64],
    blink: Array,
    root: Path,
) -> dict[str, Mask]:
    """Region → (F,) bool; regions may overlap.

    ``template`` (V, 3) in our axes with Anny's origin, ``face_parts`` (F,) index into ``parts``, ``uv`` (F, 3, 2),
    ``vertex_ids`` (V,) in the base mesh, ``blink`` (V, 3) offset of both blinks at 1, ``root`` folder of the package.
    """
    centre = template[faces].mean(1)
    x, y, z = np.abs(centre[:, 0]), centre[:, 1], centre[:, 2]
    part = {name: face_parts == number for number, name in enumerate(parts)}
    body = part["body"]
    painted = {
        name: body & (_sample(root / "data" / "mpfb2" / "textures" / f"mpfb_{name}.jpg", uv.mean(1)) > 0.5)
        for name in ("lips", "eyelids", "ears", "face", "inside-mouth")
    }
    # The painted inside of the mouth also covers a patch of the occiput.
    inner_mouth = painted["inside-mouth"] & (z > 0.05) & (y < 0.70)
    socket = _behind_lids(template, vertex_ids, faces, body)
    skin = body & ~inner_mouth & ~socket
    lids = painted["eyelids"] | (np.linalg.norm(blink[faces].mean(1), axis=1) > LID_TRAVEL)
    torso = skin & (y < _neck_base(x, z))
    neck = skin & ~torso & (y < _jaw_line(z))
    head = skin & ~torso & ~neck
    ears = painted["ears"] & head
    face = head & ~ears & (z > _face_border(y))
    regions = {
        "skin": skin,
        "scalp": head & ~ears & ~face,
        "face": face,
        "ears": ears,
        "lips": painted["lips"] & skin,
        "eyelids": lids & skin,
        "eye_socket": socket,
        "eye_left": part["helper-l-eye"],
        "eye_right": part["helper-r-eye"],
        "iris_left": _iris(template, faces, part["helper-l-eye"]),
        "iris_right": _iris(template, faces, part["helper-r-eye"]),
        "teeth": part["helper-upper-teeth"] | part["helper-lower-teeth"],
        "teeth_upper": part["helper-upper-teeth"],
        "teeth_lower": part["helper-lower-teeth"],
        "tongue": part["helper-tongue"],
        "inner_mouth": inner_mouth,
        "neck": neck,
        "torso": torso,
        "lashes_left": part["helper-l-eyelashes-1"] | part["helper-l-eyelashes-2"],
        "lashes_right": part["helper-r-eyelashes-1"] | part["helper-r-eyelashes-2"],
    }
    return regions


def _sample(texture: Path, uv: Array) -> Array:
    """(N, 2) texture coordinates, v upwards → brightness 0..1."""
    from PIL import Image

    picture = np.asarray(Image.open(texture).convert("L"), dtype=np.float64) / 255
    height, width = picture.shape
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return picture[row, column]


def _neck_base(x: Array, z: Array) -> Array:
    """Height below which the trapezius and the collar bones begin: lower in front than behind."""
    return 0.585 - 0.25 * np.clip(z, -0.05, 0.05) + 0.25 * np.clip(x - 0.05, 0, None)


def _jaw_line(z: Array) -> Array:
    """Height of the lower border of the head: chin in front, nape behind."""
    return np.interp(z, [-0.05, 0.0, 0.05, 0.11, 0.14], [0.675, 0.675, 0.665, 0.63, 0.61])


def _face_border(y: Array) -> Array:
    """Depth of the border between face and scalp: in front of the ear, up the temple to the hairline."""
    return np.interp(y, [0.60, 0.70, 0.76, 0.79, 0.805, 0.82], [0.03, 0.045, 0.075, 0.11, 0.135, 0.2])


def _behind_lids(template: Array, vertex_ids: NDArray[np.int64], faces: NDArray[np.int64], body: Mask) -> Mask:
    """Body faces that the rims of the sockets cut off from the rest of the body."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    left = np.searchsorted(vertex_ids, SOCKET_RIM_LEFT)
    right = np.linalg.norm(template[None] - (template[left] * (-1, 1, 1))[:, None], axis=2).argmin(1)
    rims = np.concatenate([left, right])
    corners = faces[body]
    edges = np.sort(corners[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(corners)), 3)
    crossable = ~np.isin(edges, rims).all(1)
    edges, owner = edges[crossable], owner[crossable]
    order = np.lexsort(edges.T)
    pairs = order[np.flatnonzero((edges[order][1:] == edges[order][:-1]).all(1))[:, None] + [0, 1]]
    first, second = owner[pairs].T
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(corners), len(corners)))
    _, piece = connected_components(graph, directed=False)
    behind = np.zeros(len(faces), bool)
    behind[body] = piece != np.bincount(piece).argmax()
    return behind


def _iris(template: Array, faces: NDArray[np.int64], ball: Mask) -> Mask:
    points = template[faces].mean(1)
    middle = template[np.unique(faces[ball])].mean(0)
    ray = points - middle
    angle = np.arccos(ray[:, 2] / np.linalg.norm(ray, axis=1).clip(1e-9))
    return ball & (angle < IRIS_ANGLE)
