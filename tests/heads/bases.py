"""Identities, expressions, joints and weights of the synthetic models, all derived from the free head."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from pipeline.heads.anny import AnnyHead, Phenotype, eyeball, local_change_names, shape_identity
from pipeline.heads.anny_file import JOINT_NAMES, read_head_file
from pipeline.heads.rig import Rig
from tests.heads.topology import EYE_RINGS, EYE_SEGMENTS, EYEBALL, FLAME_SKIN, ball, topology

Identity = dict[str, float]
LEFT_OUT = ("jawOpen", "jawLeft", "jawRight", "tongueOut")
"""Actions that the models make with the jaw joint, or not at all."""
SHAPES, EXPRESSIONS = 300, 100


def anny_vertices(identity: Identity, changes: dict[str, float] | None = None) -> np.ndarray:
    """(V, 3) of the free head, metres, origin at its head joint."""
    shaped = shape_identity(read_head_file(), Phenotype(**identity), changes or {})
    return (shaped.vertices - shaped.joints[JOINT_NAMES.index("head")]).astype(np.float64)


def head_points(vertices: np.ndarray) -> np.ndarray:
    """(5023, 3) in FLAME's order: skin, left eyeball, right eyeball."""
    head = read_head_file()
    eyes = []
    for side in ("left", "right"):
        centre, radius = eyeball(head, vertices.astype(np.float32), side)
        eyes.append(centre + radius * ball(EYE_RINGS, EYE_SEGMENTS))
    return np.concatenate([topology().head_mixture @ vertices, *eyes])


def random_identity(rng: np.random.Generator) -> tuple[Identity, dict[str, float]]:
    """A grown-up with a few local changes."""
    names = ("gender", "muscle", "weight", "height", "proportions", "african", "asian", "caucasian")
    values = {name: float(rng.uniform(0.1, 0.9)) for name in names} | {"age": float(rng.uniform(0.55, 0.9))}
    changed = rng.choice(local_change_names(), 8, replace=False)
    return values, {str(name): float(rng.uniform(-0.6, 0.6)) for name in changed}


@lru_cache(maxsize=8)
def shape_basis(seed: int, points_of: Callable[[np.ndarray], np.ndarray], count: int = SHAPES) -> np.ndarray:
    """(V, 3, count): principal directions of random identities (one standard deviation each), then smooth fields."""
    rng = np.random.default_rng(seed)
    people = np.stack([points_of(anny_vertices(*random_identity(rng))).ravel() for _ in range(48)])
    values, directions = principal_directions(people - people.mean(0))
    known = min(40, count)
    principal = directions[:known].T * (values[:known] / np.sqrt(len(people)))
    points = people.mean(0).reshape(-1, 3)
    fields = [
        bumps(points, points[:FLAME_SKIN], 0.03, 6e-4 * 0.99**index, rng).ravel() for index in range(count - known)
    ]
    return np.concatenate([principal, np.array(fields).reshape(-1, principal.shape[0]).T], 1).reshape(-1, 3, count)


@lru_cache(maxsize=8)
def expression_basis(seed: int, identity: tuple[tuple[str, float], ...], count: int = EXPRESSIONS) -> np.ndarray:
    """(5023, 3, count): principal directions of distorted actions and local bumps; the actions are not in its span."""
    rng = np.random.default_rng(seed)
    rig = AnnyHead(dict(identity)).rig
    points = head_points(anny_vertices(dict(identity)))
    sources = [distorted_action(rig, name, rng) for name in rig.expression_names if _of_the_skin(name)]
    face = topology().head_mixture @ _face_mask(rig)
    centres = points[:FLAME_SKIN][face > 0.5]
    sources += [_skin_only(bumps(points, centres, rng.uniform(0.008, 0.02), 0.003, rng)) for _ in range(90)]
    samples = rng.normal(size=(400, len(sources))) @ np.array(sources).reshape(len(sources), -1)
    values, directions = principal_directions(samples)
    basis = directions[:count].T * (values[:count] / values[0])
    strongest = np.linalg.norm(basis[:, 0].reshape(-1, 3), axis=1).max()
    return (basis * (0.006 / strongest)).reshape(-1, 3, count)


