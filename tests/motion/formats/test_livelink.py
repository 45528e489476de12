"""Live Link Face takes: names, clocks, lost faces, and which way a head turns."""

import numpy as np
import pytest

from pipeline.errors import MotionError
from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.motion import load_motion
from pipeline.motion.formats.head_turns import from_angles
from pipeline.motion.motion import ARKIT_NAMES
from tests.motion.formats.layouts_arkit import (
    a_face,
    eye_angles,
    livelink_rows,
    some_angles,
    timecodes,
    write_livelink,
    write_rows,
)


def take(tmp_path, rows, name="take_iPhone.csv", **how):
    return write_rows(tmp_path / name, rows, **how)


def whole_turn(motion):
    """(T, 3) of neck and head together."""
    return matrix_to_axis_angle(axis_angle_to_matrix(motion.neck) @ axis_angle_to_matrix(motion.head)).numpy()


def test_columns_go_by_name(tmp_path):
    motion = load_motion(write_livelink(tmp_path))
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-6)
    assert (motion.fps, motion.basis, len(motion)) == (60.0, "arkit52", 90)


def test_right_before_left_in_camel_case(tmp_path):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    order = [0, 1, *range(len(rows[0]) - 1, 1, -1)]
    rows = [[row[column] for column in order] for row in rows]
    rows[0] = [name[0].lower() + name[1:] for name in rows[0]]
    motion = load_motion([take(tmp_path, rows)])
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-6)


def test_head_turns_in_our_axes(tmp_path):
    head = np.zeros((90, 3))
    head[30:60] = (0.3, 0.2, 0.0)  # to the left and down
    motion = load_motion([take(tmp_path, livelink_rows(a_face(), head, timecodes(90)))])
    forward = axis_angle_to_matrix(motion.neck) @ axis_angle_to_matrix(motion.head)
    x, y, _ = forward[45, :, 2].numpy()
    assert x > 0.25
    assert y < -0.15
    np.testing.assert_allclose(whole_turn(motion), from_angles(head), atol=1e-6)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, 1), (-1, -1, -1)])
@pytest.mark.parametrize("unit", [1.0, 180 / np.pi, 1 / np.pi])
def test_signs_and_unit_are_told_by_the_eyes(tmp_path, signs, unit):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90), signs, unit)
    motion = load_motion([take(tmp_path, rows)])
    np.testing.assert_allclose(whole_turn(motion), from_angles(some_angles()), atol=1e-5)


def test_still_eyes_tell_nothing_and_a_person_may(tmp_path):
    face = a_face()
    face[:, [name.startswith("eyeLook") for name in ARKIT_NAMES]] = 0
    path = take(tmp_path, livelink_rows(face, some_angles(), timecodes(90)))
    motion = load_motion([path])
    told = " ".join(motion.notes)
    assert "does not say the unit" in told
    assert "does not say the direction of the head's pitch" in told
    assert {made.key for made in motion.assumptions} >= {"units", "head_pitch", "head_yaw"}
    chosen = load_motion([path], {"units": "half_turns", "head_pitch": "up", "head_yaw": "right"})
    wanted = from_angles(np.pi * some_angles() * (-1, -1, -1))
    np.testing.assert_allclose(whole_turn(chosen), wanted, atol=1e-5)


def test_eyes_turn_once(tmp_path):
    with_looks = load_motion(write_livelink(tmp_path))
    assert not with_looks.left_eye.any()
    face = a_face()
    rows = livelink_rows(face, some_angles(), timecodes(90))
    looks = [column for column, name in enumerate(rows[0]) if name.startswith("EyeLook")]
    for row in rows[1:]:
        for column in looks:
            row[column] = "0"
    without = load_motion([take(tmp_path, rows)])
    np.testing.assert_allclose(without.left_eye.numpy(), from_angles(eye_angles(face)), atol=1e-6)


@pytest.mark.parametrize(("base", "every", "fps"), [(60, 1, 60), (60, 2, 30), (30, 1, 30), (24, 1, 24), (25, 1, 25)])
def test_rate_from_timecode(tmp_path, base, every, fps):
    codes = timecodes(90 * every, base, start=base * 3599 + 7)[::every]
    assert load_motion([take(tmp_path, livelink_rows(a_face(), some_angles(), codes))]).fps == fps


def test_short_take_says_its_rate_was_assumed(tmp_path):
    rows = livelink_rows(a_face(20), some_angles(20), timecodes(20))
    motion = load_motion([take(tmp_path, rows)])
    assert motion.fps == 60
    assert any("60 frames per second were assumed" in note for note in motion.notes)


