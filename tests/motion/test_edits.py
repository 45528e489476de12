"""Edits travel as JSON and are made in one order, with the sound cut alike."""

from __future__ import annotations

import json
import os
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.motion import ARKIT_NAMES, Motion
from pipeline.motion.clips import talk
from pipeline.motion.edits import Edits, apply, parts
from tests.motion.making import a_motion

ALL = {
    "split": [2.0], "part": 2, "trim": [0.5, 3.0], "speed": 1.25, "smooth": 0.2, "scale": {"jaw": 0.8, "brows": 1.5},
    "mix": {"happy": 0.4}, "blinks": 12.0, "seed": 3, "fade": 0.3, "repeat": 2,
}  # fmt: skip
RATE = 16000


@pytest.fixture
def spoken(tmp_path) -> Motion:
    """Four seconds with a beep of a fifth of a second around the middle of each."""
    times = np.arange(4 * RATE) / RATE
    samples = np.where(np.abs(times % 1 - 0.5) < 0.1, 20000 * np.sin(2 * np.pi * 440 * times), 0).astype(np.int16)
    with wave.open(str(tmp_path / "beeps.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return a_motion(100, audio=tmp_path / "beeps.wav")


def beeps(path: Path) -> tuple[list[float], float]:
    """Seconds of the middle of each beep, and the length of the sound."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())[:, 0]
        rate = file.getframerate()
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 6000) / rate
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 0.1) + 1)
    return [float(group[0] + group[-1]) / 2 for group in groups], len(samples) / rate


def test_json_there_and_back():
    edits = Edits.from_json(json.dumps(ALL))
    assert Edits.from_json(edits.to_json()) == edits
    assert json.loads(edits.to_json()) == ALL
    for nothing in (None, "", {}, "{}"):
        assert Edits.from_json(nothing) == Edits()
    assert Edits().to_json() == "{}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"sped": 2}, "no edit 'sped'"),
        ("{", "must look like"),
        ([1, 2], "must look like"),
        ("12", "must look like"),
        ({"trim": [1]}, "must look like"),
        ({"trim": "ab"}, "must look like"),
        ('{"speed": NaN}', "must look like"),
        ({"blinks": True}, "must look like"),
        ({"speed": "fast"}, "must look like"),
        ({"scale": [1]}, "must look like"),
        ({"repeat": float("inf")}, "must look like"),
        ({"split": [1.0] * 1000}, "must look like"),
        ("[" * 100_000, "must look like"),
    ],
)
def test_what_is_no_edit_is_one_sentence(data, told):
    with pytest.raises(UserError, match=told) as caught:
        Edits.from_json(data)
    assert len(str(caught.value).splitlines()) == 1


def test_the_moment_on_screen_is_found_in_the_uncut_clip():
    edits = Edits(split=(2.0,), part=2, trim=(0.5, None), speed=2.0, repeat=2)
    assert edits.moment(0.25, 2.0) == pytest.approx(3.0)
    assert edits.moment(1.25, 2.0) == pytest.approx(3.0)
    assert Edits().moment(1.25, 2.0) == pytest.approx(1.25)


def test_no_edits_are_the_clip_itself():
    clip = a_motion()
    assert apply(clip, Edits()) is clip


def test_all_edits_together():
    edited = apply(talk(), Edits.from_json(ALL))
    assert len(edited) == 2 * round(75 / 1.25)
    assert float(edited.expression[:, ARKIT_NAMES.index("mouthSmileLeft")].min()) >= 0.29


def test_edits_of_time_leave_coefficients_as_they_are():
    clip = a_motion(50)
    edited = apply(clip, Edits(trim=(0.4, 1.2), scale={"jaw": 0.5}))
    assert edited.basis == "flame2023"
    assert torch.equal(edited.expression, clip.expression[10:30])


def test_edits_of_meaning_say_the_clip_in_actions_first():
    assert apply(a_motion(5), Edits(mix={"happy": 0.4})).basis == "arkit52"
    assert apply(a_motion(5), Edits(scale={"brows": 2.0})).basis == "arkit52"


def test_a_part_of_a_split_clip():
    clip = a_motion(100)
    assert torch.equal(apply(clip, Edits(split=(1.0, 3.0), part=2)).jaw, clip.jaw[25:75])
    assert len(apply(clip, Edits(split=(1.0, 3.0)))) == 100
    with pytest.raises(UserError, match="part 4 was asked for; the clip has 3"):
        apply(clip, Edits(split=(1.0, 3.0), part=4))
    assert [edits.part for edits in parts(Edits(split=(1.0, 3.0)))] == [1, 2, 3]
    assert parts(Edits(split=(1.0,), part=2)) == [Edits(split=(1.0,), part=2)]


@pytest.mark.parametrize(
    ("edits", "heard", "lasts"),
    [
        (Edits(trim=(0.2, 2.2)), [0.3, 1.3], 2.0),
        (Edits(split=(2.2,), part=2), [0.3, 1.3], 1.8),
        (Edits(speed=2.0), [0.25, 0.75, 1.25, 1.75], 2.0),
        (Edits(speed=0.5, trim=(0.2, 2.2)), [0.6, 2.6], 4.0),
        (Edits(trim=(0.2, 1.2), repeat=3), [0.3, 1.3, 2.3], 3.0),
    ],
)
def test_the_sound_is_cut_and_stretched_like_the_clip(spoken, tmp_path, edits, heard, lasts):
    edited = apply(spoken, edits, folder=tmp_path)
    assert edited.duration == pytest.approx(lasts, abs=0.05)
    assert edited.audio is not None
    middles, seconds = beeps(edited.audio)
    assert middles == pytest.approx(heard, abs=0.04)
    assert seconds == pytest.approx(edited.duration, abs=0.03)


def test_a_sound_that_still_fits_is_kept(spoken):
    assert apply(spoken, Edits(scale={"jaw": 0.5})).audio == spoken.audio
    assert apply(spoken, Edits(trim=(0, 2))).audio == spoken.audio


def test_without_a_folder_a_cut_sound_is_left_out_and_said(spoken):
    edited = apply(spoken, Edits(trim=(1, 2)))
    assert edited.audio is None
    assert "sound was left out" in edited.notes[-1]


def test_a_sound_that_is_none_is_one_sentence(spoken, tmp_path):
    (tmp_path / "beeps.wav").write_bytes(b"RIFF....WAVE" + bytes(100))
    with pytest.raises(UserError, match=r"beeps\.wav cannot be read"):
        apply(spoken, Edits(speed=2.0), folder=tmp_path)
    assert not list(tmp_path.glob("sound-*"))


def test_a_sound_that_was_recorded_again_is_cut_again(spoken, tmp_path):
    edits = Edits(trim=(1.0, 3.0))
    before = apply(spoken, edits, folder=tmp_path).audio
    content = bytearray(spoken.audio.read_bytes())
    content[44:] = bytes(len(content) - 44)
    spoken.audio.write_bytes(content)
    os.utime(spoken.audio, ns=(1, 1))
    after = apply(spoken, edits, folder=tmp_path).audio
    assert beeps(before)[0] != []
    with wave.open(str(after)) as file:
        assert set(file.readframes(file.getnframes())) == {0}


def test_a_sound_of_hours_is_refused_before_it_fills_the_disk(spoken, tmp_path):
    slow = replace(spoken.slice(0, 50), fps=1.0, audio=spoken.audio)
    with pytest.raises(UserError, match="would last 42 minutes; at most 30"):
        apply(slow, Edits(repeat=50), folder=tmp_path)
    assert list(tmp_path.glob("sound-*")) == []
