"""Every layout of ARKit apps and single-image trackers is recognised and read to the last number."""

import numpy as np
import pytest
import torch

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.motion import load_motion
from pipeline.motion.formats import FORMATS
from pipeline.motion.formats.head_turns import from_angles
from tests.motion.formats.layouts_arkit import LAYOUTS, a_face, codes, smirk_output, some_angles

ARKIT = ("livelink", "table", "face_cap", "beat", "lam", "audio2face", "mediapipe", "named_arrays", "emotalk")
WITHOUT_TONGUE = ("table", "beat", "mediapipe")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Every layout, read once."""
    read = {}
    for name, (write, _) in LAYOUTS.items():
        read[name] = load_motion(write(tmp_path_factory.mktemp(name)))
    return read


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_right_reader_wins(clips, name):
    assert clips[name].format == LAYOUTS[name][1]


def test_every_reader_says_how_to_export():
    assert all(kind.how_to_export and kind.expects for kind in FORMATS)
    assert len({kind.name for kind in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize("name", ARKIT)
def test_weights(clips, name):
    wanted = a_face()
    if name in WITHOUT_TONGUE:
        wanted[:, -1] = 0
        assert any("tongueOut is not in the file" in note for note in clips[name].notes)
    np.testing.assert_allclose(clips[name].expression.numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "fps"),
    [
        ("livelink", 60), ("table", 25), ("face_cap", 60), ("beat", 60), ("lam", 30), ("audio2face", 60),
        ("mediapipe", 25), ("named_arrays", 25), ("json_clip", 30),
    ],
)  # fmt: skip
def test_stored_rates(clips, name, fps):
    assert clips[name].fps == fps
    assert not any("assumed" in note and "second" in note for note in clips[name].notes)


@pytest.mark.parametrize(
    ("name", "fps"), [("emotalk", 30), ("deca", 25), ("emoca", 25), ("smirk_npz", 25), ("artalk", 25)]
)
def test_assumed_rates_are_told(clips, name, fps):
    assert clips[name].fps == fps
    assert any(f"{fps} frames per second were assumed" in note for note in clips[name].notes)


def test_face_cap_turns(clips):
    motion = clips["face_cap"]
    turn = matrix_to_axis_angle(axis_angle_to_matrix(motion.neck) @ axis_angle_to_matrix(motion.head))
    np.testing.assert_allclose(turn.numpy(), from_angles(some_angles()), atol=1e-5)


def test_json_clip_is_exact(clips):
    motion = clips["json_clip"]
    np.testing.assert_allclose(motion.expression.numpy(), a_face(5), atol=1e-6)
    np.testing.assert_allclose(motion.neck.numpy(), some_angles(5), atol=1e-6)
    assert motion.source == "by hand"
    assert motion.notes == ()


@pytest.mark.parametrize("name", ["deca", "deca_folder", "emica", "emoca", "artalk"])
def test_codes_in_natural_order(clips, name):
    exp, pose = codes(width=100 if name in ("emica", "artalk") else 50)
    motion = clips[name]
    assert motion.basis == "flame2020"
    np.testing.assert_allclose(motion.expression.numpy(), exp, atol=1e-6)
    np.testing.assert_allclose(motion.global_rotation.numpy(), pose[:, :3], atol=1e-6)
    jaw = pose[:, 3:] * ((1, 0, 0) if name == "artalk" else 1)
    np.testing.assert_allclose(motion.jaw.numpy(), jaw, atol=1e-6)
    assert not motion.neck.any()


@pytest.mark.parametrize("name", ["smirk_npz", "smirk_pt", "smirk_pkl"])
def test_smirk(clips, name):
    wanted, motion = smirk_output(), clips[name]
    for field, key in (
        ("expression", "expression_params"),
        ("jaw", "jaw_params"),
        ("eyelids", "eyelid_params"),
        ("global_rotation", "pose_params"),
    ):
        np.testing.assert_allclose(getattr(motion, field).numpy(), wanted[key], atol=1e-6)
    assert torch.equal(motion.expression, clips["smirk_npz"].expression)


@pytest.mark.parametrize("name", ["deca", "smirk_npz", "artalk", "emoca"])
def test_basis_may_be_set(tmp_path, name):
    motion = load_motion(LAYOUTS[name][0](tmp_path), {"basis": "flame2023", "fps": "30"})
    assert (motion.basis, motion.fps) == ("flame2023", 30)
