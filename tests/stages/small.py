"""A real head with few splats, and a refinement so short and coarse that it takes a second."""

from __future__ import annotations

import functools
import math

import torch

from pipeline.avatar import Layer, SplatAvatar
from pipeline.guidance.conditions import HeadCondition
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.prompts import PromptTable
from pipeline.priors.procedural import build_avatar, understand
from pipeline.stages.config import Densification, Phase, RefinementConfig
from tests.guidance.toy import toy_encode, toy_model, toy_scheduler

PROMPT = "a bald old man"
SPLATS, INNER = 1500, 150
RESOLUTION = 32
REGIONS = ("full", "face", "eye_left", "eye_right", "mouth")


@functools.lru_cache(1)
def small_avatar() -> SplatAvatar:
    """A built head of few splats."""
    return thinned(build_avatar(understand(PROMPT, 1).attributes), SPLATS, INNER)


@functools.lru_cache(1)
def dressed_avatar() -> SplatAvatar:
    """A built head with hair and clothes."""
    return thinned(build_avatar(understand("a man with short black hair", 2).attributes), 25_000, 4000)


def thinned(whole: SplatAvatar, splats: int, inner: int) -> SplatAvatar:
    """Some of an avatar's splats, ``inner`` each of eyes and mouth, enlarged to close the gaps."""
    draws = torch.Generator().manual_seed(0)
    shares = {Layer.EYE: inner, Layer.MOUTH: inner}
    rows = torch.cat(
        [
            torch.nonzero(mask)[torch.randperm(int(mask.sum()), generator=draws)[:share], 0]
            for mask, share in [(whole.layer == layer, share) for layer, share in shares.items()]
            + [(~torch.isin(whole.layer, torch.tensor(list(shares))), splats - 2 * inner)]
        ]
    )
    larger = 0.5 * math.log(len(whole.layer) / splats)
    return SplatAvatar.from_parts(
        whole.rig,
        face=whole.face[rows],
        means=whole.means.detach()[rows],
        quats=whole.quats.detach()[rows],
        log_scales=whole.log_scales.detach()[rows] + larger,
        opacity_logits=whole.opacity_logits.detach()[rows],
        sh=whole.sh.detach()[rows],
        layer=whole.layer[rows],
    )


def toy_guidance(avatar: SplatAvatar) -> Guidance:
    """Linear modules, and the real conditions of this head."""
    return Guidance(toy_model(), toy_scheduler(), PromptTable(toy_encode, PROMPT), HeadCondition(avatar.rig))


def distilling(**changes) -> Phase:
    """Four steps of the whole head, which adds and removes splats after the second."""
    options = {
        "name": "dynamic", "method": "ism", "steps": 4, "regions": REGIONS, "trained": "all", "guidance_scale": 7.5,
        "negative": "blur", "views": 3, "timesteps": (300, 15), "turns_head": True, "named_views": True,
        "scale_weight": 10.0,
        "densification": Densification(steps=(2,), prune_steps=(2,), gradient=1e-6, min_opacity=0.05, most=2000),
    }  # fmt: skip
    return Phase(**{**options, **changes})


def editing(**changes) -> Phase:
    """Three steps towards edited targets."""
    options = {
        "name": "appearance", "method": "sdedit", "steps": 3, "regions": REGIONS, "trained": "all",
        "guidance_scale": 7.5, "negative": "blur", "strength": 0.5, "edit_steps": 4, "conditioned": False,
        "photometric": "l1+lpips", "turns_head": True,
    }  # fmt: skip
    return Phase(**{**options, **changes})


def small_config(*phases: Phase) -> RefinementConfig:
    """A refinement of these phases at few pixels."""
    return RefinementConfig("small", phases, resolution=RESOLUTION, edit_pool=3, batch=4)
