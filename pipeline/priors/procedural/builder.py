"""`build_avatar`: attributes in, a rigged splat head out; the list of layers is the recipe."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
import torch

from pipeline.avatar import Layer, SplatAvatar
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.priors.procedural.accessories import make_accessories
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.brows import make_brows
from pipeline.priors.procedural.cloth import make_cloth
from pipeline.priors.procedural.eyes import make_eyes
from pipeline.priors.procedural.head_hair import make_hair
from pipeline.priors.procedural.mouth import make_mouth
from pipeline.priors.procedural.shading import KEY, shade
from pipeline.priors.procedural.skin import make_skin
from pipeline.priors.procedural.splats import Splats, quaternions
from pipeline.priors.procedural.surface import Head, Surface
from pipeline.priors.procedural.volume import HairVolume

LayerMaker = Callable[[Surface, Attributes, np.random.Generator], Splats]


class Stream(IntEnum):
    """Random stream of each layer, so that one layer's change leaves the others as they are; never renumber."""

    SKIN = 0
    EYES = 1
    MOUTH = 2
    BROWS = 3
    HAIR = 4
    CLOTH = 5
    ACCESSORIES = 6


BODY_AND_DRESS: dict[Stream, LayerMaker] = {
    Stream.SKIN: make_skin,
    Stream.EYES: make_eyes,
    Stream.MOUTH: make_mouth,
    Stream.BROWS: make_brows,
    Stream.CLOTH: make_cloth,
    Stream.ACCESSORIES: make_accessories,
}
UNDER_HAIR = (Layer.SKIN, Layer.EYE, Layer.BROW, Layer.CLOTH)
"""Layers on which hair casts its shade."""


def build_avatar(attributes: Attributes, head: Head | None = None) -> SplatAvatar:
    """A person from scratch, without any weights, in about a second.

    ``head``: whom to dress in splats, by default the free head in the shape that the attributes say. The same
    ``attributes`` give the same splats, bit for bit on the same machine.
    """
    surface = Surface(head or AnnyHead(attributes.phenotype(), attributes.local_changes))
    parts = [make(surface, attributes, _rng(attributes, stream)) for stream, make in BODY_AND_DRESS.items()]
    splats = Splats.concatenate(parts)
    hair = make_hair(surface, attributes, _rng(attributes, Stream.HAIR))
    if hair.volume is not None:
        shade_under_hair(splats, hair.volume)
    return assemble(hair.rig, Splats.concatenate([splats, hair.splats]))


def shade_under_hair(splats: Splats, volume: HairVolume) -> None:
    """Take from skin, eyes and cloth the light that the hair keeps from them, in place."""
    rows = np.flatnonzero(np.isin(splats.layer, UNDER_HAIR))
    sky, key = volume.shade(splats.position[rows], splats.normal[rows], KEY)
    splats.ambient[rows] *= sky
    splats.shadow[rows] *= key


def assemble(rig: Rig, splats: Splats) -> SplatAvatar:
    """Light the splats and hang them on the rig."""
    return SplatAvatar.from_world(
        rig,
        face=torch.from_numpy(splats.face),
        means=torch.from_numpy(splats.position),
        quats=torch.from_numpy(quaternions(splats.rotation)),
        scales=torch.from_numpy(splats.scale),
        opacities=torch.from_numpy(splats.opacity),
        colors=torch.from_numpy(shade(splats)),
        layer=torch.from_numpy(splats.layer),
    )


def _rng(attributes: Attributes, stream: Stream) -> np.random.Generator:
    return np.random.default_rng([attributes.seed, stream])
