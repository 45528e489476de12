"""Clothes, and which skin they hide."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.garment import Drape, Neckline
from pipeline.priors.procedural.splats import Floats, Splats
from pipeline.priors.procedural.suit import SHIRT, make_suit
from pipeline.priors.procedural.surface import Mask, Surface
from pipeline.priors.procedural.tshirt import make_tshirt, tshirt_neckline

HIDDEN_BELOW = 4e-3
"""Metres below the neckline from which the skin is not needed."""


def make_cloth(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """What this person wears, hung on the torso."""
    drape = Drape(surface, neckline(attributes))
    make = make_suit if attributes.clothing == "suit" else make_tshirt
    return make(drape, attributes, rng)


def covered(attributes: Attributes, template: Floats) -> Mask:
    """Which places (N, 3) of the template's skin clothes hide, (N,) bool."""
    return neckline(attributes).below(template) > HIDDEN_BELOW


def neckline(attributes: Attributes) -> Neckline:
    """The edge of this person's clothes round the neck."""
    return SHIRT if attributes.clothing == "suit" else tshirt_neckline(attributes)
