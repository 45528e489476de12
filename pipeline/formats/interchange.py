"""Splats of one pose as glTF with KHR_gaussian_splatting: for other programs, not for streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.avatar import Gaussians
from pipeline.errors import UserError
from pipeline.formats.glb import GENERATOR
from pipeline.formats.gltf import ARRAY_BUFFER, GlbBuilder

EXTENSION = "KHR_gaussian_splatting"
POINTS = 0
SMALLEST_SCALE = 1e-9
"""Metres; the format stores logarithms."""


def write_interchange_glb(gaussians: Gaussians, path: str | Path) -> None:
    """Write world-space splats as a POINTS primitive with the attributes of KHR_gaussian_splatting (release candidate).

    ROTATION is xyzw, SCALE the natural logarithm of the standard deviation, OPACITY 0..1, SH complete degrees up to 3;
    COLOR_0 serves viewers that know points only. Axes and metres are glTF's own. The extension has no opacity
    compensation: avatars made for ``antialiased`` rasterising look heavier in thin hair there.
    Raises `UserError` when there is nothing to write.
    """
    if not len(gaussians.means):
        raise UserError("there are no splats to write")
    builder = GlbBuilder(GENERATOR)
    attributes = {name: _attribute(builder, *values) for name, values in _attributes(gaussians).items()}
    primitive = {
        "attributes": attributes,
        "mode": POINTS,
        "extensions": {
            EXTENSION: {
                "kernel": "ellipse",
                "colorSpace": "srgb_rec709_display",
                "projection": "perspective",
                "sortingMethod": "cameraDistance",
            }
        },
    }
    builder.document.update(
        scene=0,
        scenes=[{"nodes": [0]}],
        nodes=[{"name": "splats", "mesh": 0}],
        meshes=[{"name": "splats", "primitives": [primitive]}],
        extensionsUsed=[EXTENSION],
    )
    builder.write(path)


def _attributes(gaussians: Gaussians) -> dict[str, tuple[np.ndarray, str, dict[str, Any]]]:
    """Attribute name → (values, glTF type, further accessor fields)."""
    means = gaussians.means.detach().numpy().astype("<f4")
    quats = torch.nn.functional.normalize(gaussians.quats.detach(), dim=-1).numpy()
    scales = gaussians.scales.detach().clamp_min(SMALLEST_SCALE).log().numpy()
    opacities = gaussians.opacities.detach().numpy().clip(0, 1)
    sh = gaussians.sh.detach().numpy()
    srgb = gaussians.colors.detach().numpy().clip(0, 1)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    fallback = np.round(np.concatenate([linear, opacities[:, None]], 1) * 65535).astype("<u2")
    bounds = {"min": means.min(0).tolist(), "max": means.max(0).tolist()}
    values: dict[str, tuple[np.ndarray, str, dict[str, Any]]] = {
        "POSITION": (means, "VEC3", bounds),
        "COLOR_0": (fallback, "VEC4", {"normalized": True}),
        f"{EXTENSION}:ROTATION": (quats[:, [1, 2, 3, 0]].astype("<f4"), "VEC4", {}),
        f"{EXTENSION}:SCALE": (scales.astype("<f4"), "VEC3", {}),
        f"{EXTENSION}:OPACITY": (opacities.astype("<f4"), "SCALAR", {}),
    }
    for index in range(sh.shape[1]):
        degree = int(index**0.5)
        name = f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{index - degree * degree}"
        values[name] = (sh[:, index].astype("<f4"), "VEC3", {})
    return values


def _attribute(builder: GlbBuilder, values: np.ndarray, kind: str, fields: dict[str, Any]) -> int:
    return builder.array(values, kind, target=ARRAY_BUFFER, **fields)
