"""The sources of a motion in the tab "Animate", and the choices that an uploaded file leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipeline.heads.releases import RELEASES
from ui.motions import LANGUAGE, clip_names
from ui.sentences import capitalised, plain

LONGEST_TEXT = 2000
NO_VOICE = (
    "This machine has no voice of its own (eSpeak NG: on Debian and Ubuntu `apt-get install espeak-ng`), so give a "
    "recording beside the words."
)
SLOTS = 6
"""Choices that the page can show at once."""
FRAME_RATES = ("24", "25", "30", "50", "60", "100", "120")
TITLES = {
    "fps": "Frames per second", "basis": "Made for", "units": "Angles in", "order": "Columns are in the order of",
    "clip": "Which clip", "trim": "Lengths differ",
}  # fmt: skip
"""Key of a choice → what it is called; other keys speak for themselves."""


def clip_label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def source_parts(languages: list[tuple[str, str]]) -> dict[str, Any]:
    """The parts by name. ``languages`` are (name, code) of what can be spoken without a recording, if anything."""
    with gr.Tabs(elem_id="sources"):
        with gr.Tab("Clips"):
            choices = [(clip_label(name), name) for name in clip_names()]
            clip = gr.Radio(choices, value=None, label="clip", show_label=False, elem_id="clip")
        with gr.Tab("Your file"):
            files = gr.File(label="Motion files", file_count="multiple", elem_id="motion-files")
            gr.Markdown(
                "FLAME, SMPL-X or ARKit motion of any tool. Drop files that belong together at once: expression and "
                "pose, motion and sound.",
                elem_id="motion-hint",
            )
            found = gr.Markdown(label="recognised", elem_id="recognised")
            with gr.Row(elem_id="choices"):
                slots = [
                    gr.Dropdown(
                        [], label="choice", visible=False, allow_custom_value=True, min_width=140, elem_classes="choice"
                    )
                    for _ in range(SLOTS)
                ]
        with gr.Tab("Speech"):
            words = gr.Textbox(
                "", label="What is said", placeholder="Hello, I am new here.", lines=2, max_length=LONGEST_TEXT,
                elem_id="words",
            )  # fmt: skip
            speech = gr.Audio(
                label="Your own voice, if you like", sources=["upload", "microphone"], type="filepath",
                elem_id="speech", editable=False,
            )  # fmt: skip
            with gr.Row(elem_id="talk-row"):
                language = gr.Dropdown(
                    languages or [("English", LANGUAGE)], value=LANGUAGE, label="Language", show_label=False,
                    allow_custom_value=True, min_width=120, elem_id="language",
                )  # fmt: skip
                talk = gr.Button("Make it talk", variant="primary", min_width=80, elem_id="talk")
            if not languages:
                gr.Markdown(NO_VOICE, elem_id="no-voice")
    return {
        "clip": clip, "files": files, "found": found, "slots": slots, "words": words, "speech": speech,
        "language": language, "talk": talk,
    }  # fmt: skip


def found_text(found: dict[str, Any] | None) -> str:
    """Markdown on what was recognised; empty where nothing is uploaded."""
    if not found:
        return ""
    lines = [f"**{plain(capitalised(found['format']).removesuffix('.'))}**", *map(plain, found["lines"])]
    return "  \n".join(lines)


def slot_updates(found: dict[str, Any] | None) -> list[Any]:
    """One update for each slot: the choices that the files leave open, then hidden ones."""
    choices = found["choices"][:SLOTS] if found else []
    shown = [
        gr.Dropdown(
            label=TITLES.get(choice["key"], clip_label(choice["key"])),
            info=choice["sentence"] or None,
            choices=_options(choice),
            value=choice["value"],
            visible=True,
        )
        for choice in choices
    ]
    return [*shown, *[gr.Dropdown(visible=False)] * (SLOTS - len(shown))]


def choices_by_hand(
    found: dict[str, Any] | None, before: dict[str, str] | None, values: Sequence[str]
) -> dict[str, str]:
    """What the visitor has set: what was set before, and every slot that differs from what it showed."""
    shown = found["choices"] if found else []
    changed = {
        choice["key"]: str(value)
        for choice, value in zip(shown, values, strict=False)
        if value is not None and str(value) != choice["value"]
    }
    return {**(before or {}), **changed}


def _options(choice: dict[str, Any]) -> list[tuple[str, str]]:
    if choice["options"]:
        return [(_option_label(option), option) for option in choice["options"]]
    rates = FRAME_RATES if choice["key"] == "fps" else ()
    values = sorted({*rates, choice["value"]}, key=float)
    return [(value, value) for value in values]


def _option_label(option: str) -> str:
    return RELEASES[option].title if option in RELEASES else clip_label(option)
