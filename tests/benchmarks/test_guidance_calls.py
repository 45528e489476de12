"""The counted calls of a refinement are those that are made."""

from dataclasses import replace

import pytest
import torch

from benchmarks.guidance_calls import Shots, original_calls, our_calls
from pipeline.guidance.prompts import PromptBatch
from pipeline.guidance.score_distillation import Step, interval, ism
from pipeline.guidance.sdedit import edit
from pipeline.stages.objectives import timesteps_of
from pipeline.stages.recipes import ANIMPORTRAIT3D
from tests.guidance.toy import EMBED, toy_model, toy_scheduler

CROPS = 2
SHOTS = Shots(CROPS, 1)
ISM = next(phase for phase in ANIMPORTRAIT3D.phases if phase.method == "ism")
EDIT = next(phase for phase in ANIMPORTRAIT3D.phases if phase.method == "sdedit")


def _texts(rows):
    return PromptBatch(*torch.randn(3, rows, 3, EMBED))


@pytest.mark.parametrize("inversions", [0, 3])
def test_of_interval_score_matching(inversions):
    phase = replace(ISM, steps=30, views=2, inversions=inversions)
    rows = CROPS * phase.views
    model = toy_model()
    for index in range(phase.steps):
        step = Step(
            torch.randn(rows, 4, 1, 1, requires_grad=True), _texts(rows), torch.rand(rows, 4, 8, 8),
            torch.tensor([1.0, 0.0]).repeat(2), torch.randn(rows, 4, 1, 1),
            timesteps_of(phase, index, rows, torch.Generator()), 7.5,
                interval(index, phase.warm_steps), inversions=inversions,
        )  # fmt: skip
        ism(model, step)
    counted = our_calls(phase, SHOTS, ANIMPORTRAIT3D)
    assert counted.unet == len(model.unet.rows)
    assert counted.unet_rows == sum(model.unet.rows)
    assert counted.controlnet_rows == sum(model.controlnet.rows)
    assert counted.pictures == rows * phase.steps


@pytest.mark.parametrize("guidance_scale", [1.0, 7.5])
def test_of_edited_targets(guidance_scale):
    phase, config = replace(EDIT, guidance_scale=guidance_scale), replace(ANIMPORTRAIT3D, edit_pool=4, batch=4)
    rows = CROPS * config.edit_pool
    model = toy_model()
    edit(
        model, toy_scheduler(), torch.rand(rows, 3, 8, 8), _texts(rows), torch.rand(rows, 4, 8, 8),
        torch.tensor([1.0, 0.0]).repeat(config.edit_pool), strength=phase.strength, steps=phase.edit_steps,
        guidance_scale=guidance_scale, generators=[torch.Generator() for _ in range(rows)], batch=config.batch,
    )  # fmt: skip
    counted = our_calls(phase, SHOTS, config)
    assert counted.unet == len(model.unet.rows)
    assert counted.unet_rows == sum(model.unet.rows)
    assert counted.controlnet_rows == sum(model.controlnet.rows)


def test_the_original_asks_more_of_everything():
    for phase in ANIMPORTRAIT3D.phases:
        ours, theirs = our_calls(phase, SHOTS, ANIMPORTRAIT3D), original_calls(phase, SHOTS)
        assert theirs.unet > 2 * ours.unet
        assert theirs.unet_rows >= ours.unet_rows
        assert theirs.pictures >= ours.pictures
