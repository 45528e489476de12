"""The one loop: what it moves, what it leaves, and that stopping or sharing out changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from pipeline.avatar import Layer
from pipeline.errors import UserError
from pipeline.stages.config import Densification, LearningRates
from pipeline.stages.drawing import draw, pose_vertices, uncovered
from pipeline.stages.fitting import fit
from pipeline.stages.journal import Interrupted, Journal
from pipeline.stages.motion_pool import motion_pool
from pipeline.stages.objectives import FROZEN_FILE, timesteps_of
from pipeline.stages.sampling import ViewSampler
from pipeline.stages.training import attributes, with_attributes
from tests.stages.small import distilling, editing, small_avatar, small_config, toy_guidance
from tests.stages.two_processes import refined

NO_CHANGES = Densification()


class Kept(Journal):
    """Keeps the last state and all that is told, and stops after a step."""

    def __init__(self, after: int | None = None, folder: Path | None = None) -> None:
        self.after, self.place = after, folder
        self.state, self.seen, self.said = None, [], []

    def step(self, progress, avatar, state):
        self.seen.append(progress)
        self.state = state()
        if progress.step == self.after:
            raise Interrupted("enough")

    def folder(self, phase):
        return self.place

    def note(self, sentence):
        self.said.append(sentence)


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def guidance():
    return toy_guidance(small_avatar())


def same(one, other):
    pairs = zip(attributes(one).items(), attributes(other).values(), strict=True)
    return [name for (name, a), b in pairs if not torch.equal(a, b)] == []


def test_every_attribute_moves_and_the_avatar_that_came_in_stays(accelerator, guidance):
    before = attributes(small_avatar())
    journal = Kept()
    phase = distilling(densification=NO_CHANGES)
    fitted = fit(small_avatar(), phase, guidance, small_config(phase), accelerator, journal)
    after = attributes(fitted)
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert after[name].isfinite().all()
        assert not torch.equal(after[name], before[name]), name
    assert torch.equal(after["face"], before["face"])
    assert all(torch.equal(a, b) for a, b in zip(attributes(small_avatar()).values(), before.values(), strict=True))
    assert [progress.step for progress in journal.seen] == [1, 2, 3, 4]
    assert set(journal.seen[0].losses) == {"guidance", "position", "scale"}


def test_all_shots_of_a_step_share_the_calls_of_the_unet(accelerator, guidance):
    guidance.model.unet.rows.clear()
    phase = distilling(steps=1, densification=NO_CHANGES)
    config = small_config(phase)
    fit(small_avatar(), phase, guidance, config, accelerator, Journal())
    views = ViewSampler(small_avatar().rig, phase, config, motion_pool(small_avatar().rig, phase)).views(0)
    shots = sum(len(view.shots) for view in views)
    assert shots > 3
    assert guidance.model.unet.rows == [shots] * (len(guidance.model.unet.rows) - 1) + [2 * shots]
    assert len(guidance.model.unet.rows) <= 5


@pytest.mark.parametrize(("trained", "layer"), [("eyes", Layer.EYE), ("mouth", Layer.MOUTH)])
def test_only_the_trained_splats_move(accelerator, guidance, trained, layer):
    regions = ("mouth",) if trained == "mouth" else ("eye_left", "eye_right")
    phase = distilling(
        trained=trained, regions=regions, pool="open_mouth", steps=2, turns_head=False, densification=NO_CHANGES
    )
    fitted = fit(small_avatar(), phase, guidance, small_config(phase), accelerator, Journal())
    moved = (fitted.sh != small_avatar().sh).flatten(1).any(1)
    assert moved[fitted.layer == layer].any()
    assert (fitted.layer == Layer.CLOTH).any()
    assert not moved[fitted.layer == Layer.CLOTH].any()


def test_a_closed_mouth_says_nothing_about_teeth():
    avatar = small_avatar()
    phase = distilling(pool="open_mouth")
    sampler = ViewSampler(avatar.rig, phase, small_config(phase), motion_pool(avatar.rig, phase))
    view = next(view for step in range(9) for view in sampler.views(step) if view.pose.mouth_open)

    def gradients(mouth_open: bool) -> torch.Tensor:
        posed = type(view.pose)(view.pose.expression, view.pose.rotations, mouth_open)
        drawn = draw(avatar, type(view)(posed, view.shots), pose_vertices(avatar.rig, [posed])[0], (1.0, 1.0, 1.0))
        return torch.autograd.grad(drawn.images.square().sum(), avatar.sh)[0].flatten(1).abs().sum(1)

    inside = avatar.layer == Layer.MOUTH
    opened, closed = gradients(True), gradients(False)
    assert opened[inside].any()
    assert not closed[inside].any()
    assert torch.equal(opened[~inside], closed[~inside])


def test_what_another_shot_covers_is_left_alone():
    avatar = small_avatar()
    phase = distilling(regions=("full", "face"))
    sampler = ViewSampler(avatar.rig, phase, small_config(phase), motion_pool(avatar.rig, phase))
    shots = [shot for step in range(9) for view in sampler.views(step) for shot in view.shots if shot.covered]
    weight = uncovered(shots, 4, 4, torch.device("cpu"))
    for row, shot in zip(weight, shots, strict=True):
        left, top, right, bottom = (edge * 4 // shot.camera.width for edge in shot.covered)
        assert not row[0, top:bottom, left:right].any()
        assert row.sum() == 16 - (bottom - top) * (right - left)
        assert 0 < row.sum() < 16


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_distillation_that_was_stopped_ends_as_one_that_was_not(accelerator, guidance, after):
    phase = distilling()
    arguments = (phase, guidance, small_config(phase), accelerator)
    whole = fit(small_avatar(), *arguments, Journal())
    assert len(whole.means) != len(small_avatar().means)  # splats came and went on the way
    journal = Kept(after)
    with pytest.raises(Interrupted):
        fit(small_avatar(), *arguments, journal)
    assert journal.state["step"] == after
    assert same(fit(small_avatar(), *arguments, Journal(), journal.state), whole)


@pytest.mark.parametrize("in_folder", [True, False])
def test_an_edit_that_was_stopped_ends_as_one_that_was_not(accelerator, guidance, in_folder, tmp_path):
    phase = editing()
    arguments = (phase, guidance, small_config(phase), accelerator)
    whole = fit(small_avatar(), *arguments, Kept())
    folder = tmp_path if in_folder else None
    journal = Kept(1, folder)
    with pytest.raises(Interrupted):
        fit(small_avatar(), *arguments, journal)
    assert same(fit(small_avatar(), *arguments, Kept(folder=folder), journal.state), whole)
    assert journal.said  # that LPIPS is not there
    assert not same(whole, small_avatar())


def test_targets_that_were_lost_are_made_again_of_the_frozen_start(accelerator, guidance, tmp_path):
    phase = editing()
    arguments = (phase, guidance, small_config(phase), accelerator)
    whole = fit(small_avatar(), *arguments, Kept())
    journal = Kept(2, tmp_path)
    with pytest.raises(Interrupted):
        fit(small_avatar(), *arguments, journal)
    kept = load_file(tmp_path / FROZEN_FILE)
    assert torch.equal(kept["means"], small_avatar().means)
    pictures = sorted(tmp_path.glob("*.png"))
    pictures[0].unlink()
    pictures[-1].write_bytes(b"half a pic")
    assert same(fit(small_avatar(), *arguments, Kept(folder=tmp_path), journal.state), whole)


def test_a_phase_that_was_stopped_at_its_end_asks_for_nothing_more(accelerator, guidance):
    phase = editing()
    arguments = (phase, guidance, small_config(phase), accelerator)
    journal = Kept()
    whole = fit(small_avatar(), *arguments, journal)
    guidance.model.unet.rows.clear()
    assert same(fit(small_avatar(), *arguments, Kept(), journal.state), whole)
    assert guidance.model.unet.rows == []


def test_targets_are_made_once(accelerator, guidance, tmp_path):
    phase = editing(steps=1)
    arguments = (phase, guidance, small_config(phase), accelerator)
    fit(small_avatar(), *arguments, Kept(folder=tmp_path))
    guidance.model.unet.rows.clear()
    fit(small_avatar(), *arguments, Kept(folder=tmp_path))
    assert guidance.model.unet.rows == []


def test_making_targets_can_be_stopped_between_batches(accelerator, guidance, tmp_path):
    class Impatient(Kept):
        def pause(self):
            raise Interrupted("enough")

    phase = editing(steps=1)
    config = small_config(phase)
    with pytest.raises(Interrupted):
        fit(small_avatar(), phase, guidance, config, accelerator, Impatient(folder=tmp_path))
    assert len(list(tmp_path.glob("*.png"))) == config.batch


def test_a_number_that_is_not_finite_is_told_with_phase_and_step(accelerator):
    avatar = small_avatar()
    guidance = toy_guidance(avatar)
    phase = distilling(densification=NO_CHANGES)

    class Breaking(Kept):
        def step(self, progress, avatar, state):
            super().step(progress, avatar, state)
            guidance.model.unet.mix.data.fill_(torch.nan)

    journal = Breaking()
    with pytest.raises(UserError, match=r"phase dynamic .* in step 2"):
        fit(avatar, phase, guidance, small_config(phase), accelerator, journal)
    assert all(value.isfinite().all() for value in journal.state["avatar"].values() if value.is_floating_point())


def test_timesteps_go_down_in_equal_steps_or_are_drawn_from_their_range():
    down = distilling(steps=5, timesteps=(750, 150))
    draws = torch.Generator().manual_seed(0)
    assert [timesteps_of(down, step, 2, draws).tolist() for step in range(5)] == [
        [t, t] for t in (750, 600, 450, 300, 150)
    ]
    drawn = distilling(method="dsd", steps=9, timesteps=(800, 50), late_timesteps=(550, 20), late_from=5)
    early, late = (timesteps_of(drawn, step, 4000, draws) for step in (4, 5))
    assert (int(early.min()), int(early.max())) == (50, 800)
    assert (int(late.min()), int(late.max())) == (20, 550)


@pytest.fixture
def shaping():
    """HeadStudio's way in short: the shape is learned for two of four steps."""
    phase = distilling(
        method="dsd", regions=("full",), views=2, timesteps=(800, 50), conditioned_full=True, one_pose=True,
        regularizer="area", scale_weight=0.1, position_weight=0.1,
        densification=Densification(steps=(1,), normalized=True, gradient=1e-3, most=2000),
    )  # fmt: skip
    rates = LearningRates(shape=0.5, betas=(0.9, 0.99))
    return replace(small_config(phase), learning_rates=rates, shape_until=2, cameras="headstudio")


