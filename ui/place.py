"""The foot of the page: what works at this place and what does not, as `python -m pipeline doctor` tells it."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import gradio as gr

from pipeline.doctor import report
from pipeline.finding import MISSING, WORKS, Finding
from ui.people import is_at_this_machine, user_name
from ui.sentences import plain, sentences
from ui.settings import owner

FRESH_SECONDS = 60.0
"""Findings are shown again for so long: looking takes seconds, and anybody may press."""
MARKS = {WORKS: "✓", MISSING: "–"}
"""Before a name; what is there and cannot be used gets an exclamation mark."""
SECTIONS = {
    "heads": "Heads",
    "computing": "Computing",
    "speech": "Speech",
    "video": "Video",
    "diffusion": "Refining with diffusion",
    "files": "Files",
    "disk": "Disk",
    "hub": "Hugging Face Hub",
    "versions": "Versions",
}
NO_GPU = "There is no GPU here and none is needed: heads, clips, speech and videos are made on the CPU."


class Place:
    """Looks once for everybody who asks within a minute."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._found: list[Finding] = []
        self._looked = -FRESH_SECONDS

    def findings(self) -> list[Finding]:
        """What the doctor finds; one look at a time."""
        with self._guard:
            if time.monotonic() - self._looked > FRESH_SECONDS:
                self._found, self._looked = report(), time.monotonic()
            return self._found


def is_operator(request: gr.Request | None) -> bool:
    """Whether the visitor runs this place: its logged-in owner, or on a machine of one's own who sits at it."""
    if (user := user_name(request)) is not None and user == owner():
        return True
    return not os.environ.get("SPACE_ID") and is_at_this_machine(request)


def as_markdown(findings: list[Finding], everything: bool) -> str:
    """A table per section; without ``everything`` what names folders, files or logins of this place is left out."""
    lines = [NO_GPU] if any(one.name == "GPU" and one.state == MISSING for one in findings) else []
    for section, title in SECTIONS.items():
        mine = [one for one in findings if one.section == section and (everything or not one.private)]
        if mine:
            lines += ["", f"| | {title} | |", "|-|-|-|", *(_row(one, everything) for one in mine)]
    return "\n".join(lines)


def _row(one: Finding, everything: bool) -> str:
    return f"| {MARKS.get(one.state, '!')} | {plain(one.name)} | {plain(one.told(everything))} |"


def place_panel() -> None:
    """The panel, wired: it looks when it is opened."""
    place = Place()

    def on_look(request: gr.Request) -> str:
        with sentences():
            return as_markdown(place.findings(), is_operator(request))

    with gr.Accordion("What works at this place", open=False, elem_id="place") as panel:
        table: Any = gr.Markdown("Looking …", elem_id="place-table")
    panel.expand(on_look, None, table, api_visibility="private", concurrency_id="place", show_progress="hidden")