def test_drop_frame_timecodes_drop_no_frame(tmp_path):
    codes = [f"00:00:59;{frame:02d}" for frame in range(30)] + [f"00:01:00;{frame:02d}" for frame in range(2, 30)]
    rows = livelink_rows(a_face(58), some_angles(58), codes)
    motion = load_motion([take(tmp_path, rows)])
    assert motion.fps == pytest.approx(30000 / 1001)
    assert len(motion) == 58
    assert not any("missing" in note for note in motion.notes)


def test_midnight(tmp_path):
    codes = timecodes(45, 60, start=24 * 3600 * 60 - 45) + timecodes(45, 60)
    motion = load_motion([take(tmp_path, livelink_rows(a_face(), some_angles(), codes))])
    assert (motion.fps, len(motion)) == (60, 90)


def test_dropped_frames_are_filled_in(tmp_path):
    face = a_face()
    rows = livelink_rows(face, some_angles(), timecodes(90))
    motion = load_motion([take(tmp_path, [*rows[:21], *rows[25:]])])
    assert len(motion) == 90
    assert any("4 of 90 frames are missing" in note for note in motion.notes)
    np.testing.assert_allclose(motion.expression[:20].numpy(), face[:20], atol=1e-5)
    np.testing.assert_allclose(motion.expression[30:].numpy(), face[30:], atol=1e-5)
    halfway = face[19] + (face[24] - face[19]) * 2 / 5
    np.testing.assert_allclose(motion.expression[21].numpy(), halfway, atol=1e-5)


def test_frames_without_a_face(tmp_path):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    rows[41] = [rows[41][0], "0"]
    rows[42] = [rows[42][0], "0", *[""] * 61]
    motion = load_motion([take(tmp_path, rows)])
    assert len(motion) == 90
    assert any("No face was seen in 2 of 90 frames" in note for note in motion.notes)
    nobody = [rows[0], *([row[0], "0"] for row in rows[1:])]
    with pytest.raises(MotionError, match="no frame in which a face was seen"):
        load_motion([take(tmp_path, nobody)])


def test_calibrated_take_is_preferred(tmp_path):
    calibrated = a_face() * 0.5
    raw = take(tmp_path, livelink_rows(a_face(), some_angles(), timecodes(90)))
    cal = take(tmp_path, livelink_rows(calibrated, some_angles(), timecodes(90)), "take_iPhone_cal.csv")
    neutral = take(tmp_path, livelink_rows(a_face(1), some_angles(1), timecodes(1)), "take_iPhone_neutral.csv")
    motion = load_motion([neutral, raw, cal])
    np.testing.assert_allclose(motion.expression.numpy(), calibrated, atol=1e-6)
    assert any("take_iPhone_cal.csv was played" in note for note in motion.notes)
    np.testing.assert_allclose(load_motion([neutral, raw]).expression.numpy(), a_face(), atol=1e-6)
    assert any("neutral face of a calibration" in note for note in load_motion([neutral]).notes)
    other = take(tmp_path, livelink_rows(a_face(), some_angles(), timecodes(90)), "other.csv")
    with pytest.raises(MotionError, match="two takes"):
        load_motion([raw, other])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("separator", "comma"), [(",", False), (";", True), ("\t", True), (";", False)])
def test_what_spreadsheets_make_of_it(tmp_path, encoding, separator, comma):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    if comma:
        rows = [rows[0], *([row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in rows[1:])]
    motion = load_motion([take(tmp_path, rows, separator=separator, encoding=encoding)])
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-6)


@pytest.mark.parametrize(
    ("place", "cell", "told"),
    [
        ((3, 7), "Jan 25", r"line 4 of take_iPhone\.csv has 'Jan 25' where a number is needed"),
        ((3, 7), "1.234,5", "where a number is needed"),
        ((2, 0), "12:30", "timecode '12:30' in frame 1"),
        ((9, 0), "00:00:00:01.000", "runs backwards in time at frame 8"),
        ((9, 54), "9e9", "turns by"),
        ((0, 3), "EyeBlinkLeft", "eyeBlinkLeft twice"),
    ],
)
def test_wrong_cells(tmp_path, place, cell, told):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    rows[place[0]][place[1]] = cell
    with pytest.raises(MotionError, match=told):
        load_motion([take(tmp_path, rows)])


def test_too_many_values_in_a_line(tmp_path):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    rows[5].append("1")
    with pytest.raises(MotionError, match=r"line 6 of .* has 64 values, but 63 columns are named"):
        load_motion([take(tmp_path, rows)])


def test_names_alone(tmp_path):
    rows = livelink_rows(a_face(), some_angles(), timecodes(90))
    with pytest.raises(MotionError, match="no line below"):
        load_motion([take(tmp_path, rows[:1])])
