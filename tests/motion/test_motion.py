import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pipeline.errors import UserError
from pipeline.motion.motion import MOST_FRAMES, ROTATIONS, Motion, slerp_rows, still
from tests.motion.making import a_motion


def test_tensors_become_float32():
    motion = a_motion(expression=np.zeros((5, 100)), translation=torch.zeros(5, 3, dtype=torch.float64))
    assert all(getattr(motion, name).dtype == torch.float32 for name in motion.tensor_names())


@pytest.mark.parametrize("fps", [0, 0.99, 241, math.nan, -25])
def test_frame_rate_out_of_range(fps):
    with pytest.raises(UserError, match="frame rate"):
        a_motion(fps=fps)
    with pytest.raises(UserError, match="frame rate"):
        a_motion().resample(fps)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"basis": "flame1999"}, "'flame1999'"),
        ({"basis": "arkit52"}, "52"),
        ({"expression": torch.zeros(5)}, "shape"),
        ({"expression": torch.zeros(5, 401)}, "401 columns"),
        ({"jaw": torch.zeros(4, 3)}, r"jaw has shape \(4, 3\)"),
        ({"eyelids": torch.zeros(5, 3)}, "eyelids"),
        ({"neck": torch.full((5, 3), 40.0)}, "radians"),
        ({"expression": torch.full((5, 100), 1e30)}, r"1e\+30"),
        ({"expression": torch.full((5, 100), 1e300, dtype=torch.float64)}, "NaN or infinite"),
    ],
)
def test_wrong_values_are_named(changes, told):
    with pytest.raises(UserError, match=told):
        a_motion(**changes)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_first_broken_frame_is_named(value):
    jaw = torch.zeros(5, 3)
    jaw[3, 1] = jaw[4, 0] = value
    with pytest.raises(UserError, match="jaw holds a NaN or infinite value in frame 3"):
        a_motion(jaw=jaw)


@pytest.mark.parametrize("frames", [0, MOST_FRAMES + 1])
def test_length_is_limited(frames):
    with pytest.raises(UserError, match=f"{frames} frames"):
        Motion(fps=30, basis="flame2023", expression=torch.zeros(frames, 1), **still(frames))


def test_slice_keeps_audio_only_from_the_start(tmp_path):
    motion = a_motion(frames=10, audio=tmp_path / "a.wav")
    part = motion.slice(2, 5)
    assert len(part) == 3
    assert part.audio is None
    assert torch.equal(part.jaw, motion.jaw[2:5])
    assert motion.slice(0, 5).audio == motion.audio
    for start, stop in ((5, 5), (-1, 3), (0, 11)):
        with pytest.raises(UserError, match="10 frames"):
            motion.slice(start, stop)


@given(st.integers(1, 40), st.floats(1, 240), st.floats(1, 240))
def test_resampling_keeps_the_duration_and_the_ends(frames, before, after):
    motion = a_motion(frames=frames, fps=before, basis="unknown", width=3)
    other = motion.resample(after)
    assert other.fps == after
    assert abs(len(other) - motion.duration * after) <= 0.5 + 1e-6 or len(other) == 1
    torch.testing.assert_close(other.expression[0], motion.expression[0])
    lowest, highest = motion.expression.min(0).values - 1e-5, motion.expression.max(0).values + 1e-5
    assert bool(((other.expression >= lowest) & (other.expression <= highest)).all())


def test_doubling_the_rate_keeps_every_old_frame():
    motion = a_motion(frames=9, head=torch.randn(9, 3))
    double = motion.resample(50)
    assert len(double) == 18
    for name in motion.tensor_names():
        torch.testing.assert_close(getattr(double, name)[::2], getattr(motion, name), atol=1e-5, rtol=0)
    torch.testing.assert_close(double.expression[1], (motion.expression[0] + motion.expression[1]) / 2)


@given(st.integers(0, 2**31 - 1), st.floats(0, 3))
def test_slerp_agrees_with_scipy(seed, time):
    rows = np.random.default_rng(seed).normal(size=(4, 3))
    ours = slerp_rows(torch.tensor(rows), torch.tensor([time], dtype=torch.float64))
    theirs = Slerp(np.arange(4.0), Rotation.from_rotvec(rows))([time])
    assert (Rotation.from_rotvec(ours.numpy()) * theirs.inv()).magnitude()[0] < 1e-5


def test_slerp_of_opposite_signs_takes_the_shorter_way():
    rows = torch.tensor([[0.0, 3.1, 0.0], [0.0, -3.1, 0.0]])
    middle = slerp_rows(rows, torch.tensor([0.5], dtype=torch.float64))
    assert float(middle.norm()) == pytest.approx(math.pi, abs=1e-3)


def test_still_is_every_required_rotation():
    assert set(still(3)) == set(ROTATIONS) - {"head"}


def test_resampling_does_not_make_a_clip_of_days():
    clip = Motion(fps=1, basis="arkit52", expression=torch.zeros(MOST_FRAMES, 52), **still(MOST_FRAMES))
    with pytest.raises(UserError, match=f"would have {MOST_FRAMES * 120} frames at 120 frames per second"):
        clip.resample(120)
