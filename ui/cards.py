"""`Cards`: heads to choose from as a Gradio component; searching and filtering happen in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import GradioModel
from gradio_client.utils import encode_file_path

from ui.scripted_html import ScriptedHTML

WEB = Path(__file__).resolve().parent / "web"
VIEWER_WEB = WEB.parents[1] / "viewer" / "web"
"""Where cards.js finds its helpers."""
gr.set_static_paths([WEB, VIEWER_WEB])  # once, as in viewer.component
ON_LOAD = """
const root = (window.gradio_config && window.gradio_config.root) || '';
const events = {};
for (const [name, event] of Object.entries({open: 'select', stop: 'stop', use: 'use', rig: 'rig', retry: 'retry'})) {
  events[name] = () => trigger(event);
}
import(root + props.module).then(({mount}) => mount(element, props, watch, events));
"""


class Card(GradioModel):
    """One head."""

    id: str
    """Of the gallery's entry."""
    source: str
    """`Source.id` of where it comes from."""
    prompt: str
    licence: str
    picture: str = ""
    """As `picture_url` tells it; empty for none."""
    missing: str = ""
    """Why a press cannot open it here; empty when it can."""
    still: str = ""
    """What it takes to put it on a rig, which a press offers; empty for one that opens at once."""


class Source(GradioModel):
    """Where heads come from, and how that source is doing."""

    id: str
    title: str
    empty: str = ""
    """What to do when it holds nothing."""
    note: str = ""
    """What is wrong, as a sentence."""
    busy: bool = False
    """Whether it is being asked now."""


class CardsView(GradioModel):
    """What the component shows."""

    cards: list[Card]
    sources: list[Source]


def picture_url(path: Path | None) -> str:
    """Where the page serves a picture that lies in a folder it serves.

    As a `FileData` it would be looked for in every such folder, with every link resolved, for each card and each
    visitor again, in the thread that serves them all.
    """
    return f"/gradio_api/file={encode_file_path(path)}" if path else ""


class Cards(ScriptedHTML):
    """Squares to choose a head from.

    The value is a `CardsView`; pictures are files that the page serves. Events: ``select`` when a card that opens is
    pressed, ``stop`` when it is pressed again before its head is there, ``use`` for the prompt of one that does not
    open, ``rig`` to put one that stands still on a rig, ``retry`` after a source failed. Which card it was stands in
    ``document.galleryChoice`` (an id) for the event's ``js``; the place's ``cards.mark(id, busy)`` shows which one is
    on the stage or on its way there.
    """

    data_model = CardsView
    place = "cards-place"
    mounting = ON_LOAD

    def __init__(self, value: CardsView | None = None, **options: Any):
        """``options`` as for `gr.HTML`."""
        super().__init__(value, **{"module": f"/gradio_api/file={WEB.as_posix()}/cards.js", **options})
