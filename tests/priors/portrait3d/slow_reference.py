"""The renderer's formulas once more, one number at a time, to compare the fast ones with."""

from __future__ import annotations

import math

import numpy as np

from pipeline.camera import Camera
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.rendering import RenderOptions
from pipeline.priors.portrait3d.trigrid import TriGrid


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def trilinear(volume: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    """(12, D, H, W) at −1..1 along W, H, D; zero beyond the outermost voxels."""
    found = np.zeros(volume.shape[0])
    depth, height, width = volume.shape[1:]
    px, py, pz = ((p + 1) / 2 * n - 0.5 for p, n in ((x, width), (y, height), (z, depth)))
    for k in (math.floor(pz), math.floor(pz) + 1):
        for j in (math.floor(py), math.floor(py) + 1):
            for i in (math.floor(px), math.floor(px) + 1):
                if 0 <= k < depth and 0 <= j < height and 0 <= i < width:
                    found += (1 - abs(px - i)) * (1 - abs(py - j)) * (1 - abs(pz - k)) * volume[:, k, j, i]
    return found


def features(trigrid: TriGrid, point: np.ndarray) -> np.ndarray:
    """(12,) at a point in the grid's units."""
    x, y, z = point * (2 / 0.7)
    total = np.zeros(12)
    for level in trigrid.levels:
        for plane, place in enumerate(((x, y, z), (x, z, y), (y, z, x))):
            maps = level[0, plane].double().numpy()
            volume = np.stack([[maps[3 * c + d] for d in range(3)] for c in range(12)])
            total += trilinear(volume, *place)
    return total / len(trigrid.levels) / 3


def decode(painter: Painter, found: np.ndarray) -> tuple[float, np.ndarray]:
    state = {name: t.double().numpy() for name, t in painter.state_dict().items()}
    hidden = state["decoder.net.0.weight"] / math.sqrt(12) @ found + state["decoder.net.0.bias"]
    hidden = np.array([softplus(h) for h in hidden])
    out = state["decoder.net.2.weight"] / math.sqrt(32) @ hidden + state["decoder.net.2.bias"]
    return float(out[0]), out[1:]


def paint(painter: Painter, colors: np.ndarray, ws: np.ndarray) -> np.ndarray:
    state = {name: t.double().numpy() for name, t in painter.state_dict().items()}
    styles = (state["torgb.affine.weight"] / math.sqrt(512) @ ws[13] + state["torgb.affine.bias"]) / math.sqrt(32)
    return (state["torgb.weight"][:, :, 0, 0] * styles) @ colors + state["torgb.bias"]


def weights(depths: list[float], sigmas: list[float]) -> list[float]:
    found, passed = [], 1.0
    for k in range(len(depths) - 1):
        alpha = 1 - math.exp(-softplus((sigmas[k] + sigmas[k + 1]) / 2 - 1) * (depths[k + 1] - depths[k]))
        found.append(alpha * passed)
        passed *= 1 - alpha + 1e-10
    return found


def placed(depths: list[float], seen: list[float], u: list[float]) -> list[float]:
    padded = [-math.inf, *seen, -math.inf]
    highest = [max(padded[k], padded[k + 1]) for k in range(len(padded) - 1)]
    blurred = [(highest[k] + highest[k + 1]) / 2 + 0.01 + 1e-5 for k in range(len(highest) - 1)][1:-1]
    bins = [(depths[k] + depths[k + 1]) / 2 for k in range(len(depths) - 1)]
    cdf = [0.0]
    for weight in blurred:
        cdf.append(cdf[-1] + weight / sum(blurred))
    found = []
    for v in u:
        above = next((k for k in range(len(cdf)) if cdf[k] > v), len(cdf) - 1)
        below = max(above - 1, 0)
        width = cdf[above] - cdf[below]
        found.append(bins[below] + (v - cdf[below]) / (width if width >= 1e-5 else 1.0) * (bins[above] - bins[below]))
    return found


def ray(
    trigrid: TriGrid, painter: Painter, origin: np.ndarray, direction: np.ndarray, options: RenderOptions,
    jitter: list[float], u: list[float],
) -> tuple[np.ndarray, float, float]:  # fmt: skip
    """Colour channels (32,), coverage and depth."""

    def look(depth: float) -> tuple[float, np.ndarray]:
        point = (origin + depth * direction) / options.scale
        sigma, colors = decode(painter, features(trigrid, point))
        return (-1000.0 if abs(point[0]) > options.crop or abs(point[2]) > options.crop else sigma), colors

    step = (options.far - options.near) / (options.coarse - 1)
    depths = [options.near + step * (k + jitter[k]) for k in range(options.coarse)]
    samples = [(d, *look(d)) for d in depths]
    samples += [(d, *look(d)) for d in placed(depths, weights(depths, [s for _, s, _ in samples]), u)]
    samples.sort(key=lambda sample: sample[0])
    seen = weights([d for d, _, _ in samples], [s for _, s, _ in samples])
    pairs = list(zip(seen, samples, samples[1:], strict=False))
    colors = sum(w * (a[2] + b[2]) / 2 for w, a, b in pairs)
    total = sum(seen)
    depth = sum(w * (a[0] + b[0]) / 2 for w, a, b in pairs) / total if total > 0 else samples[-1][0]
    return np.asarray(colors), total, depth


def render(
    trigrid: TriGrid, painter: Painter, camera: Camera, options: RenderOptions, background: np.ndarray | None = None,
    drawn: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Picture (H, W, 3), coverage and depth (H, W); ``background`` (32, H, W), ``drawn`` (H·W, coarse + fine)."""
    turn, K = camera.viewmat[:3, :3].double().numpy(), camera.K.double().numpy()
    origin = -turn.T @ camera.viewmat[:3, 3].double().numpy()
    image, alpha = np.zeros((camera.height, camera.width, 3)), np.zeros((camera.height, camera.width))
    depths = np.zeros_like(alpha)
    for j in range(camera.height):
        for i in range(camera.width):
            y = (j + 0.5 - K[1, 2]) / K[1, 1]
            x = (i + 0.5 - K[0, 2] - K[0, 1] * y) / K[0, 0]
            direction = turn.T @ np.array([x, y, 1.0]) / math.sqrt(x * x + y * y + 1)
            jitter = [0.5] * options.coarse
            u = [(k + 0.5) / options.fine for k in range(options.fine)]
            if drawn is not None:
                numbers = drawn[j * camera.width + i].tolist()
                jitter, u = numbers[: options.coarse], numbers[options.coarse :]
            colors, alpha[j, i], depths[j, i] = ray(trigrid, painter, origin, direction, options, jitter, u)
            if background is not None:
                colors = colors + (1 - alpha[j, i]) * background[:, j, i]
            image[j, i] = paint(painter, colors, trigrid.ws[0].double().numpy())
    return image, alpha, depths
