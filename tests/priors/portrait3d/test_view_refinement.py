"""Views, their editing, and the fit to them, on a scene whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from pipeline.guidance.diffusion import DiffusionModel
from pipeline.priors.portrait3d.cameras import polar_degrees
from pipeline.priors.portrait3d.config import ViewRefinementConfig
from pipeline.priors.portrait3d.pictures import unit
from pipeline.priors.portrait3d.rendering import PORTRAIT3D, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.priors.portrait3d.view_prompts import ViewPrompts
from pipeline.priors.portrait3d.view_refinement import (
    cropped,
    ddim_like,
    fit_views,
    patch_of,
    refined_views,
    strength_of,
    view_cameras,
)
from pipeline.stages.journal import Interrupted
from tests.guidance.toy import ToyUnet, ToyVae, toy_encode, toy_scheduler
from tests.priors.portrait3d.small import Stopping, soft_scene

SEED = 4
FEW = replace(PORTRAIT3D, coarse=12, fine=12)
"""Samples on each ray."""
CONFIG = ViewRefinementConfig(
    horizontal=3, vertical=(90.0,), size=32, view_samples=8, samples=8, epochs=10, patch=16, learning_rate=0.3
)


@pytest.fixture(scope="module")
def scene():
    return soft_scene()


def look(trigrid, painter, cameras):
    with torch.no_grad():
        return torch.stack([render(trigrid, painter, camera, FEW).image for camera in cameras])


def decibels(seen, truth) -> float:
    return -10 * math.log10(float((unit(seen) - unit(truth)).square().mean()))


def angles(camera) -> tuple[float, float]:
    """Horizontal angle and polar angle of a camera, degrees."""
    x, y, z = (camera.position / camera.position.norm()).tolist()
    return math.degrees(math.atan2(z, -x)) % 360, math.degrees(math.acos(y))


def test_the_views_are_those_of_the_paper():
    cameras = view_cameras(ViewRefinementConfig(), SEED)
    assert len(cameras) == 21
    for number, camera in enumerate(cameras):
        around, polar = angles(camera)
        level = (60, 90, 120)[number // 7]
        assert abs((around - 360 * (number % 7) / 7 + 180) % 360 - 180) < 0.01
        assert polar_degrees(level - 5) - 0.01 <= polar <= polar_degrees(level + 5) + 0.01
    assert min(abs(angles(camera)[0] - 90) for camera in cameras) == pytest.approx(360 * 2 / 7 - 90, abs=0.01)


def test_one_offset_makes_a_front_view():
    cameras = view_cameras(ViewRefinementConfig(horizontal_offset=38.5714, vertical_jitter=0.0), SEED)
    assert min(abs(angles(camera)[0] - 90) for camera in cameras) < 0.01


def test_ten_steps_of_ddim_are_run_as_published():
    config = ViewRefinementConfig()
    assert int(config.schedule * strength_of(toy_scheduler(), config)) == 10


def test_latents_are_not_clipped_whatever_scheduler_the_model_has():
    found = ddim_like(EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"))
    assert not found.config.clip_sample
    assert found.alphas_cumprod[-1] == pytest.approx(0.0047, abs=1e-4)
    assert int(50 * strength_of(found, ViewRefinementConfig())) == 10


def test_a_patch_is_a_part_of_the_view(scene):
    (camera,) = view_cameras(replace(CONFIG, horizontal=1), SEED)
    whole = look(scene.truth, scene.painter, [camera])[0]
    part = look(scene.truth, scene.painter, [cropped(camera, 12, 9, 16)])[0]
    torch.testing.assert_close(part, whole[:, 9:25, 12:28], atol=1e-4, rtol=0)


def test_an_epoch_shows_each_view_once():
    seen = [patch_of(CONFIG, 3, SEED, step) for step in range(9)]
    for epoch in range(3):
        assert sorted(number for number, _, _ in seen[3 * epoch : 3 * epoch + 3]) == [0, 1, 2]
    assert all(0 <= start <= 16 for _, left, top in seen for start in (left, top))
    assert len(set(seen)) > 3


class Keeping(Stopping):
    """Also a place for files, and a stop between two views."""

    def __init__(self, place, stop_at=None):
        super().__init__()
        self.place, self.stop_at, self.pauses = place, stop_at, 0

    def folder(self, phase):
        return self.place / phase

    def pause(self):
        self.pauses += 1
        if self.pauses == self.stop_at:
            raise Interrupted("enough")


def test_views_that_were_made_are_not_made_again(scene, tmp_path):
    cameras = view_cameras(CONFIG, SEED)
    unet = ToyUnet()
    model = DiffusionModel(unet, ToyVae(), toy_scheduler())
    arguments = (
        scene.truth, scene.painter, None, cameras, model, toy_scheduler(), ViewPrompts(toy_encode, "a man", "blurry"),
        replace(CONFIG, schedule=10),
    )  # fmt: skip
    whole = refined_views(*arguments, Stopping())
    steps = len(unet.rows)
    with pytest.raises(Interrupted):
        refined_views(*arguments, Keeping(tmp_path, stop_at=2))
    unet.rows.clear()
    assert torch.equal(refined_views(*arguments, Keeping(tmp_path)), whole)
    assert len(unet.rows) == steps / 3


def test_it_is_fitted_to_true_views(scene):
    cameras = view_cameras(CONFIG, SEED)
    truth = look(scene.truth, scene.painter, cameras)
    before = decibels(look(scene.wrong, scene.painter, cameras), truth)
    fitted = fit_views(scene.wrong, scene.painter, cameras, unit(truth), CONFIG, Stopping(), SEED)
    after = decibels(look(fitted, scene.painter, cameras), truth)
    assert before < 15
    assert after > 20


def test_the_fit_goes_on_where_it_was_stopped(scene):
    config = replace(CONFIG, epochs=1)
    cameras = view_cameras(config, SEED)
    arguments = (scene.truth, scene.painter, cameras, torch.full((3, 3, 32, 32), 0.5), config)
    whole = fit_views(*arguments, Stopping(), SEED)
    journal = Stopping(stop_after=2)
    with pytest.raises(Interrupted):
        fit_views(*arguments, journal, SEED)
    journal.stop_after = None
    found = fit_views(*arguments, journal, SEED)
    assert journal.steps == 3
    assert isinstance(found, TriGrid)
    assert all(torch.equal(a, b) for a, b in zip(found.levels, whole.levels, strict=True))
