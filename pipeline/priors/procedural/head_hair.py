"""All hair of one head: scalp and beard, in one density, so that each shades the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.avatar import Layer
from pipeline.heads.rig import Rig
from pipeline.priors.procedural.beard import grow_beard
from pipeline.priors.procedural.hair.afro import Afro
from pipeline.priors.procedural.hair.bun import Bun
from pipeline.priors.procedural.hair.cage import hang_on_cage
from pipeline.priors.procedural.hair.loose import Bob, Long
from pipeline.priors.procedural.hair.scalp import Scalp
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
    """Hair and beard of one person."""

    splats: Splats
    volume: HairVolume | None
    """What shades skin and clothes; None where there is neither hair nor beard."""
    rig: Rig
    """The head's rig, with a cage behind its own triangles where the hair hangs on one."""


def make_hair(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Hair:
    """Hair of scalp and chin, with sky and key light that hair and head leave to it."""
    scalp = Scalp(surface, attributes)
    hair_rng, beard_rng, light_rng = rng.spawn(3)
    hair, rig = _scalp_hair(scalp, attributes, hair_rng)
    splats = Splats.concatenate([hair, grow_beard(scalp, attributes, beard_rng)])
    if not len(splats):
        return Hair(splats, None, rig)
    volume = HairVolume(splats, scalp.field)
    light(splats, volume, scalp.field, KEY, light_rng)
    return Hair(splats, volume, rig)


def _scalp_hair(scalp: Scalp, attributes: Attributes, rng: np.random.Generator) -> tuple[Splats, Rig]:
    hair, rig = attributes.hair, scalp.surface.rig
    if hair.style == "bald":
        return Splats.empty(), rig
    splats = to_splats(Layer.HAIR, _style(scalp, attributes, rng).grow(rng), Look(hair.color, hair.gray), rng)
    if hair.style in HANGING:
        rig = hang_on_cage(splats, scalp, rig)
    return splats, rig


def _style(scalp: Scalp, attributes: Attributes, rng: np.random.Generator) -> Style | Afro:
    match attributes.hair.style:
        case "short":
            return Short(scalp, attributes.gender, rng)
        case "bob":
            return Bob(scalp, rng)
        case "long":
            return Long(scalp, attributes.clothing, rng)
        case "afro":
            return Afro(scalp, attributes.gender, rng)
        case _:
            return Bun(scalp)
