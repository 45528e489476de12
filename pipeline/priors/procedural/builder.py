"""`build_avatar`: attributes in, a rigged splat head out; the list of layers is the recipe."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from pipeline.avatar import SplatAvatar
from pipeline.geometry import matrix_to_quaternion
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.shading import shade
from pipeline.priors.procedural.brows import make_brows
from pipeline.priors.procedural.eyes import make_eyes
from pipeline.priors.procedural.mouth import make_mouth
from pipeline.priors.procedural.skin import make_skin
from pipeline.priors.procedural.splats import Splats
from pipeline.priors.procedural.surface import Surface

LayerMaker = Callable[[Surface, Attributes, np.random.Generator], Splats]

LAYERS: tuple[LayerMaker, ...] = (make_skin, make_eyes, make_mouth, make_brows)
"""In this order; each draws from its own random stream, so that one layer's change leaves the others as they are."""


def build_avatar(attributes: Attributes) -> SplatAvatar:
    """A person from scratch, without any weights, in about a second.

    The same ``attributes`` give the same splats, bit for bit on the same machine.
    """
    surface = Surface(AnnyHead(attributes.phenotype(), attributes.local_changes))
    parts = [
        make(surface, attributes, np.random.default_rng([attributes.seed, stream]))
        for stream, make in enumerate(LAYERS)
    ]
    return assemble(surface, Splats.concatenate(parts))


def assemble(surface: Surface, splats: Splats) -> SplatAvatar:
    """Shade the splats and hang them on the rig."""
    return SplatAvatar.from_world(
        surface.rig,
        face=torch.from_numpy(splats.face),
        means=torch.from_numpy(splats.position),
        quats=matrix_to_quaternion(torch.from_numpy(splats.rotation)),
        scales=torch.from_numpy(splats.scale),
        opacities=torch.from_numpy(splats.opacity),
        colors=torch.from_numpy(shade(splats)),
        layer=torch.from_numpy(splats.layer),
    )
