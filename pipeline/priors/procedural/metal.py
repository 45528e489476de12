"""Polished metal: reflections of the studio, baked by the direction of the surface."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.shading import KEY
from pipeline.priors.procedural.splats import Floats, unit


def polished(normal: Floats, color: Floats) -> Floats:
    """Display-ready linear colour (…, 3) of polished metal of a ``color`` (3,) with unit ``normal`` (…, 3).

    The studio that it mirrors is bright above, dark at the horizon, warm below, with the key light as a soft spot; seen
    from in front or, for what faces away, from behind.
    """
    viewer = np.zeros_like(normal)
    viewer[..., 2] = np.where(normal[..., 2] < -0.2, -1, 1)
    mirrored = 2 * (normal * viewer).sum(-1, keepdims=True) * normal - viewer
    up = mirrored[..., 1]
    studio = 0.34 + 0.75 * smoothstep(0.0, 0.7, up) + 0.25 * smoothstep(-0.15, -0.8, up)
    spot = np.maximum(0, (mirrored * unit(KEY)).sum(-1)) ** 24
    return (color * (studio + 1.3 * spot)[..., None] + 0.25 * spot[..., None]).astype(np.float32)
