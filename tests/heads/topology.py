"""Meshes with FLAME's and SMPL-X's exact counts, made from the free head in a topology of our own.

FLAME: 3931 vertices of skin, open at the neck and deep in the mouth, then two eyeballs of 546: 5023 and 9976 faces.
SMPL-X: the same skin, a torso sewn to its neck and four closed limbs (9383 vertices), then the eyeballs: 10475 and
20908 faces. A surface of V vertices has F = 2V − b − 2χ faces, b its boundary edges and χ its Euler number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from pipeline.heads.anny import AnnyHead, fit_sphere
from pipeline.heads.rig import Rig
from tests.heads.remesh import Edge, Remesher, boundary_loops

FLAME_SKIN, EYEBALL, SMPLX_SKIN = 3931, 546, 9383
NECK_LOOP, MOUTH_LOOP = 46, 16
NECK_HEIGHT, MOUTH_DEPTH = 0.58, 0.088
"""Where the skin is cut, in the free head's template coordinates."""
EYE_RINGS, EYE_SEGMENTS = 17, 32
LIMB_RINGS, LIMB_SEGMENTS = 20, 30


@dataclass(frozen=True)
class Topology:
    """Both meshes; a point of theirs on the skin is a mixture of the free head's vertices."""

    head_mixture: sparse.csr_matrix
    """(3931, V of the free head)"""
    head_faces: np.ndarray
    torso_mixture: sparse.csr_matrix
    """(torso vertices, V of the free head); without those that the torso shares with the neck of the head."""
    torso_faces: np.ndarray
    """Indices into head, then torso vertices."""


def flame_faces(topology: Topology) -> np.ndarray:
    """(9976, 3)"""
    eye = sphere_faces(EYE_RINGS, EYE_SEGMENTS)
    return np.concatenate([topology.head_faces, eye + FLAME_SKIN, eye + FLAME_SKIN + EYEBALL])


def smplx_faces(topology: Topology) -> np.ndarray:
    """(20908, 3)"""
    skin, limb, eye = body_skin_count(topology), limb_count(), sphere_faces(EYE_RINGS, EYE_SEGMENTS)
    limbs = [sphere_faces(LIMB_RINGS, LIMB_SEGMENTS) + skin + limb * index for index in range(4)]
    eyes = [eye + SMPLX_SKIN, eye + SMPLX_SKIN + EYEBALL]
    return np.concatenate([topology.head_faces, topology.torso_faces, *limbs, *eyes])


def body_skin_count(topology: Topology) -> int:
    return FLAME_SKIN + topology.torso_mixture.shape[0]


def limb_count() -> int:
    return LIMB_RINGS * LIMB_SEGMENTS + 2


@lru_cache(maxsize=1)
def topology() -> Topology:
    """Takes seconds; made once per process, always the same."""
    rng = np.random.default_rng(7)
    anny = AnnyHead()
    rig, template = anny.rig, anny.template_points.numpy().astype(np.float64)
    faces = _skin_without_throat(rig, template)
    head = (template[faces][..., 1] > NECK_HEIGHT).all(1)
    mesh = Remesher(template, faces, _importance(rig))
    boundary = {vertex for loop in boundary_loops(faces) for vertex in loop}
    mouth, neck = _loop_in(faces, template, mouth=True), _loop_in(faces[head], template, mouth=False)
    mesh.collapse_shortest(len(mouth) - MOUTH_LOOP, _both_in(mouth), boundary)
    mesh.collapse_shortest(len(neck) - NECK_LOOP, _both_in(neck), set())
    loops = (mouth | neck) & mesh.around.keys()
    head_mixture, head_faces = _head(mesh, loops, neck, rng)
    torso_mixture, torso_faces = _torso(mesh, template, neck & loops)
    return _sewn(head_mixture, head_faces, torso_mixture, torso_faces)


def sphere_faces(rings: int, segments: int) -> np.ndarray:
    """Faces of a ball of ``rings * segments + 2`` vertices: the poles are the first and the last."""
    index = 1 + np.arange(rings * segments).reshape(rings, segments)
    right = np.roll(index, -1, axis=1)
    last = rings * segments + 1
    sides = [
        np.stack([index[:-1], index[1:], right[1:]], -1).reshape(-1, 3),
        np.stack([index[:-1], right[1:], right[:-1]], -1).reshape(-1, 3),
    ]
    top = np.stack([np.zeros(segments, int), index[0], right[0]], -1)
    bottom = np.stack([np.full(segments, last), right[-1], index[-1]], -1)
    return np.concatenate([top, *sides, bottom])


def ball(rings: int, segments: int) -> np.ndarray:
    """Unit sphere (rings·segments + 2, 3), its first pole at +Z, counter-clockwise from outside."""
    polar = np.pi * np.arange(1, rings + 1) / (rings + 1)
    turn = 2 * np.pi * np.arange(segments) / segments
    ring = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(turn),
            np.sin(polar)[:, None] * np.sin(turn),
            np.broadcast_to(np.cos(polar)[:, None], (rings, segments)),
        ],
        -1,
    )
    return np.concatenate([[[0, 0, 1.0]], ring.reshape(-1, 3), [[0, 0, -1.0]]])


