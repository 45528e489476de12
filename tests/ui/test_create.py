"""What the tab says, and poses as the page sends them."""

import json
from pathlib import Path

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from tests.synthetic import synthetic_avatar
from ui.create import read_pose
from ui.sentences import capitalised, plain, sentences

AVATAR = synthetic_avatar()


def test_empty_pose_is_the_rest_pose():
    expression, rotations = read_pose(AVATAR, " ")
    assert expression.abs().sum() == 0
    assert rotations.abs().sum() == 0


def test_pose_by_names():
    pose = {"expression": {"jawOpen": 0.5}, "rotations": {"head": [0, 0.2, 0]}}
    expression, rotations = read_pose(AVATAR, json.dumps(pose))
    assert expression[0, AVATAR.rig.expression_index("jawOpen")] == 0.5
    assert rotations[0, AVATAR.rig.joint_index("head")].tolist() == pytest.approx([0, 0.2, 0])


@given(st.one_of(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps)))
def test_any_other_text_is_one_sentence(text):
    if not text.strip():
        return
    with pytest.raises(UserError):
        read_pose(AVATAR, text)


@pytest.mark.parametrize(
    ("pose", "sentence"),
    [
        ({"expression": {"tailWag": 1}, "rotations": {}}, "no expression 'tailWag'"),
        ({"expression": {}, "rotations": {"tail": [0, 0, 0]}}, "no joint 'tail'"),
        ({"expression": {}, "rotations": {"head": [0, 0]}}, "'head' has 2 numbers"),
        ({"expression": {"jawOpen": float("nan")}, "rotations": {}}, "jawOpen is nan"),
        ({"expression": {"jawOpen": 1e30}, "rotations": {}}, "jawOpen is 1e\\+30"),
        ({"expression": {}, "rotations": {"head": [0, 0, -400]}}, "rotation of 'head' .* 400"),
        ({"expression": {"jawOpen": 10**400}, "rotations": {}}, "not understood"),
        ({"expression": 3}, "not understood"),
    ],
)
def test_wrong_poses_say_what_is_wrong(pose, sentence):
    with pytest.raises(UserError, match=sentence):
        read_pose(AVATAR, json.dumps(pose))


def test_deep_nesting_is_one_sentence():
    with pytest.raises(UserError, match="not understood"):
        read_pose(AVATAR, "[" * 100_000)


def test_a_visitors_words_are_never_markup():
    for dangerous in (
        "<script>",
        "**bold**",
        "[a](javascript:b)",
        "`x`",
        "![](http://x)",
        "a_b_",
        "# big",
        "$$x$$",
        "www.a.b",
    ):
        shown = plain(dangerous)
        assert "<" not in shown
        assert not any(shown[i] in "*[]()`_!#$" and shown[i - 1] != "\\" for i in range(len(shown)))


def test_a_bare_address_is_no_link():
    assert plain("see www.a.b.") == "see www\\.a.b."


def test_an_error_is_shown_word_for_word():
    with pytest.raises(gr.Error) as shown, sentences():
        raise UserError("'<img src=x>' & co is no colour")
    assert shown.value.message == "'&lt;img src=x&gt;' &amp; co is no colour."


def test_sentences_start_large_and_end():
    assert capitalised("the seed is -1") == "The seed is -1."
    assert capitalised("Why?") == "Why?"
    assert capitalised("clip_a.npz is damaged") == "clip_a.npz is damaged."


def test_the_log_says_where_and_not_what(caplog):
    words = "a woman named Anna"
    with pytest.raises(gr.Error, match="on our side"), sentences():
        try:
            Path(f"/nowhere/{words}.wav").read_bytes()
        except FileNotFoundError as error:
            raise KeyError(words) from error
    assert "test_the_log_says_where_and_not_what" in caplog.text
    assert "FileNotFoundError" in caplog.text
    assert "KeyError" in caplog.text
    assert "Anna" not in caplog.text
