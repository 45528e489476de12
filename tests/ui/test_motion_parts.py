"""What the controls of the tab "Animate" stand for."""

from __future__ import annotations

import gradio as gr
import pytest

from pipeline.errors import UserError
from pipeline.motion.editing import GROUPS
from pipeline.motion.edits import Edits
from ui.motion_editor import DEFAULTS, FADE, editor_parts, edits_of, part_choices
from ui.motion_upload import SLOTS, choices_by_hand, found_text, slot_updates
from ui.motions import Shelf, clip_names, motion_request

FOUND = {
    "format": "VHAP tracking",
    "lines": ["73 frames at 25 frames per second (2.92 s)"],
    "choices": [
        {"key": "fps", "value": "25", "options": [], "sentence": "25 frames per second were assumed."},
        {"key": "basis", "value": "flame2023", "options": ["flame2020", "flame2023"], "sentence": ""},
    ],
}


def test_a_part_is_understood_also_where_its_choices_were_forgotten():
    with gr.Blocks():
        tab = editor_parts()
    chosen = tab["part"].preprocess(2)  # of a page that the server has never heard of
    assert edits_of([1.0], *[chosen if part is tab["part"] else part.value for part in tab["controls"]]).part == 2
    typed = ["the second" if part is tab["part"] else part.value for part in tab["controls"]]
    assert edits_of([1.0], *typed).part == 0


def test_controls_at_rest_change_nothing():
    assert edits_of([], *DEFAULTS) == Edits()
    with gr.Blocks():
        controls = editor_parts()["controls"]
    assert [control.value for control in controls] == list(DEFAULTS)


def test_controls_become_edits():
    values = [0.5, None, 2, 1.5, 0.2, 0.8, *[1] * (len(GROUPS) - 1), 12, "happy", 0.4, 3, True]
    assert edits_of([1.0, 2.0], *values) == Edits(
        split=(1.0, 2.0), part=2, trim=(0.5, None), speed=1.5, smooth=0.2, scale={"jaw": 0.8}, mix={"happy": 0.4},
        blinks=12, fade=FADE, repeat=3,
    )  # fmt: skip


def test_an_emptied_number_is_its_default():
    assert edits_of(None, *[None] * len(DEFAULTS)) == Edits()


def test_the_parts_of_a_split_clip_are_named_by_their_times():
    assert part_choices([1.25, 3.0]) == [
        ("Whole clip", 0), ("Part 1: 0.0 – 1.2 s", 1), ("Part 2: 1.2 – 3.0 s", 2), ("Part 3: 3.0 – end", 3),
    ]  # fmt: skip


def test_a_slot_for_every_choice():
    first, second, *rest = slot_updates(FOUND)
    assert (first.label, first.value, first.info) == (
        "Frames per second", "25", "25 frames per second were assumed.",
    )  # fmt: skip
    assert second.choices == [("FLAME 2020", "flame2020"), ("FLAME 2023", "flame2023")]
    assert len(rest) == SLOTS - 2
    assert not any(slot.visible for slot in rest)
    assert not any(slot.visible for slot in slot_updates(None))


def test_only_what_differs_is_chosen_by_hand():
    assert choices_by_hand(FOUND, {}, ["25", "flame2023"]) == {}
    assert choices_by_hand(FOUND, {"units": "degrees"}, ["30", "flame2023"]) == {"units": "degrees", "fps": "30"}
    assert choices_by_hand(None, None, ["30"]) == {}


def test_names_from_a_file_are_no_markup():
    assert "\\*\\*" in found_text({**FOUND, "lines": ["**bold**"]})
    assert found_text(None) == ""


def test_one_source_at_a_time():
    assert motion_request().is_empty
    assert not motion_request("talk").is_empty
    with pytest.raises(UserError, match="clip and speech were given"):
        motion_request("talk", speech="voice.wav")


def test_an_edit_does_not_read_the_clip_again(tmp_path):
    shelf, name = Shelf(), clip_names()[0]
    first = shelf.motion(motion_request(name), tmp_path)
    assert shelf.motion(motion_request(name, edits={"speed": 2.0}), tmp_path) is first


def test_a_clip_of_another_folder_has_no_name(tmp_path):
    with pytest.raises(UserError, match="there is no clip"):
        Shelf().motion(motion_request("../../secret"), tmp_path)
