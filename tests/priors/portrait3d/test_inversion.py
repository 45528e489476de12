"""The projector: a generator finds its own portrait again, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.config import InversionConfig
from pipeline.priors.portrait3d.inversion import invert, inverted_trigrid, portrait_of, spread
from pipeline.priors.portrait3d.projector import Spread, autocorrelation, noise_share, project, ramp
from pipeline.stages.journal import Interrupted
from tests.priors.portrait3d.generator_weights import small_generator
from tests.priors.portrait3d.small import Stopping, front_camera

STEPS = 30
CONFIG = InversionConfig(steps=STEPS, learning_rate=0.05, mean_samples=16, samples=4, compared_size=32)


def squared(images, targets):
    return (images - targets).square().flatten(1).mean(1)


@pytest.fixture(scope="module")
def generator():
    return small_generator()


@pytest.fixture(scope="module")
def own_portrait(generator):
    """A picture that the generator can make: of latents that are not alike in all layers."""
    camera = front_camera(32)
    around = spread(generator, CONFIG)
    draws = torch.Generator().manual_seed(5)
    ws = around.mean + 0.3 * torch.randn(around.mean.shape, generator=draws)
    with torch.no_grad():
        return portrait_of(generator, generator.planes(ws), camera, CONFIG)


@pytest.fixture(scope="module")
def whole(generator, own_portrait):
    journal = Stopping()
    found = invert(generator, own_portrait, front_camera(32), CONFIG, journal, compare=squared, seed=1)
    return found, journal


def test_a_generator_finds_its_own_portrait(generator, own_portrait, whole):
    found, journal = whole
    losses = [losses["perceptual"] for losses in journal.losses]
    with torch.no_grad():
        picture = portrait_of(generator, inverted_trigrid(generator, found), front_camera(32), CONFIG)
    unexplained = float((picture - own_portrait).var() / own_portrait.var())
    assert losses[-1] < losses[0] / 20
    assert unexplained < 0.15


def test_it_goes_on_where_it_was_stopped(generator, own_portrait):
    config = replace(CONFIG, steps=3)
    arguments = (generator, own_portrait, front_camera(32), config)
    whole = invert(*arguments, Stopping(), compare=squared, seed=1)
    journal = Stopping(stop_after=2)
    with pytest.raises(Interrupted):
        invert(*arguments, journal, compare=squared, seed=1)
    journal.stop_after = None
    found = invert(*arguments, journal, compare=squared, seed=1)
    assert journal.steps == config.steps
    assert torch.equal(found.ws, whole.ws)
    assert all(torch.equal(found.noises[name], noise) for name, noise in whole.noises.items())


def test_noise_stays_noise(whole):
    for noise in whole[0].noises.values():
        assert abs(float(noise.mean())) < 1e-5
        assert float(noise.square().mean()) == pytest.approx(1, abs=1e-4)


def test_the_learning_rate_rises_in_a_line_and_falls_as_a_cosine():
    shares = [ramp(step / 500, 0.05, 0.25) for step in range(500)]
    np.testing.assert_allclose(shares[:26], np.linspace(0, 1, 26), atol=1e-12)
    assert set(shares[25:376]) == {1.0}
    assert shares[437] == pytest.approx(0.5 - 0.5 * np.cos(np.pi * (63 / 500) / 0.25))
    assert shares[499] < 1e-3


def test_latents_are_noisy_at_first_alone():
    assert noise_share(0.0, 0.75) == 1
    assert noise_share(0.375, 0.75) == pytest.approx(0.25)
    assert noise_share(0.75, 0.75) == noise_share(0.9, 0.75) == 0


def test_the_autocorrelation_is_that_of_the_paper():
    draws = np.random.default_rng(0)
    noises = [draws.normal(size=(32, 32)), draws.normal(size=(8, 8)), draws.normal(size=(4, 4))]
    expected = 0.0
    for noise in noises:
        image = noise
        while True:
            for axis in (0, 1):
                expected += np.mean(image * np.roll(image, 1, axis)) ** 2
            if len(image) <= 8:
                break
            image = image.reshape(len(image) // 2, 2, len(image) // 2, 2).mean((1, 3))
    assert float(autocorrelation([torch.from_numpy(noise) for noise in noises])) == pytest.approx(expected, rel=1e-9)


def test_the_spread_is_the_distance_from_the_mean():
    ws = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])[:, None].expand(-1, 3, -1)
    found = Spread.of(ws)
    assert torch.equal(found.mean, torch.tensor([1.0, 0.0]).expand(1, 3, 2))
    assert found.deviation == pytest.approx(2.0)


def test_a_loss_that_is_no_number_is_told():
    config = replace(CONFIG, compared_size=16)
    nowhere = Spread(torch.zeros(1, 1, 2), 0.0)
    target = torch.zeros(3, 16, 16)
    with pytest.raises(UserError, match="not finite in step 1"):
        project(
            lambda ws, noises, draws: target * ws.sum() / 0.0,
            target, nowhere, [torch.zeros(4, 4)], squared, config, Stopping(), 0,
        )  # fmt: skip
