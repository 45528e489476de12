"""Sheets and tubes of splats on regular grids: rows run along their borders, which makes the borders crisp."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pipeline.avatar import Layer
from pipeline.priors.procedural.splats import Floats, Shading, Splats, unit

SPREAD = 0.74
"""Standard deviation in grid steps: neighbours melt into one surface."""
THINNEST = 1e-4
"""Metres; splats are no thinner than this."""


def sheet_splats(
    layer: Layer,
    shading: Shading,
    points: Floats,
    *,
    outward: ArrayLike,
    face: ArrayLike,
    albedo: ArrayLike,
    closed: bool = False,
    opacity: ArrayLike = 0.97,
    thickness: float = 3e-4,
    **properties: ArrayLike,
) -> Splats:
    """One flat splat per point of a grid (R, C, 3).

    ``outward`` (3,) or (R, C, 3): the side that is seen. ``closed``: the columns form a ring. ``face`` scalar or
    (R, C); ``albedo`` (3,) or (R, C, 3); the other properties of `Splats.of` scalar or (R, C). ``thickness`` metres.
    """
    normal = sheet_normals(points, outward, closed)
    along_row, along_column = _steps(points, closed)
    shape = points.shape[:2]
    tangent = unit(along_row)
    across = np.cross(normal, tangent)
    height = np.abs((along_column * across).sum(-1)) + 0.3 * np.linalg.norm(along_column, axis=-1)
    width = np.linalg.norm(along_row, axis=-1)
    scale = np.stack([width * SPREAD, np.minimum(height, np.linalg.norm(along_column, axis=-1)) * SPREAD,
                      np.full(shape, thickness)], axis=-1)  # fmt: skip

    def flat(value: ArrayLike, width: int = 0) -> ArrayLike:
        array = np.asarray(value)
        return array.reshape(-1, width) if width and array.ndim == 3 else array.ravel() if array.ndim == 2 else array

    return Splats.of(
        layer,
        shading,
        face=flat(face),
        position=points.reshape(-1, 3),
        rotation=np.stack([tangent, across, normal], axis=-1).reshape(-1, 3, 3),
        scale=np.maximum(scale, THINNEST).reshape(-1, 3),
        opacity=flat(opacity),
        albedo=flat(albedo, 3),
        normal=normal.reshape(-1, 3),
        **{name: flat(value) for name, value in properties.items()},
    )


def sheet_normals(points: Floats, outward: ArrayLike, closed: bool = False) -> Floats:
    """Unit normals (R, C, 3) of a grid of points on the side of ``outward`` (3,) or (R, C, 3)."""
    along_row, along_column = _steps(points, closed)
    normal = unit(np.cross(along_row, along_column))
    side = (normal * np.asarray(outward, np.float32)).sum(-1, keepdims=True)
    return np.where(side < 0, -normal, normal)


def tube(path: Floats, radius: ArrayLike, sides: int, *, closed: bool = False, flatness: float = 1.0,
         up: ArrayLike = (0.0, 1.0, 0.0)) -> tuple[Floats, Floats]:  # fmt: skip
    """Grid (K, sides, 3) round a path (K, 3), and the outward direction of each of its points.

    ``radius`` metres, scalar or (K,). ``flatness`` < 1 squeezes the section along ``up`` made orthogonal to the path.
    ``closed``: the path is a ring; its last point is not the first.
    """
    forward = unit(_difference(path, 0, closed))
    upward = np.broadcast_to(np.asarray(up, np.float32), path.shape)
    upward = unit(upward - (upward * forward).sum(1, keepdims=True) * forward)
    side = np.cross(forward, upward)[:, None]
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False, dtype=np.float32)[None, :, None]
    across, above = np.cos(angle) * side, np.sin(angle) * upward[:, None]
    reach = np.broadcast_to(np.asarray(radius, np.float32), len(path))[:, None, None]
    points = path[:, None] + reach * (across + above * np.float32(flatness))
    return points.astype(np.float32), unit(across + above / np.float32(flatness))


def tube_splats(
    layer: Layer, shading: Shading, points: Floats, outward: Floats, *, closed: bool = False, **properties: ArrayLike
) -> Splats:
    """Splats of a `tube`: its grid and outward directions (K, sides, 3); ``closed`` as there."""
    if closed:
        points, outward = (np.concatenate([grid, grid[:1]]) for grid in (points, outward))
        properties = {
            name: np.concatenate([value, value[:1]]) if np.ndim(value) >= 2 else value  # type: ignore[index]
            for name, value in properties.items()
        }
    splats = sheet_splats(layer, shading, points, outward=outward, closed=True, **properties)  # type: ignore[arg-type]
    return splats.select(np.arange(len(splats) - closed * points.shape[1]))


def _steps(points: Floats, closed: bool) -> tuple[Floats, Floats]:
    """Vectors from one grid point to the next along its row and along its column, averaged over both sides."""
    return _difference(points, 1, closed), _difference(points, 0, False)


def _difference(points: Floats, axis: int, closed: bool) -> Floats:
    if closed:
        return (np.roll(points, -1, axis) - np.roll(points, 1, axis)) * np.float32(0.5)
    return np.gradient(points, axis=axis).astype(np.float32)