def test_the_shape_of_the_head_is_learned_and_then_frozen(accelerator, guidance, shaping):
    vertices = []

    class Watching(Kept):
        def step(self, progress, avatar, state):
            super().step(progress, avatar, state)
            vertices.append(avatar.rig.vertices.clone())

    start = small_avatar().rig.vertices.clone()
    fitted = fit(small_avatar(), shaping.phases[0], guidance, shaping, accelerator, Watching())
    moved = [float((now - before).norm(dim=1).max()) for before, now in pairwise([start, *vertices])]
    assert min(moved[:2]) > 1e-4
    assert moved[2:] == [0, 0]
    assert torch.equal(small_avatar().rig.vertices, start)
    torch.testing.assert_close(fitted.rig.vertices, vertices[-1])
    assert not torch.equal(fitted.rig.expressions, small_avatar().rig.expressions)  # made for the new face


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_shape_that_was_half_learned_is_learned_on(accelerator, guidance, shaping, after):
    phase = shaping.phases[0]
    whole = fit(small_avatar(), phase, guidance, shaping, accelerator, Journal())
    journal = Kept(after)
    with pytest.raises(Interrupted):
        fit(small_avatar(), phase, guidance, shaping, accelerator, journal)
    again = fit(small_avatar(), phase, guidance, shaping, accelerator, Journal(), journal.state)
    assert same(again, whole)
    assert torch.equal(again.rig.vertices, whole.rig.vertices)
    assert torch.equal(again.rig.expressions, whole.rig.expressions)


