"""Each edit does what it says to a clip, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads import AnnyHead
from pipeline.motion import ARKIT_NAMES, Motion, retarget
from pipeline.motion.clips import EMOTIONS, idle, talk
from pipeline.motion.editing import (
    GROUPS,
    add_blinks,
    change_speed,
    in_actions,
    mix,
    repeat,
    scale,
    seamless,
    smooth,
    split,
    trim,
)
from tests.motion.making import a_motion


@pytest.fixture(scope="module")
def speech() -> Motion:
    return talk()


@pytest.fixture(scope="module")
def rig():
    return AnnyHead().rig


def action(motion: Motion, name: str) -> torch.Tensor:
    return motion.expression[:, ARKIT_NAMES.index(name)]


def same(first: Motion, second: Motion) -> bool:
    return first.tensor_names() == second.tensor_names() and all(
        torch.equal(getattr(first, name), getattr(second, name)) for name in first.tensor_names()
    )


def test_trim_keeps_the_frames_between():
    clip = a_motion(50, eyelids=torch.zeros(50, 2))
    part = trim(clip, 0.4, 1.2)
    assert len(part) == 20
    assert torch.equal(part.jaw, clip.jaw[10:30])
    assert len(trim(clip, 1, 99)) == 25


@pytest.mark.parametrize(("start", "stop"), [(1, 1), (2, 1), (-1, 1), (9, 10), (0, -1), (math.nan, 1), (2, None)])
def test_nothing_left_is_a_sentence(start, stop):
    with pytest.raises(UserError, match=r"the clip lasts 2\.00 s"):
        trim(a_motion(50), start, stop)


def test_the_parts_of_a_split_make_up_the_clip():
    clip = a_motion(50)
    parts = split(clip, [1.2, 0.4])
    assert [len(part) for part in parts] == [10, 20, 20]
    assert torch.equal(torch.cat([part.expression for part in parts]), clip.expression)
    with pytest.raises(UserError, match="nothing lies between"):
        split(clip, [0.4, 0.4])


def test_repeat():
    clip = a_motion(5)
    twice = repeat(clip, 2)
    assert torch.equal(twice.neck, torch.cat([clip.neck, clip.neck]))
    for times in (0, -1, 10**6):
        with pytest.raises(UserError, match="cannot be made"):
            repeat(clip, times)


def test_the_seam_is_no_larger_a_step_than_the_rest():
    clip = a_motion(50, neck=torch.linspace(0, 1, 50)[:, None].repeat(1, 3), expression=torch.rand(50, 100).cumsum(0))
    gone_round = seamless(clip, 0.5)
    assert len(gone_round) == 50
    assert torch.equal(gone_round.neck[:38], clip.neck[:38])
    for name in ("neck", "expression"):
        before, after = getattr(clip, name), getattr(gone_round, name)
        assert float((after[-1] - after[0]).norm()) < 0.02 * float((before[-1] - before[0]).norm())
    with pytest.raises(UserError, match="positive"):
        seamless(clip, 0)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.7, 4])
def test_speed_changes_how_long_a_clip_lasts_and_keeps_its_curve(speech, factor):
    changed = change_speed(speech, factor)
    assert changed.fps == speech.fps
    assert changed.duration == pytest.approx(speech.duration / factor, abs=1 / speech.fps)
    at = 40
    assert float(action(changed, "jawOpen")[at]) == pytest.approx(
        float(np.interp(at * factor, np.arange(len(speech)), action(speech, "jawOpen"))), abs=1e-5
    )


@pytest.mark.parametrize("factor", [0, 0.1, 5, -1, math.nan])
def test_a_speed_out_of_range(factor):
    with pytest.raises(UserError, match="times the clip's own"):
        change_speed(a_motion(), factor)


def test_smoothing_takes_the_noise_and_leaves_the_movement():
    frames, generator = 200, torch.Generator().manual_seed(1)
    swing = 0.5 * torch.sin(torch.linspace(0, 6, frames))[:, None] * torch.tensor([0.0, 1.0, 0.0])
    noisy = a_motion(frames, neck=swing + 0.03 * torch.randn(frames, 3, generator=generator))
    calm = smooth(noisy, 1.0)
    error_before, error_after = (
        float((noisy.neck - swing).norm(dim=1).mean()),
        float((calm.neck - swing).norm(dim=1).mean()),
    )
    assert error_after < 0.5 * error_before
    assert same(smooth(noisy, 0), noisy)
    with pytest.raises(UserError, match=r"smoothing is 1\.5"):
        smooth(noisy, 1.5)


def test_smoothing_goes_over_half_a_turn_on_the_sphere():
    """Axis-angle jumps from π to −π there; a filter of its numbers would turn the head right round."""
    angle = torch.linspace(math.pi - 0.5, math.pi + 0.5, 60)
    wrapped = torch.where(angle > math.pi, angle - 2 * math.pi, angle)
    clip = a_motion(60, neck=wrapped[:, None] * torch.tensor([0.0, 1.0, 0.0]))
    turned = smooth(clip, 1.0).neck[:, 1].remainder(2 * math.pi)
    assert float((turned - angle).abs()[8:-8].max()) < 0.02


def test_smoothed_weights_stay_weights(speech):
    calm = smooth(speech, 1.0)
    assert float(calm.expression.min()) >= 0
    assert float(calm.expression.max()) <= 1


def test_every_action_but_the_blinks_belongs_to_one_group():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(set(ARKIT_NAMES) - {"eyeBlinkLeft", "eyeBlinkRight"})


def test_scaling_the_jaw_leaves_the_rest_and_keeps_the_lips_closed(speech):
    wide = scale(speech, {"jaw": 0.5})
    assert torch.allclose(action(wide, "jawOpen"), 0.5 * action(speech, "jawOpen"))
    assert torch.allclose(action(wide, "mouthClose"), 0.5 * action(speech, "mouthClose"))
    assert torch.equal(action(wide, "mouthPucker"), action(speech, "mouthPucker"))
    assert torch.equal(wide.neck, speech.neck)


def test_head_turns_grow_from_the_first_frame(rig):
    camera = torch.tensor([3.0, 0.1, 0.0])
    clip = a_motion(9, global_rotation=camera.expand(9, 3), neck=torch.linspace(0, 0.2, 9)[:, None].repeat(1, 3))
    doubled = scale(clip, {"head": 2.0})
    assert torch.allclose(doubled.global_rotation, clip.global_rotation, atol=1e-4)
    assert torch.allclose(doubled.neck, 2 * clip.neck, atol=1e-5)
    still = retarget(scale(clip, {"head": 0.0}), rig)
    assert float(still.rotations[:, rig.joint_index("head")].abs().max()) < 1e-5


def test_what_coefficients_do_not_tell_stays_and_is_said():
    clip = a_motion()
    scaled = scale(clip, {"jaw": 0.5, "eyes": 2.0, "brows": 2.0})
    assert torch.allclose(scaled.jaw, 0.5 * clip.jaw)
    assert torch.allclose(scaled.left_eye, 2 * clip.left_eye)
    assert torch.equal(scaled.expression, clip.expression)
    assert "brows" in scaled.notes[-1]


@pytest.mark.parametrize(("amounts", "told"), [({"ears": 1.0}, "no group 'ears'"), ({"jaw": 9.0}, "0 to 3")])
def test_unknown_groups_and_amounts(amounts, told):
    with pytest.raises(UserError, match=told):
        scale(a_motion(), amounts)


def test_blinks_come_as_often_as_asked_and_are_drawn_by_the_seed():
    clip = a_motion(1800, fps=30.0, expression=torch.zeros(1800, 50))
    blinking = add_blinks(clip, 20, seed=3)
    assert blinking.eyelids is not None
    shut = (blinking.eyelids[:, 0] > 0.9).numpy()
    count = int((shut[1:] & ~shut[:-1]).sum())
    assert 16 <= count <= 26
    assert same(blinking, add_blinks(clip, 20, seed=3))
    assert not same(blinking, add_blinks(clip, 20, seed=4))
    with pytest.raises(UserError, match="the seed of the blinks is -1"):
        add_blinks(clip, 20, seed=-1)
    for wrong in (0, 100):
        with pytest.raises(UserError, match="blinks a minute"):
            add_blinks(clip, wrong)


def test_blinks_keep_away_from_those_that_are_there():
    clip = idle()
    there = (action(clip, "eyeBlinkLeft") > 0.5).numpy()
    added = (action(add_blinks(clip, 40), "eyeBlinkLeft") > 0.5).numpy()
    assert added.sum() > there.sum()
    runs = np.diff(np.flatnonzero(added)) / clip.fps
    assert (runs[runs > 1.5 / clip.fps] > 0.4).all(), "two blinks in a row"


def test_a_mixed_feeling_lasts_the_whole_clip(speech):
    happy = mix(speech, {"happy": 0.5})
    wanted = (action(speech, "mouthSmileLeft") + 0.5 * EMOTIONS["happy"]["mouthSmile"]).clamp_max(1)
    assert torch.allclose(action(happy, "mouthSmileLeft"), wanted, atol=1e-5)
    assert float(happy.expression.max()) <= 1


def test_a_mixed_feeling_never_parts_closed_lips(speech):
    happy = mix(speech, {"happy": 1.0})
    sealed = (action(speech, "mouthClose") > 0.05) & (action(speech, "mouthClose") >= action(speech, "jawOpen"))
    assert int(sealed.sum()) > 5
    for name in ("jawOpen", "mouthUpperUpLeft", "mouthLowerDownRight"):
        assert torch.equal(action(happy, name)[sealed], action(speech, name)[sealed])


@pytest.mark.parametrize(("amounts", "told"), [({"bored": 1.0}, "no expression 'bored'"), ({"happy": 2.0}, "0 to 1")])
def test_unknown_feelings(speech, amounts, told):
    with pytest.raises(UserError, match=told):
        mix(speech, amounts)
    with pytest.raises(UserError, match="flame2023"):
        mix(a_motion(), {"happy": 1.0})


def test_said_in_actions_a_clip_moves_the_head_as_before(rig):
    clip = a_motion(20, jaw=torch.rand(20, 3) * torch.tensor([0.3, 0.0, 0.0]), eyelids=torch.rand(20, 2))
    named = in_actions(clip, rig)
    before, after = retarget(clip, rig), retarget(named, rig)
    assert named.basis == "arkit52"
    assert torch.allclose(before.expression, after.expression, atol=1e-5)
    assert torch.allclose(before.rotations, after.rotations, atol=1e-4)
    assert in_actions(named, rig) is named
