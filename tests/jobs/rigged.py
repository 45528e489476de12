"""A run that puts a small known head on a rig: the real chain, but for the three steps that take seconds each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import pipeline.rigging
from pipeline.avatar_folder import save_avatar_folder
from pipeline.heads.anny import AnnyHead
from pipeline.jobs import RunConfig, RunFolder
from pipeline.jobs.starting import described
from pipeline.portraits import find_portrait
from pipeline.recipe import Recipe
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.head_fit import HeadFit
from pipeline.reconstruction.multiview import Part, Similarity, Surface
from pipeline.stages import initialization
from pipeline.stages.first_splats import FirstSplats
from pipeline.stages.initialization import InitializationConfig
from pipeline.stages.static_fit import StaticFitConfig
from pipeline.stages.super_dense import super_dense

STEPS = 6
CONFIG = InitializationConfig("small", yaws=3, pitches=(70.0, 100.0), size=64, fit=StaticFitConfig(steps=STEPS))
PROMPT = "a grey man"
NOTE = "the head was known beforehand"


def write_head(folder: Path) -> Path:
    """The avatar folder of the mean person, with a grey splat on each triangle."""
    save_avatar_folder(super_dense(AnnyHead().rig, 1), Recipe(PROMPT, 0, {}, {}, [], []), folder)
    return folder


def rigging_run(folder: Path, head: Path, **values) -> RunFolder:
    """A run that puts this head on the free one, a checkpoint every two steps."""
    portrait = find_portrait(head)
    config = RunConfig.of(
        portrait.prompt, refine=False, portrait=described(portrait), threads=1, checkpoint_every=2, device="cpu",
        **values,
    )  # fmt: skip
    return RunFolder.create(folder, replace(config, initialization=CONFIG), portrait.copy_to)


def quickly(patch: pytest.MonkeyPatch) -> None:
    """In this process the surface, the fitted head and the first splats are known beforehand."""
    patch.setattr(AvatarSource, "surface", lambda source: _surface())
    patch.setattr(initialization, "first_splats", first_splats)
    patch.setattr(pipeline.rigging, "initialize", partial(initialization.initialize, fit=_known_fit))


def _surface() -> Surface:
    rig = AnnyHead().rig
    return Surface(rig.vertices, rig.faces, parts=torch.full((len(rig.faces),), int(Part.FACE), dtype=torch.uint8))


def _known_fit(kind, observed, cameras, surface, start) -> HeadFit:
    head = AnnyHead()
    rest = torch.zeros(1, len(head.rig.expressions)), torch.zeros(1, len(head.rig.joints), 3)
    return HeadFit(head.rig, head.template_points, *rest, Similarity(1.0, torch.eye(3), torch.zeros(3)), (NOTE,))


def first_splats(head, portrait, splats, sh_degree, seed) -> FirstSplats:
    held = torch.zeros(len(head.rig.faces), dtype=torch.bool)
    return FirstSplats(super_dense(head.rig, 1, seed), head.rig.vertices, held)
