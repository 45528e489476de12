"""Hair of the scalp: one module per family of styles, one for each thing that they share."""

from pipeline.priors.procedural.hair.tint import scalp_tint

__all__ = ["scalp_tint"]
