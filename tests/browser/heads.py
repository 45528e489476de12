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


@cache
def licensed_head() -> SplatAvatar:
    """A synthetic FLAME head: pose correctives, joints that follow the expression, a jaw. Its model folder is named by
    ``ANIMPORTRAIT3D_MODELS`` when this is first called."""
    from pipeline.animportrait3d import AnimPortrait3DPipeline

    return AnimPortrait3DPipeline()(PROMPTS["bald"], seed=1, head="flame").avatars[0]
