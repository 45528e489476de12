"""The rims of the eyelids, drawn once on the template of the free head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.heads.anny import fit_sphere
from pipeline.priors.procedural.splats import Floats
from pipeline.priors.procedural.surface import Samples, Surface

# Left eye, millimetres of the template, from the inner to the outer corner. Rim: where lashes grow. Tip: where the
# template's lash strips end. Ball: where the lower lid meets the eyeball.
_UPPER_RIM = [
    (18.7, 728.0, 138.6), (19.8, 728.5, 138.9), (21.3, 729.5, 139.2), (23.7, 730.9, 139.7), (27.2, 732.2, 140.4),
    (31.1, 732.9, 140.8), (34.7, 732.7, 140.5), (37.9, 732.2, 139.7), (40.5, 731.4, 138.7), (42.2, 730.7, 137.9),
    (43.1, 730.0, 137.2), (43.7, 729.4, 136.7), (43.9, 728.8, 136.3),
]  # fmt: skip
_UPPER_TIP = [
    (18.2, 728.6, 140.6), (19.1, 729.6, 141.0), (20.8, 731.1, 141.5), (23.1, 732.8, 142.4), (26.6, 734.5, 143.5),
    (30.7, 735.8, 144.1), (34.6, 736.2, 144.1), (38.1, 736.2, 143.6), (41.1, 735.8, 142.9), (43.8, 734.9, 142.1),
    (46.3, 733.7, 141.3), (48.8, 731.9, 140.4), (50.5, 729.6, 139.7),
]  # fmt: skip
_LOWER_RIM = [
    (19.1, 725.7, 138.6), (20.7, 725.6, 138.7), (22.3, 725.1, 139.1), (24.5, 724.7, 139.9), (27.5, 724.3, 140.7),
    (31.0, 723.8, 141.1), (34.9, 724.0, 140.8), (38.2, 724.6, 139.6), (40.5, 725.8, 138.4), (41.9, 726.5, 137.3),
    (42.7, 727.2, 136.7), (43.2, 727.5, 136.2),
]  # fmt: skip
_LOWER_TIP = [
    (18.5, 724.7, 140.0), (19.9, 723.2, 140.4), (21.9, 722.2, 140.9), (24.4, 721.5, 141.6), (27.4, 720.8, 142.2),
    (31.1, 720.4, 142.5), (34.9, 720.3, 142.1), (38.1, 720.5, 141.2), (40.6, 721.1, 140.1), (43.3, 722.1, 139.1),
    (45.5, 723.6, 138.4), (47.4, 725.7, 138.0),
]  # fmt: skip
_LOWER_BALL = [
    (19.9, 726.5, 136.9), (21.4, 726.0, 136.2), (22.6, 725.4, 136.8), (24.6, 725.0, 137.8), (27.9, 724.4, 138.8),
    (31.2, 724.2, 139.1), (34.9, 724.3, 138.6), (38.4, 725.1, 137.2), (40.4, 725.9, 135.8), (41.9, 726.7, 134.1),
    (42.6, 727.1, 133.3), (43.1, 727.5, 132.8),
]  # fmt: skip
CURVES = {
    "upper_rim": _UPPER_RIM,
    "upper_tip": _UPPER_TIP,
    "lower_rim": _LOWER_RIM,
    "lower_tip": _LOWER_TIP,
    "lower_ball": _LOWER_BALL,
}
SIDES = ("left", "right")


@dataclass(frozen=True)
class Eyeball:
    """The sphere that an eye's splats lie on."""

    centre: Floats
    """(3,) metres."""
    radius: float
    """Metres."""


def eyeball(surface: Surface, side: str) -> Eyeball:
    """Least-squares sphere through the rear of the eyeball, whose front carries the cornea."""
    points = surface.vertices[np.unique(surface.faces[surface.regions[f"eye_{side}"]])]
    centre, radius = fit_sphere(points[points[:, 2] < np.quantile(points[:, 2], 0.65)])
    return Eyeball(centre.astype(np.float32), radius)


def lid_curve(surface: Surface, side: str, name: str, along: ArrayLike) -> Samples:
    """Places on one of `CURVES`; ``along`` (N,) from 0 at the inner to 1 at the outer corner. They hang on the lash
    strips, which follow the lids."""
    points = np.array(CURVES[name], np.float32) / 1000
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    where = np.asarray(along) * length[-1]
    place = np.stack([np.interp(where, length, points[:, k]) for k in range(3)], axis=1).astype(np.float32)
    if side == "right":
        place[:, 0] *= -1
    return surface.attach(place, surface.regions[f"lashes_{side}"])
