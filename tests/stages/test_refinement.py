"""All stages in order, and going on after each kind of stop."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator

from pipeline.stages.config import Densification
from pipeline.stages.dynamic import refine_dynamic
from pipeline.stages.journal import Interrupted, Journal
from pipeline.stages.recipes import RECIPES
from pipeline.stages.refinement import STAGES, refine, refine_appearance
from pipeline.stages.regions import refine_eyes, refine_mouth
from pipeline.stages.training import attributes
from tests.stages.small import distilling, editing, small_avatar, small_config, toy_guidance

CONFIG = small_config(
    editing(
        name="eyes", trained="eyes", regions=("eye_left", "eye_right"), turns_head=False, photometric="l2",
        conditioned=True, steps=2,
    ),
    distilling(
        name="mouth", trained="mouth", regions=("mouth",), pool="open_mouth", turns_head=False, yaw=(40.0, 140.0),
        views=1, steps=1, densification=Densification(),
    ),
    distilling(views=1, steps=2, densification=Densification(steps=(1,), gradient=1e-6)),
    editing(steps=1),
)  # fmt: skip


class Memory(Journal):
    """Stops after so many steps in all, and then says where it was left."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.done, self.left = most, [], None

    def resume(self, phases):
        return self.left

    def step(self, progress, avatar, state):
        self.done.append((progress.phase, progress.step))
        self.left = (progress.phase, state())
        if len(self.done) == self.most:
            raise Interrupted("enough")


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def guidance():
    return toy_guidance(small_avatar())


@pytest.fixture(scope="module")
def whole(accelerator, guidance):
    return refine(small_avatar(), guidance, CONFIG, accelerator)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(attributes(one).values(), attributes(other).values(), strict=True))


def test_the_phases_run_in_order(accelerator, guidance, whole):
    journal = Memory()
    assert equal(refine(small_avatar(), guidance, CONFIG, accelerator, journal), whole)
    assert journal.done == [
        ("eyes", 1), ("eyes", 2), ("mouth", 1), ("dynamic", 1), ("dynamic", 2), ("appearance", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("most", [1, 2, 3, 5, 6])
def test_a_refinement_that_was_stopped_ends_as_one_that_was_not(accelerator, guidance, whole, most):
    journal = Memory(most)
    with pytest.raises(Interrupted):
        refine(small_avatar(), guidance, CONFIG, accelerator, journal)
    assert equal(refine(small_avatar(), guidance, CONFIG, accelerator, journal), whole)
    assert len(journal.done) == 6


def test_the_stages_one_by_one_do_the_same(accelerator, guidance, whole):
    avatar = small_avatar()
    for stage in (refine_eyes, refine_mouth, refine_dynamic, refine_appearance):
        avatar = stage(avatar, guidance, CONFIG, accelerator)
    assert equal(avatar, whole)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_published_phase_belongs_to_one_stage(recipe):
    config = RECIPES[recipe]
    belonging = [phase.name for belongs, _ in STAGES for phase in belongs(config)]
    assert belonging == [phase.name for phase in config.phases]
