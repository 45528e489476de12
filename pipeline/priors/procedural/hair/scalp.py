"""`Scalp`: what every hairstyle needs of one person: where hair roots, how far the body is, which way is which."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.hair.field import BodyField
from pipeline.priors.procedural.hair.hairline import SKULL_CENTRE, Hairline
from pipeline.priors.procedural.splats import Floats, Ints, unit

if TYPE_CHECKING:
    from pipeline.priors.procedural.attributes import Attributes
    from pipeline.priors.procedural.surface import Surface

BORDER = (-0.002, 0.009)
"""Metres inside the hairline between which hair goes from none to its full density."""
CANDIDATES = 1.6
"""Roots drawn for each that is wanted, before the thin places are thinned."""
FEET = [[0, 0.7, 0.7], [1, 0.3, 0], [-1, 0.3, 0], [0, 0.2, -1], [0, 1, 0]]
"""Directions in which the skull is measured: forehead, sides, back, crown."""
EAR_ROOT = 0.074
"""Adult metres beside the middle of the skull where the ears begin."""
EAR_RELIEF = 0.75
"""Share of an ear's height that stays when hair lies over it."""


@dataclass(frozen=True)
class Roots:
    """Where hairs leave the skin; one row per hair."""

    face: Ints
    """(N,) triangle."""
    position: Floats
    """(N, 3) metres."""
    normal: Floats
    """(N, 3) unit, outwards."""
    template: Floats
    """(N, 3) the same place on the template."""
    edge: Floats
    """(N,) metres inside the border of the hair."""

    def select(self, mask: NDArray) -> Roots:
        """The rows of a bool mask or an index array."""
        return Roots(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})

    def __len__(self) -> int:
        return len(self.face)


class Scalp:
    """One person's head for hair to grow on."""

    def __init__(self, surface: Surface, attributes: Attributes) -> None:
        self.surface = surface
        self.size = surface.size
        self.hairline = Hairline(attributes.gender, attributes.hair.receding)
        self.centre: Floats = self._skull_centre()

    def place(self, points: Floats) -> Floats:
        """World points (..., 3) → adult metres from the middle of the skull."""
        return (points - self.centre) / np.float32(self.size)

    def world(self, places: Floats) -> Floats:
        """Undo `place`."""
        return places * np.float32(self.size) + self.centre

    @cached_property
    def field(self) -> BodyField:
        """Distance to the skin of head, neck and shoulders; hair presses the ears flat."""
        surface = self.surface
        faces = surface.faces[surface.outer_skin]
        ears = surface.faces[surface.outer_skin & surface.regions["ears"]]
        used = np.unique(faces)
        points = np.concatenate([surface.vertices[used], surface.vertices[faces].mean(1)])
        normals = np.concatenate([surface.normals[used], unit(surface.normals[faces].mean(1))])
        of_ear = np.concatenate([np.isin(used, ears), surface.regions["ears"][surface.outer_skin]])
        points[of_ear], normals[of_ear] = self._flat_ears(points[of_ear])
        return BodyField(points, normals)

    def _flat_ears(self, points: Floats) -> tuple[Floats, Floats]:
        """Points (N, 3) of the ears laid against the head, and the normals of such ears."""
        place = self.place(points)
        beyond = np.maximum(np.abs(place[:, 0]) - EAR_ROOT, 0)
        side = np.sign(place[:, 0])
        place[:, 0] -= side * beyond * np.float32(1 - EAR_RELIEF)
        sideways = np.zeros_like(place)
        sideways[:, 0] = side
        return self.world(place), sideways

    def scatter(self, count: int, rng: np.random.Generator, border: tuple[float, float] = BORDER) -> Roots:
        """``count`` roots, evenly over the scalp and sparser over the ``border`` (metres inside the hairline)."""
        surface = self.surface
        middles = surface.template[surface.faces].mean(1)
        usable = surface.outer_skin & ~surface.regions["ears"]
        usable[usable] = self.hairline.inside(middles[usable]) > border[0] - 0.006
        roots = scatter(surface, usable, int(count * CANDIDATES), rng)
        edge = self.hairline.inside(roots.template)
        share = smoothstep(*border, edge) * self.hairline.thinning(roots.template)
        keep = np.flatnonzero(share > rng.random(len(roots)))
        keep = np.sort(rng.permutation(keep)[:count])
        roots = roots.select(keep)
        return Roots(roots.face, roots.position, roots.normal, roots.template, edge[keep])

    def nearest_face(self, point: Floats) -> int:
        """The triangle of the skin closest to a point (3,) of the world: what hangs as one piece hangs there."""
        skin = np.flatnonzero(self.surface.outer_skin)
        middles = self.surface.vertices[self.surface.faces[skin]].mean(1)
        return int(skin[np.linalg.norm(middles - point, axis=1).argmin()])

    def _skull_centre(self) -> Floats:
        """`SKULL_CENTRE` of the template on this person: between the matching places of forehead, sides and back."""
        radius = 0.08
        around = SKULL_CENTRE + radius * np.array(FEET, np.float32)
        foot = self.surface.attach(around)
        return (foot.position - (foot.template - SKULL_CENTRE) * np.float32(self.size)).mean(0)


def scatter(surface: Surface, faces: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Roots:
    """``count`` points spread evenly by area over a mask of triangles; their ``edge`` is zero."""
    chosen = np.flatnonzero(faces)
    corners = surface.vertices[surface.faces[chosen]]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    cumulative = np.cumsum(area, dtype=np.float64)
    # one point in each of `count` equal slices of the area, so that no patch stays bare
    slices = (np.arange(count) + rng.random(count)) / count * cumulative[-1]
    face = chosen[np.minimum(np.searchsorted(cumulative, slices), len(chosen) - 1)]
    root, along = np.sqrt(rng.random(count, np.float32)), rng.random(count, np.float32)
    samples = surface.samples(face, np.stack([1 - root, root * (1 - along), root * along], axis=1))
    return Roots(samples.face, samples.position, samples.normal, samples.template, np.zeros(count, np.float32))
