"""The plot shows what moves, when, and how far."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.heads import AnnyHead
from pipeline.motion import retarget
from pipeline.motion.clips import look_around, talk
from pipeline.motion.retarget import Retargeted
from tests.motion.making import a_motion
from ui.motion_plot import LANE, WIDTH, lanes, plot


@pytest.fixture(scope="module")
def rig():
    return AnnyHead().rig


def heights(drawing: str) -> list[np.ndarray]:
    """y of every curve's points, in order."""
    lines = re.findall(r'<polyline[^>]*points="([^"]*)"', drawing)
    return [np.array([float(point.split(",")[1]) for point in line.split()]) for line in lines]


def test_every_channel_has_its_lane(rig):
    clip = talk()
    rows = {row.name: row for row in lanes(retarget(clip, rig), rig)}
    assert list(rows) == ["Jaw", "Lips", "Brows", "Gaze", "Blink", "Head"]
    assert rows["Jaw"].curves[0].max() == pytest.approx(float(clip.expression[:, 24].max()), abs=1e-6)
    assert rows["Blink"].curves[0].max() > 0.9


def test_the_head_is_told_in_degrees(rig):
    (head,) = (row for row in lanes(retarget(look_around(), rig), rig) if row.name == "Head")
    assert 15 < np.abs(head.curves[0]).max() < 35, "yaw is drawn first"


def test_the_drawing_says_how_long_the_clip_is_and_what_moves(rig):
    drawing = plot(retarget(talk(), rig), rig, 30)
    assert 'data-seconds="8.4667"' in drawing
    assert "jaw 0.00 to" in drawing
    assert drawing.count("<span>") == 6
    assert all((ys >= 0).all() for ys in heights(drawing))


def test_no_blink_of_a_long_clip_gets_lost(rig):
    frames = 20_000
    expression, rotations = rig.neutral()
    driven = Retargeted(expression.repeat(frames, 1), rotations.repeat(frames, 1, 1), ())
    driven.expression[12_345, rig.expression_index("eyeBlinkLeft")] = 1.0
    drawing = plot(driven, rig, 60)
    assert len(drawing) < 150_000
    (blink,) = (ys for ys in heights(drawing) if np.ptp(ys) > 0)
    assert np.ptp(blink) == pytest.approx(LANE, abs=0.1)


def test_a_single_frame_is_a_flat_line(rig):
    drawing = plot(retarget(a_motion(1), rig), rig, 25)
    assert 'data-seconds="0.0000"' in drawing
    assert f"{WIDTH}.0," in drawing