def eyeball_points(rig: Rig, side: str) -> np.ndarray:
    """(546, 3) ball in place of an eyeball of the free head."""
    points = rig.vertices[rig.faces[rig.regions[f"eye_{side}"]].unique()].numpy()
    centre, radius = fit_sphere(points[points[:, 2] < np.quantile(points[:, 2], 0.65)])
    return centre + radius * ball(EYE_RINGS, EYE_SEGMENTS)


def _skin_without_throat(rig: Rig, template: np.ndarray) -> np.ndarray:
    """Faces of the skin; the lining of the mouth ends in a boundary."""
    faces, inside = rig.faces.numpy(), rig.regions["inner_mouth"].numpy()
    skin = (rig.regions["skin"] | rig.regions["inner_mouth"] | rig.regions["eye_socket"]).numpy()
    skin |= (rig.regions["lips"] | rig.regions["eyelids"] | rig.regions["ears"] | rig.regions["torso"]).numpy()
    deep = inside & (template[faces][..., 2] < MOUTH_DEPTH).any(1)
    return faces[skin & ~deep]


def _importance(rig: Rig) -> np.ndarray:
    """Lips and lids keep their edges, sockets and ears may lose theirs."""
    importance = np.ones(len(rig.vertices))
    for region, value in (("eye_socket", 0.6), ("ears", 0.8), ("inner_mouth", 0.7), ("eyelids", 2.5), ("lips", 2.5)):
        importance[rig.faces[rig.regions[region]].unique().numpy()] = value
    return importance


def _loop_in(faces: np.ndarray, template: np.ndarray, mouth: bool) -> set[int]:
    """The mouth's boundary, or the lowest other one."""
    loops = boundary_loops(faces)
    in_mouth = [template[loop][:, 1].mean() > 0.6 and template[loop][:, 2].mean() > 0.05 for loop in loops]
    chosen = [loop for loop, inside in zip(loops, in_mouth, strict=True) if inside == mouth]
    return set(max(chosen, key=len))


def _both_in(loop: set[int]):  # type: ignore[no-untyped-def]
    return lambda edge: edge[0] in loop and edge[1] in loop


def _head(
    mesh: Remesher, loops: set[int], neck: set[int], rng: np.random.Generator
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Mixture over the free head's vertices and faces; the last ``NECK_LOOP`` vertices are the neck's boundary."""
    points = np.array(mesh.points)
    faces = np.array([face for face in mesh.faces.values() if points[list(face)][:, 1].min() > NECK_HEIGHT - 1e-9])
    part = Remesher(points, faces, np.array(mesh.importance))
    part.mixtures = [dict(mixture) for mixture in mesh.mixtures]

    def inside(edge: Edge) -> bool:
        return not (edge[0] in loops and edge[1] in loops)

    part.collapse_shortest(len(part.around) - 3400, inside, loops)
    part.split_longest(FLAME_SKIN - len(part.around), inside)
    part.drift(loops, 0.3, rng)
    mixture, faces, index = part.result()
    return _neck_last(mixture, faces, [index[vertex] for vertex in sorted(neck & loops)])


def _torso(mesh: Remesher, template: np.ndarray, neck: set[int]) -> tuple[sparse.csr_matrix, np.ndarray]:
    """The rest of the skin, closed at the belly and the arms; the last ``NECK_LOOP`` vertices are the neck's."""
    points = np.array(mesh.points)
    faces = [face for face in mesh.faces.values() if points[list(face)][:, 1].min() <= NECK_HEIGHT - 1e-9]
    part = Remesher(points, np.array(faces), np.array(mesh.importance))
    part.mixtures = [dict(mixture) for mixture in mesh.mixtures]
    for loop in boundary_loops(np.array(faces)):
        if not set(loop) <= neck:
            _cap(part, loop)
    part.split_longest(
        SMPLX_SKIN - 4 * limb_count() - FLAME_SKIN + NECK_LOOP - len(part.around),
        lambda edge: not (edge[0] in neck and edge[1] in neck),
    )
    mixture, new_faces, index = part.result()
    return _neck_last(mixture, new_faces, [index[vertex] for vertex in sorted(neck)])


def _cap(part: Remesher, loop: list[int]) -> None:
    """A fan over a boundary loop."""
    middle = len(part.points)
    part.points.append(np.mean([part.points[vertex] for vertex in loop], axis=0))
    part.importance.append(1.0)
    mixture: dict[int, float] = {}
    for vertex in loop:
        for source, share in part.mixtures[vertex].items():
            mixture[source] = mixture.get(source, 0.0) + share / len(loop)
    part.mixtures.append(mixture)
    part.around[middle] = set()
    for a, b in zip(loop, loop[1:] + loop[:1], strict=True):
        part._add_face((b, a, middle))


def _neck_last(mixture: sparse.csr_matrix, faces: np.ndarray, neck: list[int]) -> tuple[sparse.csr_matrix, np.ndarray]:
    order = [row for row in range(mixture.shape[0]) if row not in set(neck)] + neck
    rank = np.argsort(order)
    return mixture[order], rank[faces]


def _sewn(
    head: sparse.csr_matrix, head_faces: np.ndarray, torso: sparse.csr_matrix, torso_faces: np.ndarray
) -> Topology:
    """The torso's neck vertices are the head's: both lists end with them, in the same order."""
    own = torso.shape[0] - NECK_LOOP
    shared = torso_faces >= own
    joined = np.where(shared, torso_faces - own + FLAME_SKIN - NECK_LOOP, torso_faces + FLAME_SKIN)
    return Topology(head, head_faces, torso[:own], joined)
