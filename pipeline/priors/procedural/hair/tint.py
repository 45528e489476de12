"""The scalp under the hair: coloured like its shade, so that no gap between strands shines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.priors.procedural.fields import smoothstep
from pipeline.priors.procedural.hair.colour import TINT_SHADE, base_colour
from pipeline.priors.procedural.hair.hairline import Hairline
from pipeline.priors.procedural.splats import Floats

if TYPE_CHECKING:
    from pipeline.priors.procedural.attributes import Attributes

COVERED = 0.94
"""Share of the tint where hair is full."""
SHAVED = 0.16
"""The same on a bald man's scalp: the shadow of what is shaved."""
FADE = (-0.001, 0.011)
"""Metres inside the hairline over which the tint comes in, as the roots do."""


def scalp_tint(template: Floats, attributes: Attributes) -> tuple[Floats, Floats]:
    """Share of the tint (N,) at template points (N, 3) of the skin, and its linear colour (3,).

    The skin's albedo there is ``mix(albedo, colour, share)``. Above a share of about 0.9 the skin is hidden, so that
    its splats may be sparse.
    """
    hair = attributes.hair
    line = Hairline(attributes.gender, hair.receding)
    grown = smoothstep(*FADE, line.inside(template)) * line.thinning(template)
    colour = base_colour(hair.color, hair.gray) * np.float32(TINT_SHADE)
    if hair.style == "bald":
        return grown * np.float32(SHAVED * (1 - attributes.gender) * (1 - attributes.skin_tone)), colour
    return grown * np.float32(COVERED), colour