def test_two_processes_do_what_one_does(accelerator, tmp_path):
    one = refined(small_avatar(), accelerator, Journal())
    assert len(one["means"]) != len(small_avatar().means)
    small_avatar().save_pretrained(tmp_path / "avatar")
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tests.stages.two_processes"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run(
        [sys.executable, "-m", *command, str(tmp_path / "avatar"), str(tmp_path / "two")],
        env=environment, cwd=Path(__file__).parents[2], check=True, timeout=170,
    )  # fmt: skip
    first, second = (load_file(tmp_path / f"two-{process}") for process in range(2))
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        apart = (first[name].float() - value.float()).abs()
        assert apart.mean() < 1e-5, name
        assert apart.max() < 1e-3, name  # Adam makes whole steps of rounding errors where a splat hardly counts
    pictures = [portrait_of(values) for values in (one, first)]
    apart = (pictures[0] - pictures[1]).abs()
    assert (apart > 1e-5).float().mean() < 1e-3  # where a splat is just above the least opacity that is drawn
    assert apart.max() < 1e-2
    assert (pictures[0] - portrait_of(attributes(small_avatar()))).abs().mean() > 1e-3


@torch.no_grad()
def portrait_of(values):
    """The small head with other splats, all shots of a step."""
    avatar = with_attributes(small_avatar(), values)
    phase = distilling()
    views = ViewSampler(avatar.rig, phase, small_config(phase), motion_pool(avatar.rig, phase)).views(0)
    vertices = pose_vertices(avatar.rig, [view.pose for view in views])
    return torch.cat([draw(avatar, *each, (1.0, 1.0, 1.0)).images for each in zip(views, vertices, strict=True)])