def principal_directions(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values, falling, and right singular vectors of a wide matrix (N, M), by its small Gram matrix."""
    squares, left = np.linalg.eigh(samples @ samples.T)
    values = np.sqrt(squares[::-1].clip(1e-18))
    return values, (left[:, ::-1] / values).T @ samples


def distorted_action(rig: Rig, name: str, rng: np.random.Generator) -> np.ndarray:
    """(5023, 3) an action, blurred over the mesh, its strength and direction varied smoothly over the face."""
    action = topology().head_mixture @ rig.expressions[rig.expression_index(name)].numpy().astype(np.float64)
    blur = neighbour_means(topology().head_faces, FLAME_SKIN)
    action = 0.6 * action + 0.4 * (blur @ action)
    points = topology().head_mixture @ rig.vertices.numpy().astype(np.float64)
    waves = np.stack([np.sin(points @ rng.normal(scale=60, size=3) + rng.uniform(0, 6)) for _ in range(3)], -1)
    turned = action * (1 + 0.2 * waves[:, :1]) + 0.15 * np.cross(waves, action)
    return np.concatenate([turned, np.zeros((2 * EYEBALL, 3))])


def bumps(points: np.ndarray, centres: np.ndarray, width: float, height: float, rng: np.random.Generator) -> np.ndarray:
    """(V, 3) one Gaussian push of ``height`` metres round a random centre, in a random direction."""
    centre = centres[rng.integers(len(centres))]
    push = rng.normal(size=3)
    strength = np.exp(-0.5 * ((points - centre) ** 2).sum(1) / width**2)
    for start in (FLAME_SKIN, FLAME_SKIN + EYEBALL):  # an eyeball stays round
        strength[start : start + EYEBALL] = strength[start : start + EYEBALL].mean()
    return strength[:, None] * (height * push / np.linalg.norm(push))


def neighbour_means(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """(V, V) mean over the one-ring."""
    rows = np.concatenate([faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()])
    columns = np.concatenate([faces[:, [1, 2, 0]].ravel(), faces[:, [0, 1, 2]].ravel()])
    adjacency = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    adjacency.data[:] = 1.0
    return sparse.diags(1 / np.asarray(adjacency.sum(1)).ravel()) @ adjacency


def jaw_of(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Rest place (3,) of the jaw's hinge in the rig's axes, and the jaw's share (5023,) of every vertex."""
    opening = rig.expressions[rig.expression_index("jawOpen")].numpy().astype(np.float64)
    points = rig.vertices.numpy().astype(np.float64)
    left, right = (rig.joints[rig.joint_index(f"{side}_eye")].numpy() for side in ("left", "right"))
    hinge = np.array([0.0, 0.5 * (left + right)[1] - 0.035, 0.5 * (left + right)[2] - 0.075])
    teeth = rig.faces[rig.regions["teeth_lower"]].unique().numpy()
    axis = np.array([1.0, 0, 0])
    turn = np.cross(axis, points - hinge)
    angle = (opening[teeth] * turn[teeth]).sum() / (turn[teeth] ** 2).sum()
    share = np.clip((opening * turn).sum(1) / ((turn**2).sum(1) * angle + 1e-9), 0, 1)
    skin = topology().head_mixture @ share
    blur = neighbour_means(topology().head_faces, FLAME_SKIN)
    return hinge, np.concatenate([0.5 * skin + 0.5 * (blur @ skin), np.zeros(2 * EYEBALL)])


def regressor(points: np.ndarray, joints: np.ndarray, support: int = 300) -> sparse.csc_matrix:
    """(J, V): weights of nearby vertices, summing to 1, that give exactly these joints (J, 3) on these points."""
    matrix = sparse.lil_matrix((len(joints), len(points)))
    _, nearest = cKDTree(points).query(joints, k=support)
    for row, (joint, vertices) in enumerate(zip(joints, nearest, strict=True)):
        system = np.concatenate([points[vertices].T, np.ones((1, support))])
        matrix[row, vertices] = np.linalg.lstsq(system, np.append(joint, 1.0), rcond=None)[0]
    return matrix.tocsc()


def pose_correctives(points: np.ndarray, joints: np.ndarray, moved: dict[int, float], seed: int) -> np.ndarray:
    """(V, 3, 9·(J−1)): up to a millimetre round the joints of ``moved`` (joint → width in metres)."""
    rng = np.random.default_rng(seed)
    correctives = np.zeros((len(points), 3, 9 * (len(joints) - 1)))
    for joint, width in moved.items():
        strength = np.exp(-0.5 * ((points - joints[joint]) ** 2).sum(1) / width**2)[:, None]
        for column in range(9):
            correctives[:, :, 9 * (joint - 1) + column] = strength * rng.normal(scale=5e-4, size=3)
    return correctives


def _of_the_skin(action: str) -> bool:
    return action not in LEFT_OUT and not action.startswith("eyeLook")


def _face_mask(rig: Rig) -> np.ndarray:
    mask = np.zeros(len(rig.vertices))
    mask[rig.faces[rig.regions["face"]].unique().numpy()] = 1
    return mask


def _skin_only(field: np.ndarray) -> np.ndarray:
    field[FLAME_SKIN:] = 0
    return field
