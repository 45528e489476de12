"""Score distillation on a tri-grid: a model that knows the person pulls another one to it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.config import DistillationConfig
from pipeline.priors.portrait3d.distillation import WARM_UPDATES, camera_of, distill, draws_of, entropy_weight
from pipeline.priors.portrait3d.pictures import unit
from pipeline.priors.portrait3d.rendering import render
from pipeline.priors.portrait3d.sampling import binary_entropy
from pipeline.priors.portrait3d.view_prompts import described
from pipeline.stages.journal import Interrupted
from tests.priors.portrait3d.seer import DIRECTIONS, EYES, prompts, seer, told_azimuth
from tests.priors.portrait3d.small import Stopping, soft_scene

SEED = 3
CONFIG = DistillationConfig(steps=12, size=16, encoded_size=64, samples=6, learning_rates=(0.3, 0.3), ema_every=4)
HELD_OUT = ((0.0, 90.0), (60.0, 80.0), (170.0, 95.0), (-100.0, 70.0))


@pytest.fixture(scope="module")
def scene():
    return soft_scene()


def look(scene, trigrid):
    """From where no step looks."""
    config = DistillationConfig(size=24)
    with torch.no_grad():
        views = [render(trigrid, scene.painter, camera_of(config, *angles), EYES).image for angles in HELD_OUT]
    return unit(torch.stack(views))


def decibels(scene, trigrid) -> float:
    return -10 * math.log10(float((look(scene, trigrid) - look(scene, scene.truth)).square().mean()))


def run(scene, config, journal, words=DIRECTIONS):
    model = seer(scene.truth, scene.painter, config, SEED)
    return distill(scene.wrong, scene.painter, model, prompts(words), config, journal, SEED)


def test_the_person_of_the_text_appears(scene):
    before = decibels(scene, scene.wrong)
    told, mistold = (
        decibels(scene, run(scene, CONFIG, Stopping(), words)) for words in (DIRECTIONS, ("back", "side", "front"))
    )
    assert before < 15
    assert told > 19
    assert told > mistold + 0.7  # one whose back is told to be its front


def test_it_goes_on_where_it_was_stopped(scene):
    config = replace(CONFIG, steps=4, ema_every=2)
    whole = run(scene, config, Stopping())
    journal = Stopping(stop_after=3)
    with pytest.raises(Interrupted):
        run(scene, config, journal)
    journal.stop_after = None
    model = seer(scene.truth, scene.painter, config, SEED)
    model.unet.calls = 3
    found = distill(scene.wrong, scene.painter, model, prompts(), config, journal, SEED)
    assert journal.steps == config.steps
    assert all(torch.equal(a, b) for a, b in zip(found.levels, whole.levels, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(found.levels, scene.wrong.levels, strict=True))


def test_the_result_is_the_running_mean(scene):
    config = replace(CONFIG, steps=4, ema_every=2)
    journal = Stopping()
    seen = []
    journal.step = lambda progress, shown, state: seen.append(state()["levels"])
    result = run(scene, config, journal)
    mean = [level.clone() for level in scene.wrong.levels]
    for update, step in enumerate((2, 4), 1):
        kept = min(config.ema, (1 + update) / (1 + update + WARM_UPDATES))
        mean = [kept * own + (1 - kept) * level for own, level in zip(mean, seen[step - 1], strict=True)]
    for own, expected in zip(result.levels, mean, strict=True):
        torch.testing.assert_close(own, expected)


def test_cameras_and_timesteps_are_drawn_as_published():
    config = DistillationConfig()
    drawn = [draws_of(config, (1, 1, 1), SEED, step) for step in range(400)]
    polar, azimuth = ([getattr(one, name) for one in drawn] for name in ("polar", "azimuth"))
    assert 60 <= min(polar) < 62 < 103 < max(polar) <= 105
    assert -180 <= min(azimuth) < -170 < 170 < max(azimuth) <= 180
    assert 20 <= min(one.timestep for one in drawn) < 25
    assert 395 < max(one.timestep for one in drawn) <= 400
    camera = camera_of(config, 90.0, 90.0)
    np.testing.assert_allclose(camera.position, [2.7, 0, 0], atol=1e-5)  # the subject's left
    assert float(camera.K[0, 0]) / 128 == pytest.approx(6.4848, abs=1e-4)
    np.testing.assert_allclose(camera.viewmat @ torch.tensor([0, 0.0649, 0, 1.0]), [0, 0, 2.70078, 1], atol=1e-4)


def test_the_text_turns_with_the_view():
    told = prompts()
    for azimuth in (-180.0, -120.0, -90.0, -10.0, 0.0, 45.0, 90.0, 135.0, 180.0):
        batch = told.seen_from(azimuth)
        assert told_azimuth(batch.positive[0, 0]) == pytest.approx(abs(azimuth), abs=1e-3)
        assert float(batch.positive.sum()) == pytest.approx(1)
        assert not batch.null.any()


def test_a_text_begins_with_what_decides_how_much_is_seen():
    assert described(" a man ", "upper body photo") == "upper body photo, a man"
    assert described("Upper body photo of a man", "upper body photo") == "Upper body photo of a man"


def test_the_entropy_is_weighed_more_and_more():
    config = DistillationConfig(steps=100)
    assert [entropy_weight(config, step) for step in (0, 25, 50, 99)] == pytest.approx([0, 5e-4, 1e-3, 1e-3])
    chances = torch.tensor([0.0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(binary_entropy(chances), [0, 0.811278, 1, 0], atol=3e-4)


def test_a_grid_of_other_levels_is_refused(scene):
    with pytest.raises(UserError, match="there are 7 learning rates for the 2 levels"):
        run(scene, DistillationConfig(), Stopping())
