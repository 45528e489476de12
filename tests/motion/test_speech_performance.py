"""A face that says sounds on a time line."""

import numpy as np
import torch

from pipeline.heads import load_head
from pipeline.motion.speech.performance import perform
from pipeline.motion.visemes import CONSONANTS, SOUNDS_OF_CLASS, VOWELS, Sound, mouth_curves
from tests.motion.speaking import column, lip_gap

QUIET, LOUD = -45.0, -20.0


def sentence(words: str, start: float, length: float = 0.09) -> list[Sound]:
    return [Sound(name, start + length * number, length) for number, name in enumerate(words.split())]


def levels(seconds: float, spans=()) -> np.ndarray:
    decibels = np.full(round(seconds * 100), LOUD)
    for start, stop in spans:
        decibels[round(start * 100) : round(stop * 100)] = QUIET
    return decibels


def test_at_rest_at_both_ends_even_without_silence_there():
    motion = perform(sentence("AA M AA M AA", 0.0, 0.2), levels(1.0), 1.0, 1, "test")
    for frame in (0, -1):
        assert float(motion.expression[frame].max()) < 0.02
        assert float(motion.neck[frame].norm()) < 0.005
    assert column(motion, "jawOpen")[3:-3].max() > 0.2


def test_loud_vowels_open_wider():
    sounds = sentence("AA", 0.5, 0.2) + sentence("AA", 1.5, 0.2) + sentence("AA", 2.5, 0.2)
    opened = column(perform(sounds, levels(3.5, [(1.3, 1.9)]), 3.5, 1, "test"), "jawOpen")
    assert opened[45:51].max() < 0.8 * opened[15:21].max()


def test_pauses_close_the_mouth_and_draw_the_blinks():
    sounds = [sound for start in np.arange(0.5, 20, 3.0) for sound in sentence("HH AH L OW K AE N Y UW", start, 0.2)]
    motion = perform(sounds, levels(22.0), 22.0, 3, "test")
    times = np.arange(len(motion)) / 30
    in_pause = (((times - 0.5) % 3) > 2.1) & (times > 1) & (times < 20)
    assert column(motion, "jawOpen")[in_pause].mean() < 0.05
    blink = column(motion, "eyeBlinkLeft")
    starts = np.flatnonzero((blink[1:] > 0.5) & (blink[:-1] <= 0.5)) / 30
    near_pause = [((at - 0.5) % 3) > 1.6 for at in starts[1:]]
    assert np.mean(near_pause) > 0.7
    assert np.diff(starts).min() > 1.9
    assert np.diff(starts).max() < 6.2


def test_no_sounds_at_all():
    motion = perform([], levels(4.0), 4.0, 0, "test")
    assert column(motion, "jawOpen").max() == 0
    assert column(motion, "eyeBlinkLeft").max() > 0.8


def test_another_seed_is_another_performance_of_the_same_words():
    one, same, other = (perform(sentence("HH AH L OW", 0.5), levels(3.0), 3.0, seed, "test") for seed in (1, 1, 2))
    assert torch.equal(one.expression, same.expression)
    assert not torch.equal(one.head, other.head)
    assert np.array_equal(column(one, "jawOpen"), column(other, "jawOpen"))


class TestHeldSounds:
    """On the rig: what must touch does, between any neighbours, at any speed and frame rate."""

    def gaps(self, sounds, times):
        rig = load_head("anny").rig
        curves = mouth_curves(sounds, times)
        expression = torch.zeros(len(times), len(rig.expression_names))
        for name, curve in curves.items():
            expression[:, rig.expression_index(name)] = torch.from_numpy(curve).float()
        return lip_gap(rig, rig.pose(expression, torch.zeros(len(times), len(rig.joint_names), 3)))

    def test_lips_close_between_any_vowels_in_fast_speech(self):
        for length in (0.05, 0.08, 0.14):
            for fps in (25.0, 30.0, 60.0):
                sounds = sentence("AA P AA B IY M UW P EH M AO B AE M B AA F B AA", 0.4, length)
                times = np.arange(0, 3.2, 1 / fps)
                gaps = self.gaps(sounds, times)
                for sound in sounds:
                    if sound.name in SOUNDS_OF_CLASS["lips"].split():
                        near = (times >= sound.start - 1 / fps) & (times <= sound.start + sound.length + 1 / fps)
                        assert gaps[near].min() <= 1.0, (sound, fps)

    def test_lips_part_again(self):
        gaps = self.gaps(sentence("M AA M AA M AA", 0.4, 0.14), np.arange(0, 2, 1 / 30))
        assert gaps.max() > 6
        assert (np.diff((gaps > 2).astype(int)) == 1).sum() == 3

    def test_slow_to_close_quick_to_open(self):
        times = np.arange(0.4, 1.2, 0.002)
        curves = mouth_curves([Sound("AA", 0.4, 0.3), Sound("M", 0.7, 0.1), Sound("AA", 0.8, 0.3)], times)
        held = curves["mouthClose"] / curves["jawOpen"]
        closing = (held[times < 0.74] > 0.05) & (held[times < 0.74] < 0.95)
        opening = (held[times >= 0.74] > 0.05) & (held[times >= 0.74] < 0.95)
        assert closing.sum() > 1.2 * opening.sum() > 0

    def test_lower_lip_meets_the_teeth(self):
        times = np.arange(0, 1.5, 1 / 30)
        for vowel in ("AA", "UW", "IY"):
            curves = mouth_curves(sentence(f"{vowel} F {vowel} V {vowel}", 0.4, 0.12), times)
            assert curves["mouthRollLower"].max() > 0.7 * CONSONANTS["lip_teeth"]["mouthRollLower"]
            assert (curves["jawOpen"] <= 0.6).all()

    def test_rounding_lasts_through_closed_lips(self):
        times = np.arange(0, 1.2, 1 / 30)
        curves = mouth_curves(sentence("UW M UW", 0.4, 0.15), times)
        assert curves["mouthPucker"][18:21].min() > 0.15 * VOWELS["UW"]["mouthPucker"]
