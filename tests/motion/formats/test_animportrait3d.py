"""AnimPortrait3D's pair of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from tests.motion.making import expression_array, pose_array

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "motion"


def save(path, array):
    np.save(path, array)
    return path


@pytest.fixture
def pair(tmp_path):
    return save(tmp_path / "exp.npy", expression_array()), save(tmp_path / "pose.npy", pose_array())


def test_pair_in_any_order(pair):
    one, other = load_motion(pair), load_motion(pair[::-1])
    assert (one.fps, one.basis, len(one)) == (25.0, "flame2023", 5)
    for name in one.tensor_names():
        assert torch.equal(getattr(one, name), getattr(other, name))
    pose = torch.from_numpy(pose_array())
    for column, name in enumerate(("global_rotation", "neck", "jaw", "left_eye", "right_eye")):
        assert torch.equal(getattr(one, name), pose[:, 3 * column : 3 * column + 3])
    assert torch.equal(one.expression, torch.from_numpy(expression_array()))


def test_either_alone(pair):
    exp, pose = (load_motion([path]) for path in pair)
    assert not exp.jaw.any()
    assert exp.expression.any()
    assert pose.jaw.any()
    assert pose.expression.shape == (5, 0)


def test_guesses_are_noted(pair):
    assert any("25 frames per second" in note for note in load_motion(pair).notes)
    motion = load_motion(pair, {"fps": "30"})
    assert motion.fps == 30
    assert not any("per second" in note for note in motion.notes)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i4"])
def test_number_types_and_orders(tmp_path, dtype):
    array = np.asfortranarray((pose_array().clip(-0.25, 0.25) * 4).astype(dtype))
    motion = load_motion([save(tmp_path / "pose.npy", array)])
    np.testing.assert_array_equal(motion.neck.numpy(), array[:, 3:6].astype(np.float32))


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((101, 240)), r"\(101, 240\)"),
        (np.zeros((5, 101)), r"\(5, 101\)"),
        (np.zeros(15), r"\(15,\)"),
        (np.zeros((5, 3, 5)), r"\(5, 3, 5\)"),
        (np.zeros((1,) * 20), "20 dimensions"),
        (np.zeros((0, 15)), "no frames"),
        (np.zeros((36001, 15), np.float16), "36001 frames"),
        (np.array([["a"] * 15] * 5), "<U1"),
        (np.zeros((5, 15), np.complex64), "c8"),
    ],
)
def test_wrong_arrays(tmp_path, array, told):
    with pytest.raises(MotionError, match=told):
        load_motion([save(tmp_path / "a.npy", array)])


def test_two_of_a_kind(tmp_path, pair):
    other = save(tmp_path / "other.npy", pose_array(seed=4))
    with pytest.raises(MotionError, match="both"):
        load_motion([pair[1], other])
    with pytest.raises(MotionError, match="both"):
        load_motion([pair[0], pair[0]])


def test_poses_of_other_widths(tmp_path, pair):
    """6 columns are global rotation and jaw, as DECA's family writes them, never the 6D form of one rotation."""
    deca = load_motion([pair[0], save(tmp_path / "six.npy", pose_array()[:, :6])])
    np.testing.assert_array_equal(deca.global_rotation.numpy(), pose_array()[:, :3])
    np.testing.assert_array_equal(deca.jaw.numpy(), pose_array()[:, 3:6])
    assert not deca.neck.any()
    assert any("6 columns was taken as global rotation and jaw" in note for note in deca.notes)
    jaw = load_motion([pair[0], save(tmp_path / "three.npy", pose_array()[:, 6:9])])
    np.testing.assert_array_equal(jaw.jaw.numpy(), pose_array()[:, 6:9])
    head = load_motion([pair[0], tmp_path / "three.npy"], {"pose": "head"})
    np.testing.assert_array_equal(head.global_rotation.numpy(), pose_array()[:, 6:9])
    moved = load_motion([pair[0], save(tmp_path / "moved.npy", np.hstack([pose_array(), pose_array()[:, :3]]))])
    np.testing.assert_array_equal(moved.translation.numpy(), pose_array()[:, :3])


def test_expression_and_jaw_in_one_array(tmp_path):
    both = np.hstack([expression_array(), pose_array()[:, 6:9]])
    motion = load_motion([save(tmp_path / "a.npy", both)])
    np.testing.assert_array_equal(motion.expression.numpy(), expression_array())
    np.testing.assert_array_equal(motion.jaw.numpy(), pose_array()[:, 6:9])


@pytest.mark.skipif(not REAL.is_dir(), reason="real clips are not shipped")
def test_real_pair():
    motion = load_motion([REAL / "animportrait3d_expressions.npy", REAL / "animportrait3d_poses.npy"])
    assert (len(motion), motion.fps, motion.basis) == (73, 25, "flame2023")
    assert float(motion.jaw.max()) == pytest.approx(0.3731, abs=1e-4)
    assert len(motion.notes) == 2, "a clean clip needs no more than what the files leave open"
