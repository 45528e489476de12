"""Clocks of clips: rates, units, gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MotionError
from pipeline.motion.formats.draft import Draft
from pipeline.motion.formats.timing import COMMON_RATES, common_rate, on_time_line, time_line


def a_draft(frames):
    times = np.arange(frames, dtype=float)
    turn = np.stack([0.01 * times, 0 * times, 0 * times], axis=1)
    return Draft(source="x", fps=30, basis="arkit52", expression=times[:, None], rotations={"head": turn})


@pytest.mark.parametrize("unit", [1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("fps", [23.976, 25, 29.97, 30, 59.94, 60, 120])
def test_even_times_in_any_unit(fps, unit):
    line = time_line(5000 * unit + np.arange(600) / fps * unit, "x")
    assert line.fps == pytest.approx(fps, rel=1e-4)
    assert line.rows is None
    assert line.notes == []


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_whole_milliseconds_are_even(fps):
    line = time_line(np.round(np.arange(900) * 1000 / fps), "x")
    assert (line.fps, line.rows) == (fps, None)


def test_a_gap_is_filled_evenly():
    times = np.delete(np.arange(60) / 30, [20, 21, 22])
    line = time_line(times, "x")
    draft = on_time_line(a_draft(57), line)
    assert "3 of 60 frames are missing (up to 0.13 s)" in line.notes[0]
    np.testing.assert_allclose(draft.expression[:23, 0], [*range(20), 19.25, 19.5, 19.75])
    np.testing.assert_allclose(draft.rotations["head"][:, 0], 0.01 * draft.expression[:, 0], atol=1e-9)


def test_jitter_is_resampled():
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.02, 0.05, 200))
    line = time_line(times, "x")
    assert "unevenly timed" in line.notes[0] or "missing" in line.notes[0]
    kept = on_time_line(a_draft(200), line).expression[:, 0]
    wanted = np.interp(times[0] + np.arange(len(kept)) / line.fps, times, np.arange(200))
    np.testing.assert_allclose(kept, wanted, atol=1e-9)


def test_repeated_times_are_left_out():
    times = np.repeat(np.arange(30) / 30, 2)
    line = time_line(times, "x")
    assert line.fps == 30
    assert list(on_time_line(a_draft(60), line).expression[:, 0]) == list(range(0, 60, 2))


@pytest.mark.parametrize("times", [[0.0], [3.0, 3.0, 3.0]])
def test_no_rate(times):
    assert time_line(np.array(times), "x") is None


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([0, 1 / 30, np.nan], "no time in frame 2"),
        ([0, 2 / 30, 1 / 30], "backwards in time at frame 2"),
        ([0, 2, 4], "frames 2 apart in time"),
        ([0, 1 / 60, 2 / 60, 1000], "at most 36000"),
        ([0, 1e-300, 2e-300], "apart in time"),
        ([0, 1e300, 2e300], "apart in time"),
    ],
)
def test_wrong_times(times, told):
    with pytest.raises(MotionError, match=told):
        time_line(np.array(times, float), "x")


@given(st.lists(st.floats(-1e12, 1e12, width=64), min_size=1, max_size=50))
def test_any_times_give_a_line_or_a_sentence(times):
    try:
        line = time_line(np.array(times), "x")
    except MotionError:
        return
    if line is not None and line.rows is not None:
        assert 1 <= line.fps <= 240
        assert line.rows.min() >= 0
        assert line.rows.max() <= len(times) - 1
        assert len(line.rows) <= 36000


def test_common_rates_stay():
    assert [common_rate(rate) for rate in COMMON_RATES] == list(COMMON_RATES)
    assert common_rate(27.4) == 27.4
