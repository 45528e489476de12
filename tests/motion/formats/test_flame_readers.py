"""Readers of FLAME clips: what each takes from files in the exact layouts of its tool."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from tests.motion.formats.layouts import (
    Track,
    write_gaussian_avatars,
    write_nersemble,
    write_vhap,
    write_vhap_folder,
    zipped,
)

TRACK = Track()
FLAME = {"global_rotation": TRACK.rotation, "neck": TRACK.neck, "jaw": TRACK.jaw,
         "left_eye": TRACK.eyes[:, :3], "right_eye": TRACK.eyes[:, 3:], "translation": TRACK.translation}  # fmt: skip


def check_flame(motion, fps):
    assert (motion.fps, motion.basis, len(motion)) == (fps, "flame2023", TRACK.frames)
    assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr))
    for name, values in FLAME.items():
        np.testing.assert_allclose(getattr(motion, name).numpy(), values, atol=1e-6, err_msg=name)
    assert any("frames per second" in note for note in motion.notes)
    assert any("FLAME 2023" in note for note in motion.notes)


class TestVhap:
    def test_layout(self, tmp_path):
        motion = load_motion([write_vhap(tmp_path / "a.npz", TRACK)])
        check_flame(motion, 25)
        assert motion.format == "VHAP tracking"

    def test_frames_that_were_not_tracked_yet_are_left_out(self, tmp_path):
        motion = load_motion([write_vhap(tmp_path / "a.npz", TRACK, n_processed_frames=np.array(31))])
        assert len(motion) == 31
        assert any("31 of 40 frames were tracked" in note for note in motion.notes)

    def test_cameras_repeat_time_steps(self, tmp_path):
        path = write_vhap(tmp_path / "a.npz", TRACK, timestep_id=np.repeat(np.arange(20), 2))
        motion = load_motion([path])
        assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr[::2]))
        assert any("40 frames hold 20 points in time" in note for note in motion.notes)

    def test_offsets_textures_and_lights_are_never_read(self, tmp_path):
        path = write_vhap(
            tmp_path / "a.npz", TRACK, dynamic_offset=np.full((40, 9, 3), np.nan), lights=np.full(9, np.nan)
        )
        check_flame(load_motion([path]), 25)


class TestGaussianAvatars:
    def test_layout_with_a_megabyte_of_zeros_in_a_few_bytes(self, tmp_path):
        path = write_gaussian_avatars(tmp_path / "flame_param.npz", Track(frames=300))
        content = 300 * 5143 * 12
        assert path.stat().st_size < content / 50
        assert len(load_motion([path])) == 300

    @pytest.mark.parametrize("names", [{}, {"neck_pose": "neck", "jaw_pose": "jaw", "eyes_pose": "eyes"}])
    def test_both_spellings(self, tmp_path, names):
        check_flame(load_motion([write_gaussian_avatars(tmp_path / "a.npz", TRACK, names)]), 25)

    def test_what_the_refusal_of_pickles_advises_can_be_read(self, tmp_path):
        np.savez(tmp_path / "motion.npz", expr=TRACK.expr, jaw_pose=TRACK.jaw)
        motion = load_motion([tmp_path / "motion.npz"])
        assert torch.equal(motion.jaw, torch.from_numpy(TRACK.jaw))
        assert not motion.neck.any()

    def test_arkit_weights_under_the_name_of_flame_are_asked_about(self, tmp_path):
        weights = np.random.default_rng(0).uniform(0, 1, (40, 52)).astype(np.float32)
        path = write_gaussian_avatars(tmp_path / "a.npz", TRACK, expr=weights)
        motion = load_motion([path])
        assert motion.basis == "arkit52"
        assert any("52 columns, which look like ARKit" in note for note in motion.notes)
        assert {made.key for made in motion.assumptions} >= {"basis", "order"}
        chosen = load_motion([path], {"basis": "flame2020"})
        assert chosen.basis == "flame2020"
        assert torch.equal(chosen.expression, torch.from_numpy(weights))

    def test_52_coefficients_below_0_are_no_weights(self, tmp_path):
        path = write_gaussian_avatars(tmp_path / "a.npz", TRACK, expr=TRACK.expr[:, :52])
        motion = load_motion([path])
        assert motion.basis == "flame2023"
        assert torch.equal(motion.expression, torch.from_numpy(TRACK.expr[:, :52]))
        assert any("goes below 0, as weights never do" in note for note in motion.notes)
        assert load_motion([path], {"basis": "arkit52"}).basis == "arkit52"

    @pytest.mark.parametrize(("stored", "fps"), [("30", 30), ("29.97", 29.97), ("fast", 25), ("nan", 25)])
    def test_a_rate_written_as_text(self, tmp_path, stored, fps):
        motion = load_motion([write_gaussian_avatars(tmp_path / "a.npz", TRACK, fps=np.array(stored))])
        assert motion.fps == pytest.approx(fps)

    def test_eyes_of_another_width(self, tmp_path):
        with pytest.raises(MotionError, match=r"eyes have shape \(40, 5\)"):
            load_motion([write_gaussian_avatars(tmp_path / "a.npz", TRACK, eyes_pose=np.zeros((40, 5)))])


class TestNersemble:
    def test_layout(self, tmp_path):
        check_flame(load_motion([write_nersemble(tmp_path / "a.npz", TRACK)]), 73)

    def test_every_third_frame(self, tmp_path):
        check_flame(load_motion([write_nersemble(tmp_path / "a.npz", TRACK, step=3)]), pytest.approx(73 / 3))

    def test_rotations_only_as_matrices(self, tmp_path):
        quarter = np.float32([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
        path = write_nersemble(tmp_path / "a.npz", TRACK, rotation_matrices=np.tile(quarter, (40, 1, 1)))
        with np.load(path) as arrays:
            np.savez(tmp_path / "b.npz", **{name: arrays[name] for name in arrays.files if name != "rotation"})
        motion = load_motion([tmp_path / "b.npz"])
        np.testing.assert_allclose(motion.global_rotation[0].numpy(), [0, np.pi / 2, 0], atol=1e-5)
        assert any("converted from matrices" in note for note in motion.notes)


class TestVhapFolder:
    @pytest.mark.parametrize("top", ["", "some/export/"])
    def test_folder_and_zip(self, tmp_path, top):
        folder = write_vhap_folder(tmp_path / "export", TRACK)
        check_flame(load_motion([folder]), 25)
        motion = load_motion([zipped(folder, tmp_path / "a.zip", top)])
        check_flame(motion, 25)
        assert float(motion.jaw[:, 0].max()) < 0.3, "the canonical frame, whose mouth is open, is no motion"

    def test_frames_in_natural_order_without_a_list(self, tmp_path):
        folder = write_vhap_folder(tmp_path / "export", TRACK)
        (folder / "transforms.json").unlink()
        for number in range(TRACK.frames):
            (folder / f"flame_param/{number:05d}.npz").rename(folder / f"flame_param/{number}.npz")
        check_flame(load_motion([folder]), 25)

    def test_parts_of_a_list_are_joined_in_time(self, tmp_path):
        folder = write_vhap_folder(tmp_path / "export", TRACK, cameras=1)
        frames = json.loads((folder / "transforms.json").read_text())["frames"]
        (folder / "transforms.json").unlink()
        for name, part in (("train", frames[::2]), ("val", frames[1::4]), ("test", frames[3::4])):
            (folder / f"transforms_{name}.json").write_text(json.dumps({"frames": part}))
        check_flame(load_motion([folder]), 25)

    def test_short_gaps_are_filled_and_told(self, tmp_path):
        steps = [*range(20), *range(22, 42)]
        motion = load_motion([write_vhap_folder(tmp_path / "export", TRACK, steps=steps)])
        assert len(motion) == 42
        between = TRACK.expr[19] + (TRACK.expr[20] - TRACK.expr[19]) / 3
        np.testing.assert_allclose(motion.expression[20].numpy(), between, atol=1e-5)
        assert any("Frames 20-21 have missing values" in note for note in motion.notes)

    def test_long_gaps_are_told(self, tmp_path):
        steps = [*range(20), *range(50, 70)]
        motion = load_motion([write_vhap_folder(tmp_path / "export", TRACK, steps=steps)])
        assert len(motion) == 40
        assert any("Time steps 20-49 are not in the file" in note for note in motion.notes)

    def test_listed_frames_that_are_not_there_are_told(self, tmp_path):
        folder = write_vhap_folder(tmp_path / "export", TRACK, cameras=1)
        (folder / "flame_param/00039.npz").unlink()
        motion = load_motion([folder])
        assert len(motion) == 39
        assert any("1 frames are listed but not in export" in note for note in motion.notes)

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("{}", "no list of frames"),
            ('{"frames": [3]}', "names no flame_param_path"),
            ('{"frames": [{"flame_param_path": 3, "timestep_index": 0}]}', "names no flame_param_path"),
            ('{"frames": [{"flame_param_path": "a", "timestep_index": -1}]}', "names no flame_param_path"),
            ('{"frames": ', "no valid JSON"),
        ],
    )
    def test_broken_lists(self, tmp_path, content, told):
        folder = write_vhap_folder(tmp_path / "export", TRACK)
        (folder / "transforms.json").write_text(content)
        with pytest.raises(MotionError, match=told):
            load_motion([folder])

    def test_paths_that_lead_outside_are_not_followed(self, tmp_path):
        np.savez(tmp_path / "secret.npz", expr=np.zeros((1, 100)))
        folder = write_vhap_folder(tmp_path / "export", TRACK, cameras=1)
        listed = json.loads((folder / "transforms.json").read_text())
        listed["frames"][0]["flame_param_path"] = "../secret.npz"
        listed["frames"][1]["flame_param_path"] = str(tmp_path / "secret.npz")
        (folder / "transforms.json").write_text(json.dumps(listed))
        motion = load_motion([folder])
        assert len(motion) == 38
        assert any("2 frames are listed but not in export" in note for note in motion.notes)

    def test_frames_of_different_width(self, tmp_path):
        folder = write_vhap_folder(tmp_path / "export", TRACK)
        np.savez(
            folder / "flame_param/00003.npz",
            **{name: rows[:1] for name, rows in TRACK.flame.items()} | {"expr": np.zeros((1, 50))},
        )
        with pytest.raises(MotionError, match="expr in export has 50 to 100 numbers a frame"):
            load_motion([folder])
        np.savez(folder / "flame_param/00003.npz", vertices=np.zeros(3))
        with pytest.raises(MotionError, match=r"00003\.npz in export holds vertices; expr is needed"):
            load_motion([folder])
