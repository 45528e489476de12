"""`Splats`: unshaded splats in the world, as every layer of the procedural avatar makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from pipeline.avatar import Layer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

CURVE_OVERLAP = 0.6
"""Standard deviation of a curve's splat along its segment, in segment lengths: enough that neighbours blend."""
CURVE_FLATNESS = 0.6
"""Thickness of a curve's splat towards its normal, in radii."""


class Shading(IntEnum):
    """Which light model colours a splat."""

    SKIN = 0
    HAIR = 1
    CLOTH = 2
    UNLIT = 3
    EYE = 4


@dataclass
class Splats:
    """Splats on the neutral rig with what `shade` needs to colour them; one row per splat."""

    face: Ints
    """(N,) triangle of the rig that it hangs on."""
    position: Floats
    """(N, 3) metres."""
    rotation: Floats
    """(N, 3, 3) columns are the splat's axes."""
    scale: Floats
    """(N, 3) standard deviation along each axis, metres."""
    opacity: Floats
    """(N,) 0..1."""
    albedo: Floats
    """(N, 3) linear RGB."""
    normal: Floats
    """(N, 3) unit, for shading."""
    tangent: Floats
    """(N, 3) unit direction of the hair; zero elsewhere."""
    ambient: Floats
    """(N,) how open the sky is, 0..1."""
    shadow: Floats
    """(N,) how much of the key light arrives, 0..1."""
    specular: Floats
    """(N,) strength of the highlight."""
    gloss: Floats
    """(N,) exponent of the highlight."""
    subsurface: Floats
    """(N,) how much light bleeds through, 0..1."""
    shading: Bytes
    """(N,) `Shading` values."""
    layer: Bytes
    """(N,) `pipeline.avatar.Layer` values."""

    @classmethod
    def of(
        cls,
        layer: Layer,
        shading: Shading,
        *,
        face: ArrayLike,
        position: ArrayLike,
        rotation: ArrayLike,
        scale: ArrayLike,
        opacity: ArrayLike,
        albedo: ArrayLike,
        normal: ArrayLike,
        tangent: ArrayLike = 0.0,
        ambient: ArrayLike = 1.0,
        shadow: ArrayLike = 1.0,
        specular: ArrayLike = 0.0,
        gloss: ArrayLike = 20.0,
        subsurface: ArrayLike = 0.0,
    ) -> Splats:
        """Splats of one layer; every value but ``position`` (N, 3) is broadcast to its full shape."""
        where = np.ascontiguousarray(position, np.float32)
        count = len(where)
        return cls(
            face=_full(face, (count,), np.int64),
            position=where,
            rotation=_full(rotation, (count, 3, 3)),
            scale=_full(scale, (count, 3)),
            opacity=_full(opacity, (count,)),
            albedo=_full(albedo, (count, 3)),
            normal=_full(normal, (count, 3)),
            tangent=_full(tangent, (count, 3)),
            ambient=_full(ambient, (count,)),
            shadow=_full(shadow, (count,)),
            specular=_full(specular, (count,)),
            gloss=_full(gloss, (count,)),
            subsurface=_full(subsurface, (count,)),
            shading=np.full(count, int(shading), np.uint8),
            layer=np.full(count, int(layer), np.uint8),
        )

    @classmethod
    def empty(cls) -> Splats:
        """No splats: what a layer returns that this person lacks."""
        none = np.zeros((0, 3), np.float32)
        return cls.of(
            Layer.SKIN, Shading.SKIN, face=0, position=none, rotation=np.eye(3), scale=1, opacity=1, albedo=0, normal=0
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Splats]) -> Splats:
        """All parts after one another."""
        if not parts:
            return cls.empty()
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def select(self, mask: NDArray[Any]) -> Splats:
        """The rows of a bool mask or an index array."""
        return type(self)(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    def __len__(self) -> int:
        return len(self.position)


def f32(values: ArrayLike) -> Floats:
    """A float32 array."""
    return np.asarray(values, np.float32)


def unit(vectors: ArrayLike) -> Floats:
    """(..., 3) vectors scaled to length 1; zero stays zero."""
    v = np.asarray(vectors, np.float32)
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), np.float32(1e-12))


