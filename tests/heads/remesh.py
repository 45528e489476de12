"""Edge collapses, splits and drift: a mesh of exact counts in a topology of its own, out of another mesh.

Every new vertex is a weighted mean of old ones, so whatever is known of the old mesh is known of the new one.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy import sparse

Edge = tuple[int, int]
LEAST_COSINE = 0.2
"""A change that turns a triangle further than this is left out."""


def boundary_edges(faces: np.ndarray) -> list[Edge]:
    """Directed edges (as their face has them) that one face only uses."""
    directed = [(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)]
    known = set(directed)
    return [(a, b) for a, b in directed if (b, a) not in known]


def boundary_loops(faces: np.ndarray) -> list[list[int]]:
    """The boundary as closed loops of vertices."""
    following = dict(boundary_edges(faces))
    loops = []
    while following:
        start, vertex = following.popitem()
        loop = [start]
        while vertex != start:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(loop)
    return loops


class Remesher:
    """A triangle mesh that can be edited; vertices are mixtures of the ``points`` (V, 3) that it starts with."""

    def __init__(self, points: np.ndarray, faces: np.ndarray, importance: np.ndarray) -> None:
        self.start_count = len(points)
        self.points = [np.array(point) for point in points]
        self.mixtures: list[dict[int, float]] = [{vertex: 1.0} for vertex in range(len(points))]
        self.importance = list(importance)
        self.faces = {index: tuple(map(int, face)) for index, face in enumerate(faces)}
        self.around: dict[int, set[int]] = {}
        for index, face in self.faces.items():
            for vertex in face:
                self.around.setdefault(vertex, set()).add(index)
        self.next_face = len(faces)

    def neighbours(self, vertex: int) -> set[int]:
        return {other for face in self.around[vertex] for other in self.faces[face]} - {vertex}

    def edge_faces(self, a: int, b: int) -> set[int]:
        return self.around[a] & self.around[b]

    def edges(self) -> set[Edge]:
        return {(min(a, b), max(a, b)) for f in self.faces.values() for a, b in zip(f, f[1:] + f[:1], strict=True)}

    def length(self, edge: Edge) -> float:
        """Length weighted by the mean importance of its ends."""
        a, b = edge
        stretch = 0.5 * (self.importance[a] + self.importance[b])
        return float(np.linalg.norm(self.points[a] - self.points[b])) * stretch

    def normal(self, face: tuple[int, ...]) -> np.ndarray:
        a, b, c = (self.points[vertex] for vertex in face)
        cross = np.cross(b - a, c - a)
        return cross / (np.linalg.norm(cross) + 1e-20)

    def collapse(self, a: int, b: int, boundary: set[int]) -> bool:
        """Merge ``b`` into ``a``; False where that would tear or fold the mesh. A boundary vertex stays in place."""
        shared = self.edge_faces(a, b)
        if b in boundary and (a not in boundary or len(shared) != 1):
            a, b = b, a
        if b in boundary and len(shared) != 1:
            return False
        if len(self.neighbours(a) & self.neighbours(b)) != len(shared):
            return False
        share = 0.0 if (a in boundary) != (b in boundary) else 0.5
        place = (1 - share) * self.points[a] + share * self.points[b]
        changed = (self.around[a] | self.around[b]) - shared
        if not self._keeps_sides(changed, {a: place, b: place}):
            return False
        self._mix(a, b, share)
        for face in shared:
            self._remove_face(face)
        for face in list(self.around[b]):
            corners = tuple(a if vertex == b else vertex for vertex in self.faces[face])
            self._remove_face(face)
            self._add_face(corners)
        del self.around[b]
        return True

    def split(self, a: int, b: int) -> int:
        """Put a new vertex in the middle of an edge."""
        new = len(self.points)
        self.points.append(self.points[a])
        self.mixtures.append(dict(self.mixtures[a]))
        self.importance.append(self.importance[a])
        self.around[new] = set()
        self._mix(new, b, 0.5)
        for face in self.edge_faces(a, b):
            corners = self.faces[face]
            self._remove_face(face)
            self._add_face(tuple(new if vertex == a else vertex for vertex in corners))
            self._add_face(tuple(new if vertex == b else vertex for vertex in corners))
        return new

    def collapse_shortest(self, count: int, allowed: Callable[[Edge], bool], boundary: set[int]) -> None:
        """Collapse ``count`` allowed edges, the shortest first."""
        self._in_order(count, 1.0, allowed, lambda a, b: [a] if self.collapse(a, b, boundary) else [])

    def split_longest(self, count: int, allowed: Callable[[Edge], bool]) -> None:
        """Split ``count`` allowed edges, the longest first."""
        self._in_order(count, -1.0, allowed, lambda a, b: [self.split(a, b)])

    def _in_order(
        self, count: int, sign: float, allowed: Callable[[Edge], bool], change: Callable[[int, int], list[int]]
    ) -> None:
        heap = [(sign * self.length(edge), edge) for edge in self.edges() if allowed(edge)]
        heapq.heapify(heap)
        done = 0
        while done < count:
            key, (a, b) = heapq.heappop(heap)
            if a not in self.around or b not in self.around or not self.edge_faces(a, b):
                continue
            if abs(key - sign * self.length((a, b))) > 1e-12:
                continue  # an end has moved since; the edge is in the heap again with its new length
            touched = change(a, b)
            done += bool(touched)
            for vertex in touched:
                for other in self.neighbours(vertex):
                    edge = (min(vertex, other), max(vertex, other))
                    if allowed(edge):
                        heapq.heappush(heap, (sign * self.length(edge), edge))

    def drift(self, fixed: set[int], furthest: float, rng: np.random.Generator) -> None:
        """Move every vertex that is not fixed towards a neighbour, by up to ``furthest`` of the way."""
        for vertex in sorted(self.around):
            others = sorted(self.neighbours(vertex))
            other, share = others[rng.integers(len(others))], furthest * rng.random()
            place = (1 - share) * self.points[vertex] + share * self.points[other]
            if vertex not in fixed and self._keeps_sides(self.around[vertex], {vertex: place}):
                self._mix(vertex, other, share)

    def result(self) -> tuple[sparse.csr_matrix, np.ndarray, dict[int, int]]:
        """Mixture matrix (V', V), faces (F', 3), and the new index of every vertex that is left."""
        index = {vertex: row for row, vertex in enumerate(sorted(self.around))}
        mixture = sparse.lil_matrix((len(index), self.start_count))
        for vertex, row in index.items():
            for source, share in self.mixtures[vertex].items():
                mixture[row, source] = share
        faces = np.array([[index[vertex] for vertex in face] for _, face in sorted(self.faces.items())])
        return mixture.tocsr(), faces, index

    def _mix(self, a: int, b: int, share: float) -> None:
        self.points[a] = (1 - share) * self.points[a] + share * self.points[b]
        mixture: Counter[int] = Counter()
        for source, part in ((a, 1 - share), (b, share)):
            for vertex, weight in self.mixtures[source].items():
                mixture[vertex] += part * weight  # type: ignore[assignment]
        self.mixtures[a] = {vertex: weight for vertex, weight in mixture.items() if weight > 0}

    def _keeps_sides(self, faces: set[int], moved: dict[int, np.ndarray]) -> bool:
        before = [self.normal(self.faces[face]) for face in faces]
        kept = {vertex: self.points[vertex] for vertex in moved}
        for vertex, place in moved.items():
            self.points[vertex] = place
        after = [self.normal(self.faces[face]) for face in faces]
        for vertex, place in kept.items():
            self.points[vertex] = place
        return all(float(x @ y) > LEAST_COSINE for x, y in zip(before, after, strict=True))

    def _add_face(self, corners: tuple[int, ...]) -> None:
        self.faces[self.next_face] = corners
        for vertex in corners:
            self.around[vertex].add(self.next_face)
        self.next_face += 1

    def _remove_face(self, face: int) -> None:
        for vertex in self.faces.pop(face):
            self.around[vertex].discard(face)
