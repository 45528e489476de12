"""From a density to the triangle mesh of its outer surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from fast_simplification import simplify
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes
from torch import Tensor

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Part, Surface

Density = Callable[[Tensor], Tensor]
"""Points (M, 3) → density (M,), on the device of the points."""

BLOCK = 4
"""Cells along the side of a block: only blocks that the surface goes through are sampled at every grid point."""
CHUNK = 262_144
"""Points that are asked for at once."""
FACE_BUDGET = 60_000
"""Faces of AnimPortrait3D's meshes."""
FLOATER = 0.005
"""Pieces with less than this part of the whole area are dropped."""
ROOT_STEPS = 6
"""Halvings and secant steps, in turn, that bring a vertex onto the level along its edge of the grid."""


def extract_surface(
    density: Density, low: Tensor, high: Tensor, resolution: int, level: float, chunk: int = CHUNK
) -> Surface:
    """The outer surface of what is denser than ``level``, in the axes and units of the points.

    Marching cubes (Lorensen and Cline, 1987; topology after Lewiner, 2003) on a grid of ``resolution`` cells along the
    longest side of the box, closed where the box cuts through. Grid points far from the surface are not asked for: the
    surface is found on every `BLOCK`-th point and followed from there, so that only pieces smaller than a block can be
    missed, which are floaters. Each vertex is then moved along its edge of the grid onto the level. Floaters, and what
    lies within the surface, are left out.

    Args:
        low, high: (3,) corners of the box, on the device where the density is to be computed.
        chunk: points that are asked for at once.

    Raises:
        UserError: the density is somewhere no number, or nowhere or everywhere above the level.
    """
    grid = _Grid.of(density, low, high, resolution, level, chunk)
    values, known = grid.sampled()
    _check_crossing(values, level)
    vertices, faces = _march(values, known, level)
    faces = _outer(vertices, faces)
    vertices, faces = _compact(vertices, faces)
    return Surface(grid.on_level(vertices, values), torch.from_numpy(faces).to(low.device))


def decimate(surface: Surface, faces: int = FACE_BUDGET) -> Surface:
    """The same surface with at most about ``faces`` triangles, by quadric error (Garland and Heckbert, 1997).

    Colours and parts are lost. A surface of fewer faces comes back as it is.
    """
    if len(surface.faces) <= faces:
        return surface
    points, corners = simplify(
        surface.vertices.detach().cpu().numpy(), surface.faces.cpu().numpy().astype(np.int32), target_count=faces
    )
    points, corners = _compact(points, corners.astype(np.int64))
    place = surface.vertices.device
    return Surface(torch.from_numpy(points).to(surface.vertices), torch.from_numpy(corners).to(place))


def split(surface: Surface) -> dict[Part, Surface]:
    """One surface per part that it has, with the vertices that its faces need. Those on a seam are in both.

    Raises ValueError for a surface without parts.
    """
    if surface.parts is None:
        raise ValueError("this surface has no parts; vote for them first")
    return {part: take_faces(surface, surface.parts == part) for part in Part if bool((surface.parts == part).any())}


def take_faces(surface: Surface, chosen: Tensor) -> Surface:
    """Some of the faces, ``chosen`` (F,) bool, and the vertices that they need."""
    used, faces = torch.unique(surface.faces[chosen], return_inverse=True)
    return replace(
        surface,
        vertices=surface.vertices[used],
        faces=faces,
        colors=None if surface.colors is None else surface.colors[used],
        parts=None if surface.parts is None else surface.parts[chosen],
    )