def frame_from_normal(normal: ArrayLike, tangent: ArrayLike | None = None) -> Floats:
    """Axes (N, 3, 3) with columns tangent, normal × tangent, normal: a disc's scale is (along, across, thickness).

    ``normal`` (N, 3); ``tangent`` (N, 3) or (3,) is made orthogonal to it, any direction where it is left out.
    """
    n = unit(normal)
    if tangent is None:
        steep = np.abs(n[:, 1:2]) < 0.9
        tangent = np.where(steep, f32([[0, 1, 0]]), f32([[1, 0, 0]]))
    across = unit(np.cross(n, np.broadcast_to(np.asarray(tangent, np.float32), n.shape)))
    return np.stack([np.cross(across, n), across, n], axis=-1)


def curve_splats(
    layer: Layer,
    shading: Shading,
    *,
    points: Floats,
    radius: ArrayLike,
    face: ArrayLike,
    normal: ArrayLike,
    albedo: ArrayLike,
    overlap: float = CURVE_OVERLAP,
    **properties: ArrayLike,
) -> Splats:
    """One elongated splat per segment of each curve: hairs, lashes, seams, cords.

    ``points`` (S, K, 3) polylines. ``radius`` metres, scalar, (S,), (1, K−1) or (S, K−1). ``face`` scalar, (S,) or
    (S, K−1). ``normal`` and ``albedo`` (3,), (S, 3) or (S, K−1, 3). The other ``properties`` of `Splats.of` are given
    as scalar, (S,), (1, K−1) or (S, K−1). → S·(K−1) splats in the order of the curves, each from root to tip.
    """
    curves, count = points.shape[0], points.shape[1] - 1
    steps = np.diff(points, axis=1).reshape(-1, 3)
    length = np.linalg.norm(steps, axis=-1)
    tangent = unit(steps)
    thickness = _along(radius, curves, count)
    rotation = frame_from_normal(_along(normal, curves, count, 3), tangent)
    # frame_from_normal keeps the normal exactly; a hair must keep its direction instead
    rotation = np.stack([tangent, rotation[..., 1], np.cross(tangent, rotation[..., 1])], axis=-1)
    return Splats.of(
        layer,
        shading,
        face=_along(face, curves, count, dtype=np.int64),
        position=(0.5 * (points[:, 1:] + points[:, :-1])).reshape(-1, 3),
        rotation=rotation,
        scale=np.stack([np.maximum(length * overlap, thickness), thickness, thickness * CURVE_FLATNESS], axis=-1),
        albedo=_along(albedo, curves, count, 3),
        normal=rotation[..., 2],
        tangent=tangent,
        **{name: _along(value, curves, count) for name, value in properties.items()},  # type: ignore[arg-type]
    )


def quaternions(rotation: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) → unit quaternions (N, 4) wxyz."""
    out = np.empty((len(rotation), 4), np.float32)
    _quaternions(np.ascontiguousarray(rotation, np.float32), out)
    return out


@njit(cache=True)
def _quaternions(m, out):  # type: ignore[no-untyped-def]
    """By the largest component (Shepperd 1978), which is never small."""
    for i in range(len(m)):
        trace = m[i, 0, 0] + m[i, 1, 1] + m[i, 2, 2]
        best = 3
        for k in range(3):
            if m[i, k, k] > (trace if best == 3 else m[i, best, best]):
                best = k
        if best == 3:
            out[i, 0] = 1 + trace
            out[i, 1] = m[i, 2, 1] - m[i, 1, 2]
            out[i, 2] = m[i, 0, 2] - m[i, 2, 0]
            out[i, 3] = m[i, 1, 0] - m[i, 0, 1]
        else:
            a, b, c = best, (best + 1) % 3, (best + 2) % 3
            out[i, 0] = m[i, c, b] - m[i, b, c]
            out[i, 1 + a] = 1 + m[i, a, a] - m[i, b, b] - m[i, c, c]
            out[i, 1 + b] = m[i, a, b] + m[i, b, a]
            out[i, 1 + c] = m[i, a, c] + m[i, c, a]
        out[i] /= np.sqrt((out[i] * out[i]).sum())


def _full(value: ArrayLike, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype), shape))


def _along(value: ArrayLike, curves: int, count: int, width: int = 0, dtype: type = np.float32) -> NDArray[Any]:
    """Spread a value given per set, per curve or per segment to (curves · count, …)."""
    array: NDArray[Any] = np.asarray(value, dtype)
    tail = (width,) if width else ()
    if array.ndim == 1 + len(tail) and array.shape[0] == curves:
        array = array[:, None]
    return np.broadcast_to(array, (curves, count, *tail)).reshape(curves * count, *tail)
