"""Readers of SMPL-X clips: the head's part of a body, in each of the orders that files have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.geometry import axis_angle_to_matrix, matrix_to_quaternion
from pipeline.motion import load_motion
from tests.motion.formats.layouts import (
    Track,
    talkshow_array,
    write_amass,
    write_amass_smplh,
    write_emage,
    write_show,
    write_talkshow,
)

TRACK = Track()
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "motion"


def check_head(motion, fps, face=True, eyes=True):
    assert (motion.fps, motion.basis, len(motion)) == (fps, "smplx2020", TRACK.frames)
    wanted = {"neck": TRACK.rotation, "head": TRACK.neck}
    if face:
        wanted["jaw"] = TRACK.jaw
    if eyes:
        wanted |= {"left_eye": TRACK.eyes[:, :3], "right_eye": TRACK.eyes[:, 3:]}
    for name, values in wanted.items():
        np.testing.assert_allclose(getattr(motion, name).numpy(), values, atol=1e-5, err_msg=name)
    assert not motion.global_rotation.any()
    assert any("Body motion ignored" in note for note in motion.notes)


class TestTalkShow:
    def test_layout(self, tmp_path):
        motion = load_motion([write_talkshow(tmp_path / "a.npy", TRACK)])
        check_head(motion, 30, eyes=False)
        assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr))
        assert any("No eye movement" in note for note in motion.notes)

    def test_face_only(self, tmp_path):
        array = talkshow_array(TRACK)
        array[:, 9:165] = 0
        np.save(tmp_path / "a.npy", array)
        motion = load_motion([tmp_path / "a.npy"])
        assert not motion.head.any()
        assert any("the face only" in note for note in motion.notes)

    def test_twelve_samples_one_after_the_other_can_be_chosen(self, tmp_path):
        tracks = [Track(frames=300, seed=seed) for seed in range(12)]
        np.save(tmp_path / "diversity.npy", np.concatenate([talkshow_array(track) for track in tracks]))
        first = load_motion([tmp_path / "diversity.npy"])
        assert torch.equal(first.expression, torch.from_numpy(tracks[0].expr))
        assert any("joins 12 clips (cuts at 10.0 s, 20.0 s" in note for note in first.notes)
        (clip,) = [made for made in first.assumptions if made.key == "clip"]
        assert clip.options == ("all", *map(str, range(1, 13)))
        fifth = load_motion([tmp_path / "diversity.npy"], {"clip": "5"})
        assert torch.equal(fifth.expression, torch.from_numpy(tracks[4].expr))
        assert len(load_motion([tmp_path / "diversity.npy"], {"clip": "all"})) == 3600

    def test_a_long_clip_is_one_clip(self, tmp_path):
        motion = load_motion([write_talkshow(tmp_path / "a.npy", Track(frames=1800))])
        assert len(motion) == 1800

    def test_samples_as_an_axis_of_their_own(self, tmp_path):
        np.save(tmp_path / "a.npy", np.stack([talkshow_array(Track(seed=seed)) for seed in range(3)]))
        assert torch.equal(
            load_motion([tmp_path / "a.npy"], {"clip": "2"}).expression, torch.from_numpy(Track(seed=1).expr)
        )

    def test_transposed(self, tmp_path):
        np.save(tmp_path / "a.npy", talkshow_array(TRACK).T)
        motion = load_motion([tmp_path / "a.npy"])
        check_head(motion, 30, eyes=False)
        assert any("265 x 40; it looks transposed" in note for note in motion.notes)
        with pytest.raises(MotionError, match=r"\(265, 40\)"):
            load_motion([tmp_path / "a.npy"], {"transpose": "no"})


class TestShow:
    def test_layout(self, tmp_path):
        motion = load_motion([write_show(tmp_path / "all.pkl", TRACK)])
        check_head(motion, 30)
        assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr))
        assert motion.format == "SHOW"
        assert motion.source == "all.pkl"

    @pytest.mark.skipif(not REAL.is_dir(), reason="real clips are not shipped")
    def test_real_clip(self):
        motion = load_motion([REAL / "talkshow_clip.pkl"])
        assert (motion.format, len(motion), motion.fps, motion.basis) == ("SHOW", 180, 30, "smplx2020")
        assert float(motion.expression.max()) == pytest.approx(6.306, abs=1e-3)
        assert float(motion.jaw.max()) == pytest.approx(0.1768, abs=1e-4)
        assert float(motion.head.norm(dim=1).max()) > 0.01


class TestEmage:
    def test_layout(self, tmp_path):
        motion = load_motion([write_emage(tmp_path / "a.npz", TRACK)])
        check_head(motion, 30)
        assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr))
        assert not any("frames per second" in note or "taken as SMPL-X" in note for note in motion.notes)

    def test_joints_as_quaternions_matrices_and_six_numbers(self, tmp_path):
        joints = torch.from_numpy(TRACK.poses.reshape(-1, 55, 3))
        matrices = axis_angle_to_matrix(joints)
        forms = {
            "matrices": matrices,
            "quaternions": matrix_to_quaternion(matrices),
            "the 6D form": matrices[..., :2, :].reshape(-1, 55 * 6),
        }
        for form, poses in forms.items():
            motion = load_motion([write_emage(tmp_path / "a.npz", TRACK, poses=poses.numpy())])
            check_head(motion, 30)
            assert f"neck was converted from {form} to axis-angle." in motion.notes

    def test_poses_of_no_body(self, tmp_path):
        with pytest.raises(MotionError, match=r"poses in a\.npz has shape \(40, 164\)"):
            load_motion([write_emage(tmp_path / "a.npz", TRACK, poses=TRACK.poses[:, 1:])])


class TestAmass:
    @pytest.mark.parametrize("split", [True, False])
    def test_layout(self, tmp_path, split):
        motion = load_motion([write_amass(tmp_path / "a_stageii.npz", TRACK, split)])
        check_head(motion, 120)
        assert motion.expression.shape == (40, 0)
        assert any("no expression" in note for note in motion.notes)

    def test_poses_alone_are_never_taken_for_the_order_of_talkshow(self, tmp_path):
        np.save(tmp_path / "poses.npy", TRACK.poses)
        check_head(load_motion([tmp_path / "poses.npy"]), 60)

    def test_smplh_has_neck_and_head_only(self, tmp_path):
        motion = load_motion([write_amass_smplh(tmp_path / "a_poses.npz", TRACK)])
        check_head(motion, 60, face=False, eyes=False)
        assert not motion.jaw.any()
        assert any("SMPL+H has no jaw" in note for note in motion.notes)

    def test_transposed(self, tmp_path):
        np.savez(tmp_path / "a.npz", poses=TRACK.poses.T, mocap_framerate=60)
        check_head(load_motion([tmp_path / "a.npz"]), 60)
