"""Files that no reader takes: the sentence names what they are."""

from __future__ import annotations

import os
import pickle
import wave

import numpy as np
import pytest

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from tests.motion.formats.layouts import Track, write_emage, write_gaussian_avatars, write_vhap, zipped
from tests.motion.formats.layouts_arkit import write_livelink


def sentence(*paths):
    with pytest.raises(MotionError) as refusal:
        load_motion(paths)
    return str(refusal.value)


def test_two_whole_clips_are_told_apart(tmp_path):
    first, second = write_vhap(tmp_path / "a.npz", Track()), write_emage(tmp_path / "b.npz", Track())
    assert sentence(first, second) == (
        "a.npz (VHAP tracking) and b.npz (EMAGE / BEAT2) are clips of their own and no parts of one; give one of them"
    )
    many = [write_gaussian_avatars(tmp_path / f"{k}.npz", Track(1)) for k in range(9)]
    assert "3.npz (GaussianAvatars flame_param) and 5 more are clips of their own" in sentence(*many)


def test_what_does_not_belong_to_a_clip_is_named(tmp_path):
    np.savez(tmp_path / "other.npz", vertices=np.zeros((5, 3)))
    clip = write_vhap(tmp_path / "a.npz", Track())
    assert sentence(tmp_path / "other.npz", clip) == (
        "a.npz (VHAP tracking) is a clip of its own, to which other.npz does not belong; give it alone"
    )


def test_a_head_model_is_no_clip(tmp_path):
    model = {"v_template": np.zeros((9, 3)), "shapedirs": np.zeros((9, 3, 4)), "f": np.zeros((3, 3), int)}
    (tmp_path / "flame2023.pkl").write_bytes(pickle.dumps(model, protocol=2))
    np.savez(tmp_path / "SMPLX.npz", **model, part2num=np.array({"head": 1}, object))
    for name in ("flame2023.pkl", "SMPLX.npz"):
        assert sentence(tmp_path / name).startswith(f"{name} is a head model, not a motion; put it into the folder")


def test_a_folder_round_one_clip_asks_for_the_clip(tmp_path):
    folder = tmp_path / "take"
    folder.mkdir()
    write_livelink(folder)
    for given in (folder, zipped(folder, tmp_path / "take.zip")):
        told = sentence(given)
        assert "MySlate_4_iPhone.csv" in told
        assert "(VHAP export folder)" in told
        assert "(Live Link Face)" not in told
        assert told.endswith("if one of the files in it is the clip, give that file itself")


def test_a_sound_alone_is_told_where_it_belongs(tmp_path):
    with wave.open(os.fspath(tmp_path / "hello.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(3200))
    assert "only the sound hello.wav; it can be spoken as a recording" in sentence(tmp_path / "hello.wav")
    assert sentence() == "no motion file was given; give a motion clip, e.g. an .npz"


def test_a_refusal_names_the_file_once(tmp_path):
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps({"jaw": np.zeros(500)}, protocol=4)[:-40])
    assert sentence(tmp_path / "cut.pkl") == "cut.pkl is damaged and cannot be read; save it again"


@pytest.mark.parametrize("content", [b"%PDF-1.4 hello", b"3", b"x"])
def test_text_that_is_no_table(tmp_path, content):
    (tmp_path / "any").write_bytes(content)
    assert sentence(tmp_path / "any") == "any is no motion file, and no table either: its text has no columns"