@dataclass(frozen=True)
class _Grid:
    """Where the density is asked for: points ``low + index · step``."""

    density: Density
    low: Tensor
    high: Tensor
    step: float
    blocks: tuple[int, int, int]
    level: float
    chunk: int

    @classmethod
    def of(cls, density: Density, low: Tensor, high: Tensor, resolution: int, level: float, chunk: int) -> _Grid:
        extent = (high - low).tolist()
        if min(extent) <= 0 or resolution < BLOCK:
            raise ValueError(f"a box of {extent} in {resolution} cells cannot be sampled")
        step = max(extent) / resolution
        x, y, z = (max(1, -int(-round(side / step, 6) // BLOCK)) for side in extent)
        return cls(density, low, high, step, (x, y, z), level, chunk)

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = (BLOCK * count + 1 for count in self.blocks)
        return x, y, z

    def ask(self, places: np.ndarray) -> np.ndarray:
        """Density (M,) at places (M, 3) in cells; empty outside the box."""
        found = np.empty(len(places), np.float32)
        for start in range(0, len(places), self.chunk):
            picked = torch.from_numpy(places[start : start + self.chunk]).to(self.low)
            found[start : start + self.chunk] = self._ask(self.low + self.step * picked)
        return found

    @torch.no_grad()
    def _ask(self, points: Tensor) -> np.ndarray:
        values = self.density(points)
        if not bool(values.isfinite().all()):
            where = [round(number, 3) for number in points[~values.isfinite()][0].tolist()]
            raise UserError(f"the density at {where} is not a finite number; this file is damaged, take another")
        return values.detach().cpu().numpy()

    def sampled(self) -> tuple[np.ndarray, np.ndarray]:
        """Values (X, Y, Z), and which of them were asked for; the others only lie on the right side of the level."""
        coarse = self.ask(_indices(tuple(count + 1 for count in self.blocks)) * np.float32(BLOCK))
        corners = coarse.reshape([count + 1 for count in self.blocks])
        values = corners
        for axis, count in enumerate(self.shape):
            values = np.repeat(values, BLOCK, axis).take(np.arange(count), axis)
        known = np.zeros(self.shape, bool)
        done = np.zeros(self.blocks, bool)
        new = np.argwhere(_mixed(corners > self.level))
        while len(new):
            done[tuple(new.T)] = True
            inside = self._fill(values, known, new)
            new = self._beyond(inside, new, done)
        return values, known

    def _fill(self, values: np.ndarray, known: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        """Ask for all points of ``blocks`` (B, 3); (B, 5, 5, 5) whether each is inside."""
        offsets = _indices((BLOCK + 1,) * 3)
        points = np.ravel_multi_index(tuple((blocks[:, None] * BLOCK + offsets).reshape(-1, 3).T), self.shape)
        asked = np.zeros(known.size, bool)
        asked[points] = True
        lacking = np.flatnonzero(asked & ~known.ravel())
        values.ravel()[lacking] = self.ask(np.stack(np.unravel_index(lacking, self.shape), 1).astype(np.float32))
        known.ravel()[lacking] = True
        return (values.ravel()[points] > self.level).reshape(-1, *(BLOCK + 1,) * 3)

    def _beyond(self, inside: np.ndarray, blocks: np.ndarray, done: np.ndarray) -> np.ndarray:
        """Blocks (B, 3), not done yet, that the surface enters through a side of ``blocks``."""
        found = []
        for axis in range(3):
            for end, direction in ((0, -1), (BLOCK, 1)):
                side = inside.take(end, axis + 1).reshape(len(blocks), -1)
                next_block = blocks[side.any(1) & ~side.all(1)] + direction * np.eye(3, dtype=np.int64)[axis]
                found.append(next_block)
        near = np.unique(np.concatenate(found), axis=0)
        near = near[((near >= 0) & (near < self.blocks)).all(1)]
        return near[~done[tuple(near.T)]]

    def on_level(self, vertices: np.ndarray, values: np.ndarray) -> Tensor:
        """Vertices (V, 3) in cells, each on an edge of the grid, to where the level is on that edge: (V, 3) points.

        Those that close the surface at the side of the box stay there.
        """
        below = np.floor(vertices)
        axis = (vertices - below).argmax(1)
        last = np.array(self.shape) - 1
        rows = np.flatnonzero(
            ((vertices > below).sum(1) == 1) & (below >= 0).all(1) & (np.ceil(vertices) <= last).all(1)
        )
        start, end = below[rows].copy(), below[rows].copy()
        end[np.arange(len(rows)), axis[rows]] += 1
        share = self._root(start, end, values)
        moved = np.clip(vertices, 0, last)
        moved[rows] = start + (end - start) * share[:, None]
        points = self.low + self.step * torch.from_numpy(moved).to(self.low)
        return points.clamp(self.low, self.high)

    def _root(self, start: np.ndarray, end: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(M,) 0..1 of the way from start to end, grid points on either side of the level, where the level is."""
        first, second = (values[tuple(each.astype(np.int64).T)] - self.level for each in (start, end))
        low, high = np.zeros(len(start), np.float32), np.ones(len(start), np.float32)
        for step in range(ROOT_STEPS):
            middle = (low + high) / 2 if step % 2 else _secant(low, high, first, second)
            value = self.ask((start + (end - start) * middle[:, None]).astype(np.float32)) - self.level
            same = (value > 0) == (first > 0)
            low, first = np.where(same, middle, low), np.where(same, value, first)
            high, second = np.where(same, high, middle), np.where(same, second, value)
        return _secant(low, high, first, second)


def _secant(low: np.ndarray, high: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where the line through two values of unlike sign is zero."""
    difference = first - second
    share = np.divide(first, difference, out=np.full_like(first, 0.5), where=difference != 0)
    return low + (high - low) * share


def _indices(shape: tuple[int, ...]) -> np.ndarray:
    """(M, 3) int64: all indices of a grid."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)


def _mixed(inside: np.ndarray) -> np.ndarray:
    """Of each cell of a grid whether its eight corners are unlike."""
    corners = np.lib.stride_tricks.sliding_window_view(inside, (2, 2, 2))
    return np.asarray(corners.any((3, 4, 5)) & ~corners.all((3, 4, 5)))


def _check_crossing(values: np.ndarray, level: float) -> None:
    least, most = float(values.min()), float(values.max())
    if not most > level:
        raise UserError(
            f"there is no surface at density {level:g}: the densest place that was looked at has {most:.3g}; "
            "give a lower level"
        )
    if least > level:
        raise UserError(
            f"there is no surface at density {level:g}: even the emptiest place has {least:.3g}; give a higher level"
        )


def _march(values: np.ndarray, known: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) in cells and faces (F, 3), counter-clockwise from outside."""
    padded = np.pad(values, 1, constant_values=2 * level - values.max())
    wanted = np.pad(known, 1)
    for axis in range(3):  # where the inside touches the side of the box, the surface is closed
        for layer in (0, 1, -2, -1):
            wanted[(slice(None),) * axis + (layer,)] = True
    vertices, faces, _, _ = marching_cubes(padded, level, mask=wanted, gradient_direction="ascent")
    return vertices.astype(np.float32) - 1, faces.astype(np.int64)


def _outer(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces of the pieces that are no floaters and lie within no other."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_array((np.ones(len(edges), bool), tuple(edges.T)), (len(vertices),) * 2)
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    corners = vertices[faces].astype(np.float64)
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.bincount(piece, np.linalg.norm(doubled, axis=1))
    volume = np.bincount(piece, (corners[:, 0] * doubled).sum(1))
    kept = (volume > 0) & (area >= FLOATER * area.sum())  # cavities are wound the other way round
    order = np.flatnonzero(kept)[np.argsort(-area[kept])]
    outer: list[int] = []
    for each in order:
        point = corners[piece == each][0, 0]
        if not any(_winding(point, corners[piece == other]) > 0.5 for other in outer):
            outer.append(int(each))
    return faces[np.isin(piece, outer)]


def _winding(point: np.ndarray, corners: np.ndarray) -> float:
    """How often a closed surface (F, 3, 3) goes round a point (Van Oosterom and Strackee, 1983)."""
    a, b, c = (corners - point).transpose(1, 0, 2)
    lengths = [np.linalg.norm(each, axis=1) for each in (a, b, c)]
    triple = (a * np.cross(b, c)).sum(1)
    below = (
        lengths[0] * lengths[1] * lengths[2]
        + (a * b).sum(1) * lengths[2]
        + (b * c).sum(1) * lengths[0]
        + (c * a).sum(1) * lengths[1]
    )
    return float(np.arctan2(triple, below).sum() / (2 * np.pi))


def _compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the vertices that no face needs."""
    used, renamed = np.unique(faces, return_inverse=True)
    return vertices[used], renamed.reshape(faces.shape)
