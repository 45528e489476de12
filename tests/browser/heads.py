"""Real heads of the procedural prior for the browser tests."""

from __future__ import annotations

from functools import cache

from pipeline.avatar import SplatAvatar
from pipeline.priors.procedural import build_avatar, understand

PROMPTS = {"bald": "a bald man", "long": "a woman with long red hair"}


@cache
def head(kind: str) -> SplatAvatar:
    """One of `PROMPTS`, made once per run."""
    return build_avatar(understand(PROMPTS[kind], 1).attributes)
