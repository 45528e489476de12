"""Our own clips: alive, at rest at both ends, and the same every time."""

import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.motion import ARKIT_NAMES, load_motion
from pipeline.motion import curves as c
from pipeline.motion.clips import CLIPS, SPEECH, spoken
from pipeline.motion.face import Face
from pipeline.motion.visemes import CLASS_OF_SOUND, DIPHTHONGS, VOWELS, Sound, mouth_curves

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def clips():
    return {name: make() for name, make in CLIPS.items()}


def column(motion, name):
    return motion.expression[:, ARKIT_NAMES.index(name)]


def test_files_in_the_repository_are_what_the_script_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_motions.py", str(tmp_path)])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    runpy.run_path(str(EXAMPLES / "make_motions.py"))
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {path.name for path in (EXAMPLES / "motions").iterdir()} == {f"{name}.npz" for name in CLIPS}
    for name in written:
        old, new = load_motion([EXAMPLES / "motions" / name]), load_motion([tmp_path / name])
        assert (old.fps, len(old), old.source) == (new.fps, len(new), new.source)
        for tensor in new.tensor_names():  # another machine's sine may differ in the last bit of 16
            torch.testing.assert_close(getattr(old, tensor), getattr(new, tensor), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", CLIPS)
def test_clip_starts_and_ends_at_rest(clips, name):
    motion = clips[name]
    assert motion.basis == "arkit52"
    assert motion.fps == 30
    assert 6 <= motion.duration <= 35
    for frame in (0, -1):
        assert float(motion.expression[frame].max()) < 0.08
        assert float(motion.head[frame].norm()) < 0.01
        assert float(motion.neck[frame].norm()) < 0.01


@pytest.mark.parametrize("name", CLIPS)
def test_nothing_jumps(clips, name):
    motion = clips[name]
    steps = (motion.expression[1:] - motion.expression[:-1]).abs().max(0).values
    for action, step in zip(ARKIT_NAMES, steps.tolist(), strict=True):
        limit = 0.75 if action.startswith("eye") else 0.4  # lids and eyes are the fastest parts of a face
        assert step < limit, f"{action} jumps by {step:.2f} in a thirtieth of a second"
    assert float((motion.head[1:] - motion.head[:-1]).norm(dim=1).max()) < np.radians(6)


@pytest.mark.parametrize("name", ["talk", "emotions", "look_around", "idle"])
def test_it_blinks_with_both_eyes_but_not_exactly_alike(clips, name):
    left, right = (column(clips[name], f"eyeBlink{side}") for side in ("Left", "Right"))
    shut = (left > 0.8).numpy()
    blinks = int((shut[1:] & ~shut[:-1]).sum())
    assert 2 <= blinks <= 12
    assert float(left.max()) > 0.9
    assert 0.001 < float((left - right).abs().max()) < 0.5


def test_range_of_motion_takes_every_action_to_its_end(clips):
    assert float(clips["range_of_motion"].expression.max(0).values.min()) > 0.95


def test_talk_closes_the_lips_on_every_lip_sound(clips):
    sounds, _, _ = spoken(SPEECH, 0.4)
    lips = [sound for sound in sounds if CLASS_OF_SOUND.get(sound.name) == "lips"]
    assert len(lips) >= 4
    times = torch.arange(len(clips["talk"])) / 30
    gap = column(clips["talk"], "jawOpen") - column(clips["talk"], "mouthClose")
    for sound in lips:
        near = (times > sound.start - 0.06) & (times < sound.start + sound.length)
        assert float(gap[near].min()) < 0.03, f"lips stay open on {sound.name} at {sound.start:.2f} s"
    assert float(column(clips["talk"], "jawOpen").max()) > 0.4


def test_gaze_holds_while_the_head_turns(clips):
    """Look around: once the head follows, eyes turn back in their sockets."""
    motion = clips["look_around"]
    yaw = (motion.neck + motion.head)[:, 1]
    eye = np.radians(35) * (column(motion, "eyeLookOutLeft") - column(motion, "eyeLookInLeft"))
    leading = int(yaw[:60].argmax())
    assert float(eye[18:24].max()) > float(eye[leading]) > 0


class TestMouthCurves:
    times = np.arange(60) / 30

    def middle(self, name):
        curves = mouth_curves([Sound(name, 0.9, 0.2)], self.times)
        return {action: float(curve[30]) for action, curve in curves.items()}

    @pytest.mark.parametrize("name", sorted({*VOWELS, *DIPHTHONGS, *CLASS_OF_SOUND}))
    def test_every_sound_moves_the_mouth_and_lets_it_rest(self, name):
        curves = mouth_curves([Sound(name, 0.9, 0.2)], self.times)
        assert set(curves) <= set(ARKIT_NAMES)
        values = np.stack(list(curves.values()))
        assert values.max() > 0.05
        assert values.min() >= 0
        assert values.max() <= 1
        assert values[:, [0, -1]].max() < 0.02

    def test_sounds_look_like_themselves(self):
        assert self.middle("AA")["jawOpen"] > 2 * self.middle("IY")["jawOpen"]
        assert self.middle("UW")["mouthPucker"] > 0.4
        assert self.middle("IY")["mouthSmileLeft"] > 0.15
        closed = self.middle("M")
        assert closed["mouthClose"] == pytest.approx(closed["jawOpen"], abs=0.02)
        assert self.middle("F")["mouthRollLower"] > 0.3

    def test_diphthong_moves_from_one_vowel_to_the_other(self):
        curves = mouth_curves([Sound("AW", 0.5, 0.6)], self.times)
        assert curves["jawOpen"].argmax() < curves["mouthPucker"].argmax()

    def test_neighbours_share(self):
        """Coarticulation: the lips round earlier when a rounded vowel follows."""
        rounded = mouth_curves([Sound("T", 0.8, 0.08), Sound("UW", 0.88, 0.2)], self.times)["mouthPucker"]
        flat = mouth_curves([Sound("T", 0.8, 0.08), Sound("IY", 0.88, 0.2)], self.times).get(
            "mouthPucker", np.zeros(60)
        )
        assert rounded[25] > flat[25] + 0.1

    def test_unknown_sound(self):
        with pytest.raises(UserError, match="'XX'"):
            Sound("XX", 0, 0.1)


class TestCurves:
    def test_minimum_jerk_starts_and_stops_at_rest(self):
        share = np.linspace(-0.5, 1.5, 2001)
        values = c.minimum_jerk(share)
        assert (values[share <= 0] == 0).all()
        assert (values[share >= 1] == 1).all()
        assert np.diff(values).min() >= 0
        assert np.abs(np.diff(values, 2)).max() < 1e-5

    def test_through_meets_its_keys(self):
        times = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
        np.testing.assert_allclose(c.through(times, [(1, 5), (2, -1), (3, 2)]), [5, 5, -1, 2, 2], atol=1e-12)

    def test_saccades_are_fast(self):
        times = np.arange(0, 1, 0.001)
        gaze = c.glances(times, [(0.2, 10.0), (0.6, 0.0)])
        moving = (np.abs(np.diff(gaze)) > 1e-6).sum()
        assert 60 < moving < 100
        assert gaze[400] == pytest.approx(10)

    def test_unknown_action(self):
        with pytest.raises(UserError, match="earWiggle"):
            Face(1.0, 0).add("earWiggle", np.zeros(30))
