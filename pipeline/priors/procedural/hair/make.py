"""From attributes to the hair of the scalp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.avatar import Layer
from pipeline.priors.procedural.hair.scalp import Scalp
from pipeline.heads.rig import Rig
from pipeline.priors.procedural.hair.afro import Afro
from pipeline.priors.procedural.hair.bun import Bun
from pipeline.priors.procedural.hair.cage import hang_on_cage
from pipeline.priors.procedural.hair.loose import Bob, Long
from pipeline.priors.procedural.hair.short import Short
from pipeline.priors.procedural.hair.strands import Look, light, to_splats
from pipeline.priors.procedural.hair.style import Style
from pipeline.priors.procedural.shading import KEY
from pipeline.priors.procedural.splats import Splats
from pipeline.priors.procedural.volume import HairVolume

if TYPE_CHECKING:
    from pipeline.priors.procedural.attributes import Attributes
    from pipeline.priors.procedural.surface import Surface

HANGING = ("bob", "long")
"""Styles that hang on the cage."""


@dataclass(frozen=True)
class Hair:
    """Hair of one person."""

    splats: Splats
    volume: HairVolume | None
    """What shades skin and clothes; None for a bald head."""
    rig: Rig
    """The head's rig, with a cage behind its own triangles where the hair hangs on one."""


def make_hair(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Hair:
    """Hair of the scalp, lit except for `shade`."""
    hair = attributes.hair
    if hair.style == "bald":
        return Hair(Splats.empty(), None, surface.rig)
    scalp = Scalp(surface, attributes)
    style = _style(scalp, attributes, rng)
    splats = to_splats(Layer.HAIR, style.grow(rng), Look(hair.color, hair.gray), rng)
    volume = HairVolume(splats, scalp.field)
    light(splats, volume, scalp.field, KEY, rng)
    rig = hang_on_cage(splats, scalp, surface.rig) if hair.style in HANGING else surface.rig
    return Hair(splats, volume, rig)


def _style(scalp: Scalp, attributes: Attributes, rng: np.random.Generator) -> Style | Afro:
    match attributes.hair.style:
        case "short":
            return Short(scalp, attributes.gender, rng)
        case "bob":
            return Bob(scalp, rng)
        case "long":
            return Long(scalp, rng)
        case "afro":
            return Afro(scalp, attributes.gender, rng)
        case _:
            return Bun(scalp)
