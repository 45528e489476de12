"""Light: what turns unshaded splats into display colours, baked for the neutral pose."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from scipy.spatial import cKDTree

from pipeline.priors.procedural.splats import Floats, Shading, Splats, f32, unit

KEY = unit([-0.52, 0.60, 0.74])
"""Direction to the key light: a large soft box above the camera's left."""
_FILL = unit([0.86, 0.10, 0.60])
_RIM_LEFT = unit([0.62, 0.50, -0.72])
_RIM_RIGHT = unit([-0.82, 0.40, -0.52])
_DIRECTIONS = np.stack([KEY, _FILL, _RIM_LEFT, _RIM_RIGHT]).astype(np.float32)
_COLORS = np.array([[1.03, 0.98, 0.92], [0.17, 0.18, 0.20], [0.34, 0.35, 0.38], [0.20, 0.21, 0.235]], np.float32)
_SKY = np.array([0.255, 0.262, 0.278], np.float32)
_GROUND = np.array([0.150, 0.124, 0.108], np.float32)

SCATTER_MM = np.array([2.6, 1.1, 0.6], np.float32)
"""How far red, green and blue light travels in skin: standard deviations in millimetres, after d'Eon & Luebke, GPU
Gems 3 (2007), chapter 14, whose wide red tail is cut at what twelve neighbours reach."""
SCATTER_NEIGHBOURS = 12
_WRAP = np.array([0.26, 0.14, 0.09], np.float32)
"""How far light reaches round the terminator per channel."""

_FASTMATH = {"nnan", "ninf", "nsz", "arcp", "contract", "afn"}
"""Without "reassoc": with it a parallel kernel adds up in another order once it comes from the disk cache, and the
first head after an installation would differ from the next in its last bits."""

_HAIR_SHIFT = np.float32(0.18)
"""Tilt of the second, coloured highlight of a hair against the first (Marschner et al. 2003)."""


def shade(splats: Splats) -> Floats:
    """Display sRGB (N, 3) 0..1 of every splat under the studio light, for a viewer in front of what it faces."""
    light, gleam = _illuminate(
        splats.normal, splats.tangent, splats.ambient, _bounced(splats), splats.shadow, splats.specular, splats.gloss,
        splats.subsurface, splats.shading, _DIRECTIONS, _COLORS, _SKY, _GROUND, _WRAP,
    )  # fmt: skip
    _scatter(splats, light)
    display = to_display(splats.albedo * light + gleam * np.where(_is_hair(splats), 0.35 + 0.65 * _tinted(splats), 1))
    unlit = splats.shading == Shading.UNLIT
    display[unlit] = np.clip(splats.albedo[unlit], 0, 1) ** np.float32(1 / 2.2)
    return display


def to_display(linear: Floats) -> Floats:
    """Linear light → sRGB with a soft shoulder, so that bright skin does not clip."""
    x = np.maximum(linear, 0)
    return f32(np.clip(x * (1 + 0.16 * x) / (1 + 0.55 * x) * 1.22, 0, 1) ** (1 / 2.2))


def _is_hair(splats: Splats) -> Floats:
    return (splats.shading == Shading.HAIR)[:, None]


def _tinted(splats: Splats) -> Floats:
    """Hair's highlight carries some of its own colour."""
    brightest = splats.albedo.max(1, keepdims=True)
    return splats.albedo / np.maximum(brightest, 1e-4)


def _bounced(splats: Splats) -> Floats:
    """(N, 3) sky light that arrives, with what bounces inside a crease of the skin in the colour of what is there:
    Jiménez et al., Practical Realtime Strategies for Accurate Indirect Occlusion (2016), eq. 10."""
    x = splats.ambient[:, None]
    a = splats.albedo
    bounced = ((x * (2.0404 * a - 0.3324) - (4.7951 * a - 0.6417)) * x + (2.7552 * a + 0.6903)) * x
    skin = (splats.shading == Shading.SKIN)[:, None]
    return f32(np.where(skin, np.maximum(bounced, x), x))


def _scatter(splats: Splats, light: Floats) -> None:
    """Blur the light that enters skin over its neighbours, red furthest; in place."""
    skin = np.flatnonzero((splats.shading == Shading.SKIN) & (splats.subsurface > 0.5))
    if len(skin) <= SCATTER_NEIGHBOURS:
        return
    points = splats.position[skin]
    distance, index = cKDTree(points).query(points, SCATTER_NEIGHBOURS, workers=-1)
    light[skin] = _blur(light[skin], splats.normal[skin], distance.astype(np.float32), index, SCATTER_MM * 1e-3)


@njit(parallel=True, cache=True, fastmath=_FASTMATH)
def _blur(light, normal, distance, index, sigma):  # type: ignore[no-untyped-def]
    out = np.empty_like(light)
    for i in prange(len(light)):
        for c in range(3):
            total = np.float32(0)
            weight = np.float32(0)
            for k in range(index.shape[1]):
                j = index[i, k]
                facing = normal[i, 0] * normal[j, 0] + normal[i, 1] * normal[j, 1] + normal[i, 2] * normal[j, 2]
                if facing > 0:
                    d = distance[i, k] / sigma[c]
                    w = math.exp(-np.float32(0.5) * d * d)
                    total += w * light[j, c]
                    weight += w
            out[i, c] = total / weight
    return out


