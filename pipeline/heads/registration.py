"""Laying the free head over a foreign one: first as one of the people that it can be, then by a smooth deformation.

The first step keeps the meaning of every place (a nose lands on the nose); the second one is non-rigid ICP after
Amberg, Romdhani & Vetter, Optimal Step Nonrigid ICP Algorithms for Surface Registration, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from pipeline.heads.anny_file import HeadFile
from pipeline.heads.anny_space import AnnySpace
from pipeline.heads.surface_match import Match, Surface3D, match, vertex_normals

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

SHAPE_ROUNDS: tuple[tuple[float, float], ...] = (
    *((0.030, 0.010),) * 4, *((0.020, 0.006),) * 4, *((0.012, 0.003),) * 6, *((0.010, 0.0015),) * 6,
)  # fmt: skip
"""Of each round of the fit of a person: the longest way to a partner, and the size of what no person explains; m."""
SMOOTH_ROUNDS: tuple[tuple[float, float], ...] = (
    *((0.012, 60.0),) * 3, *((0.010, 20.0),) * 3, *((0.008, 6.0),) * 3, *((0.006, 2.0),) * 3, *((0.006, 0.7),) * 3,
)  # fmt: skip
"""Of each round of the deformation: the longest way to a partner in metres, and the stiffness."""
LEAST_COSINE = 0.6
"""Between the normals of partners."""
EYE_WEIGHT = 40.0
"""Weight of the middle of an eyeball against one vertex."""
LANDMARK_WEIGHT = 12.0
EAR_WEIGHT = 0.3
"""Ears of different models agree in outline only."""
PARTS_TIED = 6
"""Neighbours in the body that each vertex of a loose part (teeth, tongue, lashes) is tied to."""


@dataclass(frozen=True)
class Target:
    """The foreign head, in its own coordinates."""

    surface: Surface3D
    eyes: tuple[Array, Array]
    """Middles (3,) of the left and the right eyeball."""
    radii: tuple[float, float]
    """Of the eyeballs."""
    landmarks: dict[str, Array]
    """Name → (3,); may be empty."""


def register(space: AnnySpace, target: Target) -> Array:
    """(V, 3) vertices of the free head, moved so that it covers the target."""
    fitted = _fit_person(space, target)
    return _deform(space, target, fitted)


def opening_share(head: HeadFile) -> Array:
    """(V,) how much of the way of the chin every vertex of the free head goes along when the jaw opens, 0..1."""
    opening = np.zeros_like(head.template)
    head.actions.add_to(opening, head.actions.names.index("jawOpen"), 1.0)
    way = np.linalg.norm(opening, axis=1)
    return np.clip(way / np.quantile(way[way > 0], 0.9), 0, 1).astype(np.float64)


def lower_share(head: HeadFile) -> Array:
    """(V,) of the free head: 0 on the upper lip, 1 on the lower one and the chin."""
    return lip_side(opening_share(head))


def lip_side(jaw_weight: Array) -> Array:
    """Weight of the jaw 0..1 → 0 upper, 1 lower, with a short ramp that only the corners of the mouth lie on."""
    t = np.clip((jaw_weight - 0.3) / 0.4, 0, 1)
    return t * t * (3 - 2 * t)


def body_faces(head: HeadFile) -> Mask:
    """(F,) the one large mesh of the free head: skin, lining of the mouth and what lies behind the lids."""
    return head.regions["skin"] | head.regions["inner_mouth"] | head.regions["eye_socket"]


def _fit_person(space: AnnySpace, target: Target) -> Array:
    """(V, 3): coefficients, place, size and turn by Gauss-Newton on distances along the normal."""
    head = space.head
    coefficients = np.zeros(len(space.modes))
    placed, basis = _start(space, target)
    for reach, noise in SHAPE_ROUNDS:
        rows = _partners(head, placed, target, reach)
        placed, basis, coefficients = _person_step(space, target, placed, basis, coefficients, rows, noise)
    return placed


@dataclass(frozen=True)
class _Partners:
    vertices: Ids
    """(N,) of the free head."""
    match: Match
    weights: Array
    """(N,)"""


def _start(space: AnnySpace, target: Target) -> tuple[Array, Array]:
    """The mean person with the eyes on those of the target, upright: (V, 3) and modes (K, V, 3) at that size."""
    left, right = (space.eye_centre(space.mean, side) for side in ("left", "right"))
    size = np.linalg.norm(target.eyes[0] - target.eyes[1]) / np.linalg.norm(left - right)
    middle = (target.eyes[0] + target.eyes[1]) / 2
    return middle + size * (space.mean - (left + right) / 2), size * space.modes


def _person_step(
    space: AnnySpace, target: Target, placed: Array, basis: Array, coefficients: Array, rows: _Partners, noise: float
) -> tuple[Array, Array, Array]:
    """One linearised step in turn (3), shift (3), growth (1) and coefficients (K)."""
    middle = (target.eyes[0] + target.eyes[1]) / 2

    def columns(points: Array, modes: Array) -> Array:
        """(N, 3) and (K, N, 3) → (N, 3, 7 + K) derivatives of the points."""
        arm = points - middle
        turn = np.stack([np.cross(axis, arm) for axis in np.eye(3)], axis=-1)
        shift = np.broadcast_to(np.eye(3), (len(points), 3, 3))
        return np.concatenate([turn, shift, arm[..., None], modes.transpose(1, 2, 0)], axis=2)

    to_plane = columns(placed[rows.vertices], basis[:, rows.vertices])
    normals = rows.match.normals
    weight = np.sqrt(rows.weights)
    system = [np.einsum("nc,ncp->np", normals, to_plane) * weight[:, None]]
    wanted = [((rows.match.points - placed[rows.vertices]) * normals).sum(1) * weight]
    for points, modes, goal, strength in _anchors(space, target, placed, basis):
        system.append((columns(points, modes) * np.sqrt(strength)).reshape(-1, 7 + len(basis)))
        wanted.append(((goal - points) * np.sqrt(strength)).ravel())
    prior = np.zeros((len(basis), 7 + len(basis)))
    prior[:, 7:] = np.eye(len(basis)) * noise * np.sqrt(len(rows.vertices) / 100)
    system.append(prior)
    wanted.append(-coefficients * prior[0, 7])
    whole = np.concatenate(system)
    step = np.linalg.solve(whole.T @ whole + 1e-12 * np.eye(whole.shape[1]), whole.T @ np.concatenate(wanted))
    rotation = _small_rotation(step[:3]) * (1 + step[6])
    moved = placed + np.tensordot(step[7:], basis, 1)
    placed = middle + (moved - middle) @ rotation.T + step[3:6]
    return placed, basis @ rotation.T, coefficients + step[7:]


def _anchors(space: AnnySpace, target: Target, placed: Array, basis: Array) -> list[tuple[Array, Array, Array, float]]:
    """(points (N, 3), modes (K, N, 3), goals (N, 3), weight) of eyeballs and landmarks."""
    head = space.head
    anchors = []
    for side, goal in zip(("left", "right"), target.eyes, strict=True):
        ball = np.unique(head.faces[head.regions[f"eye_{side}"]])
        anchors.append((placed[ball].mean(0)[None], basis[:, ball].mean(1)[:, None], goal[None], EYE_WEIGHT))
    names = [name for name in target.landmarks if name in head.landmark_names]
    if names:
        rows = [head.landmark_names.index(name) for name in names]
        corners, shares = head.faces[head.landmark_faces[rows]], head.landmark_barycentrics[rows][..., None]
        goals = np.stack([target.landmarks[name] for name in names])
        modes = (basis[:, corners] * shares).sum(2)
        anchors.append(((placed[corners] * shares).sum(1), modes, goals, LANDMARK_WEIGHT))
    return anchors


def _partners(head: HeadFile, placed: Array, target: Target, reach: float) -> _Partners:
    """Vertices of the free head's skin with a partner on the target that is near, faces the same way and is no
    border, where the target ends."""
    faces = head.faces[head.regions["skin"]]
    skin = np.unique(faces)
    normals = vertex_normals(placed, faces)[skin]
    found = match(placed[skin], normals, lower_share(head)[skin], target.surface)
    near = np.linalg.norm(found.points - placed[skin], axis=1) < reach
    good = near & ((found.normals * normals).sum(1) > LEAST_COSINE) & ~target.surface.at_end(found)
    ears = np.zeros(len(head.template), bool)
    ears[head.faces[head.regions["ears"]]] = True
    picked = Match(found.points[good], found.normals[good], found.faces[good], found.barycentrics[good])
    return _Partners(skin[good], picked, np.where(ears[skin[good]], EAR_WEIGHT, 1.0))


def _deform(space: AnnySpace, target: Target, placed: Array) -> Array:
    """Non-rigid ICP: every vertex gets its own shift, neighbours nearly the same; (V, 3) → (V, 3)."""
    head = space.head
    rest = placed.copy()
    stiffness = _ties(head, rest)
    balls = {side: np.unique(head.faces[head.regions[f"eye_{side}"]]) for side in ("left", "right")}
    for reach, stiff in SMOOTH_ROUNDS:
        rows = _partners(head, placed, target, reach)
        along = ((rows.match.points - placed[rows.vertices]) * rows.match.normals).sum(1)
        goal = placed.copy()
        goal[rows.vertices] += along[:, None] * rows.match.normals
        weight = np.zeros(len(placed))
        weight[rows.vertices] = rows.weights
        for side, middle, radius in zip(("left", "right"), target.eyes, target.radii, strict=True):
            ball = balls[side]
            own = rest[ball] - rest[ball].mean(0)
            goal[ball] = middle + own * radius / np.linalg.norm(own, axis=1).mean()
            weight[ball] = EYE_WEIGHT
        system = csc_matrix(stiff * stiffness + diags(weight + 1e-6))
        placed = rest + splu(system).solve(weight[:, None] * (goal - rest))
    return placed


def _ties(head: HeadFile, vertices: Array) -> csc_matrix:
    """(V, V) Laplacian of the mesh's edges, and of ties from the loose parts to the body next to them."""
    edges = np.unique(np.sort(head.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    body = np.unique(head.faces[head.regions["skin"] | head.regions["inner_mouth"]])  # not the sockets: lids part there
    loose = np.setdiff1d(np.arange(len(vertices)), np.unique(head.faces[body_faces(head)]))
    near = body[cKDTree(vertices[body]).query(vertices[loose], PARTS_TIED)[1]]
    tied = np.stack([np.repeat(loose, PARTS_TIED), near.ravel()], axis=1)
    pairs = np.concatenate([edges, tied])
    size = len(vertices)
    weights = np.concatenate([np.ones(len(edges)), np.full(len(tied), 0.3)])
    half = coo_matrix((weights, pairs.T), shape=(size, size))
    adjacency = half + half.T
    return csc_matrix(diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency)


def _small_rotation(turn: Array) -> Array:
    """Axis-angle (3,) → (3, 3), Rodrigues."""
    angle = float(np.linalg.norm(turn))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = turn / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
