"""The order of columns that nobody named, told by blinks."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import MotionError
from pipeline.motion import load_motion
from pipeline.motion.formats.arkit_array import guessed_order
from pipeline.motion.formats.arkit_columns import NEUTRAL, ORDERS, letters, names_actions
from pipeline.motion.motion import ARKIT_NAMES
from tests.motion.formats.layouts_arkit import a_face

CLIPS = Path(__file__).parents[3] / "examples" / "motions"


def in_order(face, order, width=52):
    """Columns (T, 52) in alphabetical order as another tool would write them."""
    columns = [
        np.full(len(face), 1e-6) if name == NEUTRAL else face[:, ARKIT_NAMES.index(name)] for name in ORDERS[order]
    ]
    return np.stack(columns, axis=1)[:, :width]


def save(tmp_path, values):
    np.save(tmp_path / "weights.npy", values.astype(np.float32))
    return [tmp_path / "weights.npy"]


def test_orders_hold_every_action_once():
    for names in ORDERS.values():
        assert len(set(names)) == 52
        assert set(names) - {NEUTRAL} <= set(ARKIT_NAMES)


@pytest.mark.parametrize("clip", ["talk", "emotions", "idle", "look_around", "made up"])
@pytest.mark.parametrize("order", ["alphabetical", "mediapipe", "live_link_face"])
def test_blinks_tell(clip, order):
    face = a_face() if clip == "made up" else load_motion([CLIPS / f"{clip}.npz"]).expression.numpy()
    assert guessed_order(in_order(face, order)) == (order, True)


@pytest.mark.parametrize("order", ["alphabetical", "mediapipe", "live_link_face"])
def test_one_eye_after_the_other_tells_nothing(order):
    face = load_motion([CLIPS / "range_of_motion.npz"]).expression.numpy()
    assert guessed_order(in_order(face, order)) == ("alphabetical", False)


@pytest.mark.parametrize("seed", range(5))
def test_without_blinks_it_is_said(tmp_path, seed):
    noise = np.random.default_rng(seed).uniform(0, 0.5, (100, 52))
    noise[:, 0] = 0.3
    assert guessed_order(noise) == ("alphabetical", False)
    motion = load_motion(save(tmp_path, noise))
    assert any("nothing in it tells" in note for note in motion.notes)


@pytest.mark.parametrize("order", ORDERS)
def test_a_person_may_choose(tmp_path, order):
    face = a_face()
    motion = load_motion(save(tmp_path, in_order(face, order)), {"order": order})
    if order == "mediapipe":
        face[:, -1] = 0
    np.testing.assert_allclose(motion.expression.numpy(), face, atol=1e-6)


@pytest.mark.parametrize("order", ["alphabetical", "live_link_face"])
def test_without_tongue(tmp_path, order):
    face = a_face()
    motion = load_motion(save(tmp_path, in_order(face, order, 51)))
    np.testing.assert_allclose(motion.expression[:, :51].numpy(), face[:, :51], atol=1e-6)
    assert not motion.expression[:, 51].any()
    (asked,) = [made for made in motion.assumptions if made.key == "order"]
    assert (asked.value, asked.options) == (order, ("alphabetical", "live_link_face", "apple"))


def test_percentages(tmp_path):
    motion = load_motion(save(tmp_path, in_order(100 * a_face(), "live_link_face")))
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-5)


def test_batch_of_one(tmp_path):
    motion = load_motion(save(tmp_path, a_face()[None]))
    np.testing.assert_allclose(motion.expression.numpy(), a_face(), atol=1e-6)


def test_nothing_finite(tmp_path):
    with pytest.raises(MotionError, match="no finite number"):
        load_motion(save(tmp_path, np.full((5, 52), np.nan)))


@pytest.mark.parametrize(
    "spelling", ["eyeBlinkLeft", "EyeBlinkLeft", "eye_blink_left", "eyeBlink_L", "Eye Blink-l", "Face.EyeBlinkLeft"]
)
def test_spellings(spelling):
    assert letters(spelling) == "eyeblinkleft"


def test_few_names_are_not_enough():
    for count in (9, 10):
        assert names_actions(itertools.islice(ARKIT_NAMES, count)) == (count == 10)