@njit(parallel=True, cache=True, fastmath=_FASTMATH)
def _illuminate(  # type: ignore[no-untyped-def]
    normal, tangent, ambient, bounced, shadow, specular, gloss, subsurface, shading,
    directions, colors, sky, ground, wrap,
):  # fmt: skip
    """Diffuse light and highlight (N, 3) each."""
    count = len(normal)
    light = np.empty((count, 3), np.float32)
    gleam = np.zeros((count, 3), np.float32)
    for i in prange(count):
        nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
        vx, vy, vz = _viewer(nx, nz)
        up = np.float32(0.5) + np.float32(0.5) * ny
        for c in range(3):
            light[i, c] = (sky[c] * up + ground[c] * (1 - up)) * bounced[i, c]
        for j in range(len(directions)):
            lx, ly, lz = directions[j, 0], directions[j, 1], directions[j, 2]
            seen = shadow[i] if j == 0 else np.float32(0.3) + np.float32(0.7) * ambient[i]
            toward = nx * lx + ny * ly + nz * lz
            hx, hy, hz = lx + vx, ly + vy, lz + vz
            inverse = 1 / math.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-9))
            hx, hy, hz = hx * inverse, hy * inverse, hz * inverse
            if shading[i] == 1:  # Shading.HAIR
                tx, ty, tz = tangent[i, 0], tangent[i, 1], tangent[i, 2]
                diffuse, first, second = _hair(tx, ty, tz, nx, ny, nz, lx, ly, lz, hx, hy, hz, toward, gloss[i])
                for c in range(3):
                    light[i, c] += colors[j, c] * seen * (diffuse + np.float32(1.6) * specular[i] * second)
                    gleam[i, c] += colors[j, c] * seen * specular[i] * first
                continue
            for c in range(3):
                w = wrap[c] * subsurface[i]
                light[i, c] += colors[j, c] * seen * max(np.float32(0), (toward + w) / (1 + w))
            if toward > 0 and specular[i] > 0:
                shine = specular[i] * seen * _highlight(nx * hx + ny * hy + nz * hz, vx * hx + vy * hy + vz * hz,
                                                        toward, gloss[i])  # fmt: skip
                for c in range(3):
                    gleam[i, c] += colors[j, c] * shine
        rim = 1 - min(np.float32(1), max(np.float32(0), nx * vx + ny * vy + nz * vz))
        for c in range(3):
            gleam[i, c] += np.float32(0.22) * rim**4 * ambient[i] * specular[i] * sky[c]
    return light, gleam


@njit(cache=True, fastmath=True)
def _viewer(nx, nz):  # type: ignore[no-untyped-def]
    """Colour is baked, so each splat is shaded for who would look at it: from the front, or from behind for what
    faces away."""
    front = min(np.float32(1), max(np.float32(0), (nz + np.float32(0.35)) / np.float32(0.7)))
    x = nx * (1 - front)
    z = np.float32(0.55) * front + nz * (1 - front) + np.float32(1e-4)
    inverse = 1 / math.sqrt(x * x + z * z)
    return x * inverse, np.float32(0.06), z * inverse


@njit(cache=True, fastmath=True)
def _highlight(nh, vh, toward, gloss):  # type: ignore[no-untyped-def]
    """Two Blinn lobes with Schlick's Fresnel term: skin's oil is a broad sheen and a narrower gleam."""
    nh, vh = max(np.float32(0), nh), max(np.float32(0), vh)
    fresnel = np.float32(0.25) + np.float32(0.75) * (1 - vh) ** 5
    broad = np.float32(0.65) * nh**gloss * gloss * np.float32(0.06)
    narrow = np.float32(0.35) * nh ** (3 * gloss) * gloss * np.float32(0.12)
    return fresnel * (broad + narrow) * min(np.float32(1), 3 * toward)


@njit(cache=True, fastmath=True)
def _hair(tx, ty, tz, nx, ny, nz, lx, ly, lz, hx, hy, hz, toward, gloss):  # type: ignore[no-untyped-def]
    """Kajiya & Kay's diffuse term and two highlights, the second shifted towards the root and broader."""
    td = tx * lx + ty * ly + tz * lz
    wrapped = max(np.float32(0), (toward + np.float32(0.45)) / np.float32(1.45))
    diffuse = (np.float32(0.45) * math.sqrt(max(np.float32(0), 1 - td * td)) + np.float32(0.55)) * wrapped
    th = tx * hx + ty * hy + tz * hz
    first = max(np.float32(0), 1 - th * th) ** (gloss * np.float32(0.5)) * wrapped
    shifted = th + _HAIR_SHIFT * (nx * hx + ny * hy + nz * hz)
    second = max(np.float32(0), 1 - shifted * shifted) ** (gloss * np.float32(0.12)) * wrapped
    return diffuse, first, second
