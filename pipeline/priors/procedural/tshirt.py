"""A t-shirt with a ribbed collar."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.avatar import Layer
from pipeline.priors.procedural import palette
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.fields import noise, smoothstep
from pipeline.priors.procedural.garment import (
    Drape,
    Neckline,
    above_cut,
    cloth_discs,
    fold_field,
    trunk,
)
from pipeline.priors.procedural.sheets import sheet_normals, sheet_splats
from pipeline.priors.procedural.splats import Floats, Shading, Splats
from pipeline.priors.procedural.surface import Samples

CREW = Neckline((0, 25, 50, 75, 100, 130, 155, 180), (0.547, 0.550, 0.561, 0.579, 0.5915, 0.5965, 0.599, 0.600))
SCOOP = Neckline((0, 25, 50, 75, 95, 120, 155, 180), (0.531, 0.538, 0.557, 0.575, 0.587, 0.592, 0.596, 0.597))
"""Of women and girls, a little lower."""
SPACING = 4.0e-3
LIFT = 3.5e-3
"""Metres between skin and cloth."""
FOLD_DEPTH = 1.6e-3
COLLAR_COLUMNS = 236
COLLAR_STIFFNESS = 5.0
"""Columns over which the collar is smoothed: it follows the neck, not each of its triangles."""
COLLAR_WIDTH = 0.0135
_COLLAR_PROFILE = (
    (-0.0006, 0.0004), (-0.0012, 0.0022), (-0.0004, 0.0040), (0.0014, 0.0048), (0.0034, 0.0051), (0.0054, 0.0052),
    (0.0074, 0.0052), (0.0094, 0.0051), (0.0114, 0.0048), (COLLAR_WIDTH, 0.0040),
)  # fmt: skip
"""Metres (down from the edge, above the skin) of each row of the collar band, from its inner side over the roll."""
RIB = 0.045
"""Relative brightness of the collar's ribs."""
WEAVE = 0.02


def tshirt_neckline(attributes: Attributes) -> Neckline:
    """Where this person's t-shirt ends."""
    return SCOOP if attributes.gender >= 0.5 else CREW


def make_tshirt(drape: Drape, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """Body and collar."""
    color = palette.linear_rgb(attributes.clothing_color, palette.CLOTH_COLORS)
    return Splats.concatenate([_body(drape, color, rng), _collar(drape, color)])


def _body(drape: Drape, color: Floats, rng: np.random.Generator) -> Splats:
    surface, neckline = drape.surface, drape.neckline
    samples = surface.sample(trunk(surface, neckline), SPACING * surface.size, rng)
    below = neckline.below(samples.template)
    samples = samples.select((below > 0.004) & (above_cut(samples.template) > 0))
    below = neckline.below(samples.template)
    folds = fold_field(samples.template, FOLD_DEPTH)
    position, normal = drape.over(samples, LIFT * smoothstep(-0.004, 0.012, below) + np.maximum(folds, -0.6 * LIFT))
    ambient, shadow = drape.light(position, normal)
    hollow = 1 - 0.16 * smoothstep(0, -1.5 * FOLD_DEPTH, folds)
    # the collar's edge leaves a soft shadow
    hollow *= 1 - 0.2 * np.exp(-(((below - COLLAR_WIDTH) / 0.006) ** 2))
    return cloth_discs(
        drape, samples, position, normal, FOLD_DEPTH,
        albedo=color * _weave(samples, rng)[:, None], ambient=ambient * hollow, shadow=shadow, specular=0.04,
    )  # fmt: skip


def _weave(samples: Samples, rng: np.random.Generator) -> Floats:
    grain = noise(samples.template, 0.012, 50) * 0.6 + 0.6 * rng.standard_normal(len(samples)).astype(np.float32)
    return np.exp(WEAVE * grain)


def _collar(drape: Drape, color: Floats) -> Splats:
    angle = np.linspace(-np.pi, np.pi, COLLAR_COLUMNS, endpoint=False, dtype=np.float32)
    rows = [_collar_row(drape, angle, down, lift) for down, lift in _COLLAR_PROFILE]
    points = gaussian_filter1d(np.stack([position for position, _ in rows]), COLLAR_STIFFNESS, axis=1, mode="wrap")
    outward = np.stack([normal for _, normal in rows])
    face = np.stack([drape.steady_faces(points[-1])] * len(rows))
    normal = sheet_normals(points, outward, closed=True)
    ambient, shadow = drape.light(points.reshape(-1, 3), normal.reshape(-1, 3))
    stripe = 1 + RIB * np.where(np.arange(COLLAR_COLUMNS) % 2, 1, -1)
    seam = np.ones(len(rows))
    seam[-2:] = 0.8, 0.72
    return sheet_splats(
        Layer.CLOTH,
        Shading.CLOTH,
        points,
        outward=outward,
        face=face,
        albedo=color * (stripe[None, :] * seam[:, None])[..., None].astype(np.float32),
        closed=True,
        ambient=(0.25 + 0.75 * ambient).reshape(points.shape[:2]),
        shadow=shadow.reshape(points.shape[:2]),
        specular=0.04,
        gloss=8.0,
    )


def _collar_row(drape: Drape, angle: Floats, down: float, lift: float) -> tuple[Floats, Floats]:
    """One row of points round the neck, ``down`` metres along the skin below the edge and ``lift`` metres above it:
    position and normal (N, 3)."""
    size = drape.surface.size
    edge = drape.neckline.height(angle)
    probe = np.float32(0.010)
    upper, lower = drape.around(angle, edge + probe / 2), drape.around(angle, edge - probe / 2)
    stretch = np.linalg.norm(upper.position - lower.position, axis=1) / (probe * size)
    stretch = np.clip(np.convolve(np.r_[stretch[-6:], stretch, stretch[:6]], np.full(13, 1 / 13), "valid"), 0.9, 2.5)
    samples = drape.around(angle, edge - np.float32(down) / stretch.astype(np.float32))
    return drape.over(samples, lift)
