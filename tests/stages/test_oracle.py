"""The refinement finds a hidden avatar that the diffusion model knows, and finds nothing when it sees a wrong pose.

Both losses, with the constants of the recipe; only steps, pictures and splats are few. The oracle answers for
every crop that it sees the head model in, so that all of them are conditioned here.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.guidance.conditions import HeadCondition
from pipeline.priors.procedural import build_avatar, understand
from pipeline.stages.config import Densification, RefinementConfig
from pipeline.stages.motion_pool import motion_pool
from pipeline.stages.randomness import generator
from pipeline.stages.recipes import ANIMPORTRAIT3D
from pipeline.stages.refinement import refine_appearance, refine_dynamic
from pipeline.stages.sampling import ViewSampler
from pipeline.stages.training import attributes, with_attributes
from tests.stages.oracle import PROMPT, draw, oracle
from tests.stages.small import thinned

SPLATS, INNER = 4000, 300
RESOLUTION = 64
DISTILLED, EDITED = 40, 100
HELD_OUT_VIEWS = 10
JITTER = 0.3
"""Of the places, in units of the splats' triangles."""
CONFIG = RefinementConfig(
    "oracle",
    tuple(
        replace(phase, conditioned=True, conditioned_full=True, **changes)
        for phase in ANIMPORTRAIT3D.phases
        for changes in [
            {
                "full_ism": {"steps": DISTILLED, "densification": Densification(steps=(3, 6), prune_steps=(3, 6))},
                # The oracle's answer is the picture itself, of which more guidance is too much.
                "full_edit": {"steps": EDITED, "guidance_scale": 1.0, "strength": 0.9, "photometric": "l2"},
            }.get(phase.name)
        ]
        if changes is not None
    ),
    resolution=RESOLUTION,
    edit_pool=24,
    batch=16,
)


@pytest.fixture(scope="module")
def hidden() -> SplatAvatar:
    return thinned(build_avatar(understand(f"{PROMPT} with a long white beard", 1).attributes), SPLATS, INNER)


@pytest.fixture(scope="module")
def degraded(hidden) -> SplatAvatar:
    """The hidden avatar with its colours shuffled and its splats out of place."""
    draws = torch.Generator().manual_seed(3)
    values = attributes(hidden)
    shuffled = values["sh"][torch.randperm(SPLATS, generator=draws)]
    jittered = values["means"] + JITTER * torch.randn(SPLATS, 3, generator=draws)
    return with_attributes(hidden, values | {"sh": shuffled, "means": jittered})


def likeness(avatar: SplatAvatar, hidden: SplatAvatar) -> float:
    """PSNR in dB inside the hidden avatar's silhouette, in poses and views that no step of the refinement draws."""
    phase = CONFIG.phases[0]
    sampler = ViewSampler(hidden.rig, phase, CONFIG, motion_pool(hidden.rig, phase))
    squares = []
    for number in range(HELD_OUT_VIEWS):
        view = sampler.view(generator(0, "held out", number))
        vertices = hidden.rig.pose(view.pose.expression, view.pose.rotations)[0]
        wanted, alpha = draw(hidden, vertices, view.shots[0].camera)
        picture, _ = draw(avatar, vertices, view.shots[0].camera)
        squares.append((picture - wanted).square()[:, alpha > 0.5].flatten())
    return -10 * math.log10(float(torch.cat(squares).mean()))


def turned_away() -> object:
    """Another pose each time: the head turned by 60 to 300 degrees from where it is."""
    golden = itertools.count(1)

    def mistake(vertices: Tensor) -> Tensor:
        angle = math.radians(60 + 240 * (next(golden) * 0.618 % 1))
        cosine, sine = math.cos(angle), math.sin(angle)
        return vertices @ torch.tensor([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])

    return mistake


def refined(degraded: SplatAvatar, hidden: SplatAvatar, mistake=None) -> tuple[SplatAvatar, SplatAvatar]:
    """After distillation, and after the fit to edited targets that follows."""
    guidance = oracle(hidden, HeadCondition(hidden.rig), mistake)
    distilled = refine_dynamic(degraded, guidance, CONFIG, Accelerator(cpu=True))
    return distilled, refine_appearance(distilled, guidance, CONFIG, Accelerator(cpu=True))


def test_a_hidden_avatar_is_found(degraded, hidden):
    before = likeness(degraded, hidden)
    distilled, edited = (likeness(avatar, hidden) for avatar in refined(degraded, hidden))
    print(f"PSNR {before:.2f} dB, distilled {distilled:.2f}, edited {edited:.2f}")
    assert distilled - before >= 3
    assert edited - before >= 8


def test_with_the_normals_of_another_pose_it_is_not(degraded, hidden):
    before = likeness(degraded, hidden)
    distilled, edited = (likeness(avatar, hidden) for avatar in refined(degraded, hidden, turned_away()))
    print(f"PSNR {before:.2f} dB, distilled {distilled:.2f}, edited {edited:.2f}")
    assert distilled - before < 3
    assert edited - before < 3
