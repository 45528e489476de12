"""`Strands`: one layer of grown hair, and how it becomes lit splats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.avatar import Layer
from pipeline.priors.procedural.hair.colour import paint
from pipeline.priors.procedural.hair.field import BodyField
from pipeline.priors.procedural.splats import Floats, Ints, Shading, Splats, curve_splats, unit
from pipeline.priors.procedural.volume import HairVolume

OVERLAP = 0.46
"""Standard deviation of a splat along the hair, in segments: the least that leaves no beads on a straight strand."""
RADIAL = 0.5
"""Share of the direction away from the skin in the shading normal; the rest is the slope of the hair's density."""
FAIR_SCATTERING = 0.6
"""Share of the extinction that white hair is spared."""
DEPTH_COLOUR = 0.3
"""How much more saturated hair is where no sky is seen."""
STRAND_JITTER = 0.25
"""Turn of each strand's normal, so that neighbours glint apart."""


@dataclass(frozen=True)
class Strands:
    """Hairs of one kind; one row per hair."""

    points: Floats
    """(N, K, 3) metres, from root to tip."""
    face: Ints
    """(N,) triangle of the root."""
    radius: Floats
    """(N,) standard deviation across, metres."""
    lock: Ints
    """(N,) which lock it belongs to; locks share a shade."""
    taper: Floats
    """(K−1,) or (N, K−1) factor on the radius from root to tip."""
    shade: float = 1.0
    """Factor on the albedo: an under-layer is darker."""
    opacity: float | Floats = 0.92
    """Scalar or (N,)."""

    @property
    def segments(self) -> int:
        return self.points.shape[1] - 1

    def select(self, chosen: Ints) -> Strands:
        """The hairs of these rows; only for layers with one taper and opacity for all."""
        rows = {name: getattr(self, name)[chosen] for name in ("points", "face", "radius", "lock")}
        return replace(self, **rows)


@dataclass(frozen=True)
class Look:
    """What the hair is made of."""

    color: str
    gray: float
    specular: float = 0.13
    gloss: float = 70.0


def to_splats(layer: Layer, strands: Sequence[Strands], look: Look, rng: np.random.Generator) -> Splats:
    """Unlit splats of all layers; their normals are the strands' own until `light` sets them."""
    parts = []
    for part in strands:
        albedo = paint(look.color, look.gray, part.lock, part.segments, rng) * np.float32(part.shade)
        taper = np.broadcast_to(part.taper, (len(part.points), part.segments))
        parts.append(
            curve_splats(
                layer, Shading.HAIR, points=part.points, radius=part.radius[:, None] * taper, face=part.face,
                normal=_sideways(part.points), albedo=albedo, overlap=OVERLAP, opacity=part.opacity,
                specular=look.specular * (1 - 0.5 * np.minimum(1, albedo.mean((1, 2)) / 0.4)), gloss=look.gloss,
            )
        )  # fmt: skip
    return Splats.concatenate(parts)


def light(splats: Splats, volume: HairVolume, body: BodyField, key: Floats, rng: np.random.Generator) -> None:
    """Set normals, sky and key light of hair splats in place. ``key`` (3,) unit, towards the light."""
    outward = body.distance(splats.position)[1]
    jitter = STRAND_JITTER * rng.standard_normal(splats.position.shape).astype(np.float32)
    normal = unit(volume.normals(splats.position) * (1 - RADIAL) + outward * RADIAL)
    sky, sun = volume.shade_hair(splats.position, normal, key)
    # fair hair scatters light onwards, so that less is lost on the way in
    lost = 1 - FAIR_SCATTERING * np.minimum(splats.albedo.mean(1) / 0.5, 1)
    splats.ambient, splats.shadow = sky**lost, sun**lost
    # light that went through more hair took more of its colour
    pure = splats.albedo / np.maximum(splats.albedo.max(1, keepdims=True), 1e-4)
    splats.albedo = splats.albedo * pure ** (DEPTH_COLOUR * (1 - splats.ambient[:, None]))
    normal = unit(normal + jitter)
    across = unit(normal - (normal * splats.tangent).sum(1, keepdims=True) * splats.tangent)
    splats.normal = across


def _sideways(points: Floats) -> Floats:
    """(N, 3) a direction that no segment of a strand is likely to have: from the middle of all to the strand."""
    middle = points.mean(1)
    return unit(middle - middle.mean(0) + np.float32(1e-4))
