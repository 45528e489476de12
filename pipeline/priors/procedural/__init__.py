"""The built-in prior: a sentence becomes attributes, attributes become a rigged splat head. No weights needed."""

from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.builder import build_avatar
from pipeline.priors.procedural.prompt import Understanding, understand

__all__ = ["Attributes", "Understanding", "build_avatar", "understand"]
