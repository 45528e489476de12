"""The real heads that several benchmarks share."""

from functools import cache

from pipeline.animportrait3d import AnimPortrait3DPipeline
from pipeline.avatar import SplatAvatar

PROMPTS = {
    "short hair": "a man with short brown hair in a grey t-shirt",
    "bald": "a bald man in a suit",
    "afro": "a young black woman with an afro and gold earrings",
    "long hair": "a woman with long red hair",
}


@cache
def head(kind: str) -> SplatAvatar:
    """One of `PROMPTS`, made once per run."""
    return AnimPortrait3DPipeline()(PROMPTS[kind], seed=0).avatars[0]
