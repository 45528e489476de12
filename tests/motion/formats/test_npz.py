"""Our own clip file: written, read, and refused where it differs from its description."""

from __future__ import annotations

import shutil
import wave

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import UserError
from pipeline.motion import Motion, load_motion, write_motion
from pipeline.motion.motion import BASES, ROTATIONS, still
from tests.motion.making import a_motion


@pytest.fixture
def clip(tmp_path):
    write_motion(a_motion(), tmp_path / "clip.npz")
    return tmp_path / "clip.npz"


@given(
    frames=st.integers(1, 6),
    basis=st.sampled_from(BASES),
    fps=st.floats(1, 240),
    optional=st.sets(st.sampled_from(["head", "eyelids", "translation"])),
    data=st.data(),
)
def test_round_trip(tmp_path_factory, frames, basis, fps, optional, data):
    width = 52 if basis == "arkit52" else data.draw(st.integers(0, 100))

    def rows(columns, reach):
        values = st.floats(-reach, reach, width=32)
        return torch.from_numpy(data.draw(hnp.arrays(np.float32, (frames, columns), elements=values)))

    tensors = {name: rows(3, 3.0) for name in [*still(frames), *(optional & {"head"})]}
    tensors |= {name: rows(2 if name == "eyelids" else 3, 1.0) for name in optional - {"head"}}
    motion = Motion(fps=fps, basis=basis, expression=rows(width, 5.0), **tensors, source="µ test")
    path = tmp_path_factory.mktemp("clip") / "a.npz"
    write_motion(motion, path)
    back = load_motion([path])
    assert (back.fps, back.basis, back.source) == (fps, basis, "µ test")
    assert back.tensor_names() == motion.tensor_names()
    for name in motion.tensor_names():
        assert torch.equal(getattr(back, name), getattr(motion, name)), name


def test_half_precision_is_close_and_small(tmp_path):
    motion = a_motion(frames=50)
    write_motion(motion, tmp_path / "a.npz")
    write_motion(motion, tmp_path / "b.npz", precision="float16")
    back = load_motion([tmp_path / "b.npz"])
    assert (tmp_path / "b.npz").stat().st_size < (tmp_path / "a.npz").stat().st_size
    torch.testing.assert_close(back.expression, motion.expression, atol=1e-3, rtol=1e-3)


def test_same_clip_same_bytes_and_nothing_else(tmp_path):
    for name in ("a", "b"):
        write_motion(a_motion(), tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "b.npz"}


def test_fps_may_be_overridden(clip):
    assert load_motion([clip], {"fps": "60"}).fps == 60


def test_wrong_ending(tmp_path):
    with pytest.raises(UserError, match=r"\.npz"):
        write_motion(a_motion(), tmp_path / "clip.npy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"motion_version": np.array(2)}, "version 2"),
        ({"motion_version": np.zeros(3, int)}, "single value"),
        ({"fps": np.array(0.0)}, "frame rate"),
        ({"fps": np.array("fast")}, "fps"),
        ({"basis": np.array("flame1999")}, "flame1999"),
        ({"basis": np.array(3)}, "basis"),
        ({"basis": np.frombuffer(b"\xff\xff\xff\xff", "<U1").reshape(())}, "basis"),
        ({"expression": np.zeros(5)}, "expression"),
        ({"jaw": np.zeros((5, 4))}, r"\(5, 4\)"),
        ({"jaw": np.zeros((4, 3))}, r"\(4, 3\)"),
        ({"jaw": np.full((5, 3), np.nan)}, "frame 0"),
        ({"jaw": np.full((5, 3), 28.0)}, "radians"),
    ],
)
def test_wrong_arrays_are_named(clip, tmp_path, changes, told):
    with np.load(clip) as arrays:
        np.savez(tmp_path / "bad.npz", **(dict(arrays) | changes))
    with pytest.raises(UserError, match=told):
        load_motion([tmp_path / "bad.npz"])


def test_unknown_arrays_are_left_out_with_a_note(clip, tmp_path):
    with np.load(clip) as arrays:
        np.savez(tmp_path / "more.npz", **arrays, lights=np.zeros(3))
    assert any("lights" in note for note in load_motion([tmp_path / "more.npz"]).notes)


def test_wave_beside_the_clip_is_its_sound(clip, tmp_path):
    sound = tmp_path / "voice.dat"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    assert load_motion([sound, clip]).audio == sound
    with pytest.raises(UserError, match="no motion file"):
        load_motion([sound])
    shutil.copy(sound, tmp_path / "other.wav")
    with pytest.raises(UserError, match="2 sound files"):
        load_motion([sound, clip, tmp_path / "other.wav"])


def test_every_rotation_survives(tmp_path):
    motion = a_motion(head=torch.ones(5, 3))
    write_motion(motion, tmp_path / "a.npz")
    assert set(ROTATIONS) <= set(np.load(tmp_path / "a.npz").files)
