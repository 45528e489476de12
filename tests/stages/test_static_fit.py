"""Splats fitted to pictures: they come to look like them, keep still where nothing is seen, and go on bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from pipeline.avatar import Layer
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.stages.cameras import Orbit
from pipeline.stages.config import Densification, LearningRates
from pipeline.stages.journal import Interrupted, Journal
from pipeline.stages.photometric import photometric_loss, ssim
from pipeline.stages.static_fit import Scene, StaticFitConfig, fit_to_views
from pipeline.stages.super_dense import super_dense
from pipeline.stages.training import attributes, with_attributes
from tests.synthetic import synthetic_rig

SIZE, SEED = 40, 3
CONFIG = StaticFitConfig(
    steps=24,
    views=2,
    learning_rates=LearningRates(means=1.5e-3, sh=0.1),
    densification=Densification(steps=(8,), prune_steps=(12,), gradient=1e-6, most=1500),
)


def colored(avatar, colors):
    """The avatar with opaque splats in these colours."""
    values = attributes(avatar) | {
        "sh": ((colors - 0.5) / 0.28209479177387814)[:, None],
        "opacity_logits": torch.full_like(avatar.opacity_logits.detach(), 3.0),
    }
    return with_attributes(avatar, values)


@pytest.fixture(scope="module")
def start():
    plain = super_dense(synthetic_rig(), per_triangle=3)
    return colored(plain, torch.full((len(plain.face), 3), 0.5))


@pytest.fixture(scope="module")
def scene(start):
    """A sphere that is red on its left, and blue on its right."""
    rig = start.rig
    side = (start.gaussians(rig.vertices).means.detach()[:, 0] > 0).float()
    painted = colored(start, torch.stack([side, torch.full_like(side, 0.2), 1 - side], 1))
    orbit = Orbit(torch.zeros(3), torch.zeros(3), 0.5, 30, 0.3)
    cameras = [orbit.camera(yaw, polar, SIZE) for polar in (60, 100) for yaw in range(0, 360, 60)]
    views = AvatarSource(painted).look(cameras)
    return Scene(views, rig.vertices, rig.vertices[rig.faces].mean(1)[:, 1] < -0.08, 0.3)


class Kept(Journal):
    """Keeps the state after a step, stops there once, and gives it back."""

    def __init__(self, stop=None):
        self.stop, self.kept, self.losses = stop, None, []

    def resume(self, phases):
        return None if self.kept is None else (phases[0], self.kept)

    def step(self, progress, shown, state):
        self.losses.append(progress.losses["photometric"])
        if progress.step == self.stop:
            self.stop, self.kept = None, state()
            raise Interrupted


def test_the_splats_come_to_look_like_the_pictures(start, scene):
    journal = Kept()
    fitted = fit_to_views(start, scene, CONFIG, SEED, journal)
    assert len(journal.losses) == CONFIG.steps
    assert sum(journal.losses[-4:]) < 0.6 * sum(journal.losses[:4])
    assert len(fitted.face) != len(start.face)
    assert all(bool(torch.isfinite(value).all()) for value in attributes(fitted).values())


def test_held_splats_and_the_mouth_stay_exactly(start, scene):
    layers = start.layer.clone()
    layers[:40] = int(Layer.MOUTH)
    avatar = with_attributes(start, attributes(start) | {"layer": layers})
    fitted = fit_to_views(avatar, scene, replace(CONFIG, steps=3), SEED, Journal())
    still = (layers == Layer.MOUTH) | scene.held[start.face.long()]
    before, after = attributes(avatar), attributes(fitted)
    assert all(torch.equal(before[name][still], after[name][still]) for name in before)
    moved = (before["sh"] - after["sh"]).flatten(1).abs().amax(1) > 0
    assert float(moved[~still].float().mean()) > 0.5


def test_an_interrupted_fit_ends_bit_equal(start, scene):
    whole = attributes(fit_to_views(start, scene, CONFIG, SEED, Journal()))
    journal = Kept(stop=10)
    with pytest.raises(Interrupted):
        fit_to_views(start, scene, CONFIG, SEED, journal)
    resumed = attributes(fit_to_views(start, scene, CONFIG, SEED, journal))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_pictures_come_once_before_any_comes_again(start, scene):
    seen = []

    class Watched(type(scene.views)):
        def over(self, color, rows=slice(None)):
            seen.extend(rows)
            return super().over(color, rows)

    watched = replace(scene, views=Watched(scene.views.cameras, scene.views.pictures))
    fit_to_views(start, watched, replace(CONFIG, steps=12), SEED, Journal())
    assert sorted(seen[:12]) == sorted(seen[12:]) == list(range(12))


def test_ssim_of_two_flat_pictures_is_its_formula():
    x, y = torch.full((1, 3, 200, 200), 0.25), torch.full((1, 3, 200, 200), 0.5)
    flat = (2 * 0.25 * 0.5 + 1e-4) / (0.25**2 + 0.5**2 + 1e-4)
    assert float(ssim(x, y)) == pytest.approx(flat, abs=0.02)  # the border sees black beyond it
    assert float(ssim(x, x)) == pytest.approx(1.0, abs=1e-5)
    noisy = x + 0.2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    assert float(ssim(x, noisy)) < 0.5


def test_the_loss_weighs_its_parts():
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    y, alpha = 1 - x, torch.ones(1, 24, 24)
    difference, dissimilarity = float((x - y).abs().mean()), 1 - float(ssim(x, y))
    assert float(photometric_loss(x, alpha, y, 0.75 * alpha, 0.2)) == pytest.approx(
        0.8 * difference + 0.2 * dissimilarity + 0.25, abs=1e-5
    )
    assert not math.isclose(dissimilarity, 0)
