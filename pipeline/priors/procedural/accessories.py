"""Glasses and earrings."""

from __future__ import annotations

import numpy as np

from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.splats import Splats
from pipeline.priors.procedural.surface import Surface


def make_accessories(surface: Surface, attributes: Attributes, rng: np.random.Generator) -> Splats:
    """What this person wears on the head."""
    return Splats.empty()
