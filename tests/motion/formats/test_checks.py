"""Every rule of validation on a crafted file: what is mended, what is asked, what is refused, and its sentence."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch

from pipeline.errors import MotionError
from pipeline.motion import ARKIT_NAMES, load_motion
from tests.motion.formats.layouts import (
    Track,
    write_amass,
    write_emage,
    write_gaussian_avatars,
    write_vhap,
)

TRACK = Track(frames=100)


@pytest.fixture
def flame(tmp_path):
    """Writes a clip of GaussianAvatars with changed arrays."""
    return lambda **changes: [write_gaussian_avatars(tmp_path / "a.npz", TRACK, **changes)]


def arkit(folder, weights):
    np.savez(folder / "weights.npz", names=np.array(ARKIT_NAMES), weights=weights)
    return [folder / "weights.npz"]


def told(motion, sentence):
    assert sentence in " ".join(motion.notes), motion.notes


def made(motion, key):
    return next((assumption for assumption in motion.assumptions if assumption.key == key), None)


def test_a_clean_clip_is_told_nothing_but_what_its_file_leaves_open(flame):
    motion = load_motion(flame())
    assert len(motion.notes) == 2
    assert [assumption.key for assumption in motion.assumptions] == ["fps", "basis", "units"]


class TestLengths:
    def test_one_frame_too_many_is_cut_with_a_note(self, flame):
        motion = load_motion(flame(jaw_pose=TRACK.jaw[:99]))
        assert len(motion) == 99
        told(motion, "expression has 100 frames but jaw has 99; the last one was left out.")
        assert made(motion, "trim") is None

    def test_more_is_a_question(self, flame):
        files = flame(jaw_pose=TRACK.jaw[:90])
        motion = load_motion(files)
        assert len(motion) == 90
        told(motion, "expression has 100 frames but jaw has 90; the clip was cut to 90 frames.")
        longest = load_motion(files, {"trim": "longest"})
        assert len(longest) == 100
        assert torch.equal(longest.jaw[95], longest.jaw[89]), "the last frame holds"

    def test_one_row_holds_for_all_frames(self, flame):
        motion = load_motion(flame(neck_pose=np.float32([[0.1, 0.2, 0.3]])))
        assert len(motion) == 100
        np.testing.assert_allclose(motion.neck[57].numpy(), [0.1, 0.2, 0.3])

    def test_no_frames_and_too_many(self, flame):
        with pytest.raises(MotionError, match="no frames"):
            load_motion(flame(expr=np.zeros((0, 100), np.float32)))
        with pytest.raises(MotionError, match=r"expr in a\.npz has 36001 frames; a clip has 1 to 36000"):
            load_motion(flame(expr=np.zeros((36001, 10), np.float16)))


class TestTransposed:
    @pytest.mark.parametrize("name", ["expr", "jaw_pose", "eyes_pose", "translation"])
    def test_is_a_question_answered_yes(self, tmp_path, name):
        track = Track(frames=73)
        motion = load_motion([write_gaussian_avatars(tmp_path / "a.npz", track, **{name: track.flame[name].T})])
        np.testing.assert_allclose(motion.expression.numpy(), track.expr)
        np.testing.assert_allclose(motion.jaw.numpy(), track.jaw, atol=1e-6)
        np.testing.assert_allclose(motion.right_eye.numpy(), track.eyes[:, 3:], atol=1e-6)
        assert made(motion, "transpose").options == ("yes", "no")

    def test_told_with_both_sizes(self, tmp_path):
        track = Track(frames=73)
        path = write_gaussian_avatars(tmp_path / "a.npz", track, expr=track.expr.T)
        motion = load_motion([path])
        assert torch.equal(motion.expression, torch.from_numpy(track.expr))
        told(motion, "expression is 100 x 73; it looks transposed and was read as 73 frames x 100.")
        kept = load_motion([path], {"transpose": "no"})
        assert kept.expression.shape[1] == 73

    def test_alone(self, tmp_path):
        track = Track(frames=73)
        np.save(tmp_path / "exp.npy", track.expr.T)
        assert torch.equal(load_motion([tmp_path / "exp.npy"]).expression, torch.from_numpy(track.expr))
        np.save(tmp_path / "pose.npy", np.zeros((15, 240)))
        assert len(load_motion([tmp_path / "pose.npy"])) == 240

    def test_a_square_is_upright(self, flame):
        motion = load_motion(flame())
        assert made(motion, "transpose") is None


class TestWidths:
    @pytest.mark.parametrize("width", [10, 50, 75, 100])
    def test_first_coefficients(self, flame, width):
        assert load_motion(flame(expr=TRACK.expr[:, :width])).expression.shape == (100, width)

    def test_too_many(self, flame):
        with pytest.raises(MotionError, match=r"expression has shape \(100, 120\); \(frames, up to 100\) is needed"):
            load_motion(flame(expr=np.zeros((100, 120), np.float32)))

    @pytest.mark.parametrize("shape", [(100, 5), (100, 2, 5), (100, 1, 1, 3)])
    def test_rotations_of_no_known_form(self, flame, shape):
        with pytest.raises(MotionError, match=r"jaw has shape .*is needed"):
            load_motion(flame(jaw_pose=np.zeros(shape, np.float32)))

    def test_an_axis_of_length_one_is_dropped(self, flame):
        assert torch.equal(load_motion(flame(jaw_pose=TRACK.jaw[:, None])).jaw, torch.from_numpy(TRACK.jaw))


class TestMissingValues:
    def test_short_gaps_are_filled_along_the_arc(self, flame):
        jaw = TRACK.jaw.copy()
        jaw[40:43] = np.nan
        expr = TRACK.expr.copy()
        expr[70, 5] = np.inf
        motion = load_motion(flame(jaw_pose=jaw, expr=expr))
        told(motion, "Frames 40-42, 70 have missing values (NaN or infinite); they were filled")
        np.testing.assert_allclose(motion.jaw[41].numpy(), (jaw[39] + jaw[43]) / 2, atol=2e-3)
        np.testing.assert_allclose(motion.expression[70, 5].item(), (expr[69, 5] + expr[71, 5]) / 2, atol=1e-6)
        assert torch.equal(motion.jaw[:40], torch.from_numpy(jaw[:40]))

    def test_at_the_ends_the_nearest_frame_holds(self, flame):
        jaw = TRACK.jaw.copy()
        jaw[:2] = jaw[98:] = np.nan
        motion = load_motion(flame(jaw_pose=jaw))
        assert torch.equal(motion.jaw[0], torch.from_numpy(jaw[2]))
        assert torch.equal(motion.jaw[99], torch.from_numpy(jaw[97]))

    def test_long_gaps_are_refused_with_their_frames(self, flame):
        jaw = TRACK.jaw.copy()
        jaw[20:26] = np.nan
        with pytest.raises(MotionError, match=r"Frames 20-25 have missing values .* this is too long"):
            load_motion(flame(jaw_pose=jaw))

    def test_many_gaps_are_refused_with_their_share(self, flame):
        jaw = TRACK.jaw.copy()
        jaw[10:90:10] = np.nan
        with pytest.raises(MotionError, match=r"Frames 10, 20, 30 and 5 more places .* 8 of 100 frames; up to 5% can"):
            load_motion(flame(jaw_pose=jaw))

    def test_numbers_beyond_the_range_count_as_missing(self, flame):
        jaw = TRACK.jaw.astype(np.float64)
        jaw[50] = 1e300
        told(load_motion(flame(jaw_pose=jaw)), "Frame 50 has missing values")


class TestUnits:
    def test_impossible_radians_are_degrees(self, flame):
        degrees = {f"{name}_pose": np.degrees(value) for name, value in (("jaw", TRACK.jaw), ("neck", TRACK.neck))}
        files = flame(**degrees, rotation=np.degrees(TRACK.rotation), eyes_pose=np.degrees(TRACK.eyes))
        motion = load_motion(files)
        for name, wanted in (("jaw", TRACK.jaw), ("neck", TRACK.neck), ("left_eye", TRACK.eyes[:, :3])):
            np.testing.assert_allclose(getattr(motion, name).numpy(), wanted, atol=1e-5)
        assert made(motion, "units").value == "degrees"
        told(motion, "which is impossible in radians; all angles were read as degrees.")
        with pytest.raises(MotionError, match="rotations are in radians, at most one turn"):
            load_motion(files, {"units": "radians"})

    def test_a_wide_jaw_alone_is_degrees(self, flame):
        motion = load_motion(flame(jaw_pose=TRACK.jaw * 140))
        told(motion, "jaw reaches 28, which is impossible in radians; all angles were read as degrees.")

    def test_small_degrees_can_be_chosen(self, flame):
        motion = load_motion(flame(), {"units": "degrees"})
        np.testing.assert_allclose(motion.jaw.numpy(), np.radians(TRACK.jaw), atol=1e-7)

    def test_an_upside_down_camera_is_no_degrees(self, flame):
        motion = load_motion(flame(rotation=np.tile(np.float32([3.0747, -0.0158, -0.0152]), (100, 1))))
        assert made(motion, "units").value == "radians"


class TestRotationForms:
    def test_quaternions_of_either_order(self, flame):
        half = np.float32([0.0, 0.25, 0.0])
        wxyz = np.tile(np.float32([np.cos(0.125), 0, np.sin(0.125), 0]), (100, 1))
        for values, order in ((wxyz, "wxyz"), (np.roll(wxyz, -1, 1), "xyzw")):
            motion = load_motion(flame(neck_pose=values))
            np.testing.assert_allclose(motion.neck[3].numpy(), half, atol=1e-6)
            told(motion, f"their order was taken as {order}")
            told(motion, "neck was converted from quaternions to axis-angle.")
        wrong = load_motion(flame(neck_pose=wxyz), {"quaternion": "xyzw"})
        assert float(wrong.neck[3].norm()) > 1

    def test_six_numbers_by_rows_or_columns(self, flame):
        matrix = np.float32([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
        turn = np.float32([0, np.arctan2(0.6, 0.8), 0])
        rows = np.tile(matrix[:2].reshape(-1), (100, 1))
        np.testing.assert_allclose(load_motion(flame(neck_pose=rows)).neck[0].numpy(), turn, atol=1e-6)
        columns = np.tile(matrix[:, :2].reshape(-1), (100, 1))
        motion = load_motion(flame(neck_pose=columns), {"six": "columns"})
        np.testing.assert_allclose(motion.neck[0].numpy(), turn, atol=1e-6)

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            (np.ones((100, 3, 3)), "no rotation matrix in frame 0"),
            (-np.tile(np.eye(3), (100, 1, 1)), "no rotation matrix in frame 0"),
            (np.zeros((100, 4)), "quaternion of length zero"),
            (np.ones((100, 6)), "no rotation: its axes have no direction"),
        ],
    )
    def test_what_is_no_rotation(self, flame, values, sentence):
        with pytest.raises(MotionError, match=sentence):
            load_motion(flame(neck_pose=values.astype(np.float32)))

    def test_gaps_in_matrices_are_filled(self, flame):
        matrices = np.tile(np.eye(3, dtype=np.float32), (100, 1, 1))
        matrices[30:32] = np.nan
        motion = load_motion(flame(neck_pose=matrices))
        assert not motion.neck.any()
        told(motion, "Frames 30-31 have missing values")


class TestExpression:
    def test_percent_weights_are_divided(self, tmp_path):
        weights = np.random.default_rng(0).uniform(0, 0.87, (60, 52))
        files = arkit(tmp_path, weights * 100)
        motion = load_motion(files)
        np.testing.assert_allclose(motion.expression.numpy(), weights, atol=1e-6)
        told(motion, f"Weights go to {weights.max() * 100:.3g}; they were divided by 100.")
        assert float(load_motion(files, {"scale": "0..1"}).expression.max()) == 1

    def test_overshoot_is_cut(self, tmp_path):
        weights = np.random.default_rng(0).uniform(0, 1, (60, 52))
        weights[3, 4], weights[5, 6] = 1.3, -0.2
        motion = load_motion(arkit(tmp_path, weights))
        assert (float(motion.expression.min()), float(motion.expression.max())) == (0, 1)
        told(motion, "Weights from -0.20 to 1.30 were cut to 0..1.")

    def test_large_coefficients(self, flame):
        motion = load_motion(flame(expr=TRACK.expr * 30))
        told(motion, "Expression values reach 36; they usually stay within about 6.")

    def test_coefficients_that_do_not_decay(self, flame):
        told(load_motion(flame(expr=TRACK.expr[:, ::-1])), "Late expression coefficients vary as much")

    def test_no_expression(self, flame):
        told(load_motion(flame(expr=TRACK.expr * 0)), "No expression in the file")


class TestCuts:
    def test_joined_clips_are_marked_and_can_be_chosen(self, flame):
        rotation = TRACK.rotation.copy()
        rotation[30:] += 1.0
        rotation[80:] -= 1.0
        files = flame(rotation=rotation)
        motion = load_motion(files)
        assert len(motion) == 100
        told(motion, "This looks like several clips joined (cuts at 1.2 s, 3.2 s); all are played")
        assert made(motion, "clip").options == ("all", "1", "2", "3")
        second = load_motion(files, {"clip": "2"})
        assert torch.equal(second.jaw, motion.jaw[30:80])

    def test_jumps_of_the_expression(self, flame):
        expr = TRACK.expr.copy()
        expr[50:, 3] += 6
        assert made(load_motion(flame(expr=expr)), "clip").options == ("all", "1", "2")

    def test_noise_is_not_cut_into_pieces(self, flame):
        motion = load_motion(flame(rotation=np.tile(np.float32([[0, 0, 0], [0.7, 0, 0]]), (50, 1))))
        told(motion, "jumps 99 times")
        assert made(motion, "clip") is None


class TestRates:
    @pytest.mark.parametrize(("key", "rate"), [("mocap_frame_rate", 120), ("mocap_framerate", 60), ("fps", 24)])
    def test_a_stored_rate_wins(self, tmp_path, key, rate):
        np.savez(tmp_path / "a.npz", poses=TRACK.poses, **{key: np.array(rate)})
        motion = load_motion([tmp_path / "a.npz"])
        assert motion.fps == rate
        assert made(motion, "fps").sentence == ""

    @pytest.mark.parametrize("rate", [0.0, -5.0, 1000.0])
    def test_impossible_rates(self, tmp_path, rate):
        with pytest.raises(MotionError, match=f"the frame rate is {rate}; it must be 1 to 240"):
            load_motion([write_emage(tmp_path / "a.npz", TRACK, mocap_frame_rate=np.array(rate))])

    def test_an_assumed_rate_is_told_and_can_be_set(self, flame):
        told(load_motion(flame()), "The file names no frame rate; 25 frames per second were assumed.")
        assert load_motion(flame(), {"fps": "30"}).fps == 30
        with pytest.raises(MotionError, match="'fast'; it must be a positive number"):
            load_motion(flame(), {"fps": "fast"})


class TestSound:
    @pytest.fixture
    def sound(self, tmp_path):
        def make(seconds):
            with wave.open(str(tmp_path / "a.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(bytes(int(16000 * seconds)))
            return tmp_path / "a.wav"

        return make

    def test_as_long_as_the_clip(self, flame, sound):
        motion = load_motion([*flame(), sound(4.1)])
        assert motion.fps == 25
        told(motion, "25 frames per second were assumed")

    def test_another_rate_fits_and_none_was_stored(self, flame, sound):
        motion = load_motion([*flame(), sound(3.33)])
        assert motion.fps == 30
        told(motion, "At 25 frames per second the motion is 4.0 s and the sound 3.3 s; 30 frames per second, which fit")
        assert load_motion([*flame(), sound(3.33)], {"fps": "25"}).fps == 25

    def test_another_rate_fits_but_one_was_stored(self, tmp_path, sound):
        motion = load_motion([write_emage(tmp_path / "a.npz", TRACK), sound(4.0)])
        assert motion.fps == 30
        told(motion, "25 frames per second would fit the sound.")

    def test_no_rate_fits(self, flame, sound):
        motion = load_motion([*flame(), sound(30)])
        assert motion.fps == 25
        told(motion, "the motion is 4.0 s and the sound 30.0 s; the longer one is cut")


class TestStillness:
    def test_eyes_jaw_and_head(self, flame):
        still = np.zeros((100, 3), np.float32)
        told(load_motion(flame(eyes_pose=np.zeros((100, 6)))), "No eye movement in the file; blinks and glances can")
        told(load_motion(flame(jaw_pose=still)), "No jaw movement in the file.")
        told(load_motion(flame(rotation=still + 1, neck_pose=still)), "No head movement in the file.")
        everything = {"rotation": still, "neck_pose": still, "jaw_pose": still, "eyes_pose": np.zeros((100, 6))}
        told(load_motion(flame(**everything)), "No head, jaw or eye movement in the file; blinks and glances can be")

    def test_body_of_smplx(self, tmp_path):
        told(
            load_motion([write_emage(tmp_path / "a.npz", TRACK)]), "Body motion ignored; head, jaw, eyes and expression"
        )
        told(
            load_motion([write_amass(tmp_path / "b.npz", TRACK)]),
            "the file has no expression: head, jaw and eyes used.",
        )

    def test_time_steps_of_several_cameras(self, tmp_path):
        path = write_vhap(tmp_path / "a.npz", TRACK, timestep_id=np.repeat(np.arange(50), 2))
        told(load_motion([path]), "100 frames hold 50 points in time; each was used once.")


def test_an_answer_to_what_was_not_asked_is_refused(flame):
    with pytest.raises(MotionError, match="'trim' cannot be chosen for this clip; it leaves open: fps, basis, units"):
        load_motion(flame(), {"trim": "longest"})
    with pytest.raises(MotionError, match="units is 'gradians'; it must be one of radians, degrees"):
        load_motion(flame(), {"units": "gradians"})
