"""Hair of the procedural prior: one module per family of styles, one for what they share."""

from pipeline.priors.procedural.hair.make import Hair, make_hair
from pipeline.priors.procedural.hair.tint import scalp_tint

__all__ = ["Hair", "make_hair", "scalp_tint"]
