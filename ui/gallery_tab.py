"""Tab "Gallery": its parts, and what the cards say. `ui.gallery_wiring` connects them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipeline.gallery import Entry, builtin
from ui.cards import Card, Cards, CardsView, Source, picture_url
from ui.gallery import TITLES, picture_folders, source_of, stands_still
from ui.gallery_refresh import Refresher
from ui.run_portraits import cost_words
from ui.sentences import capitalised

NOTHING_OF_YOURS = "Nothing of yours yet: make one under Create, or open a file below."
STILL = "This head stands still. To make it move, its file (151 MB) is fetched and a rig is fitted to it. "
NOTHING_FROM_THE_HUB = "Nothing of it is on this machine yet: it comes from the Hub when the Hub can be reached."


def gallery_tab() -> dict[str, Any]:
    """The tab's parts, by name. The built-in heads are there before the server is asked for anything."""
    gr.set_static_paths([builtin.FOLDER, *picture_folders()])
    shown = Cards(view(builtin.entries(), [], Refresher()), label="cards", elem_id="gallery")
    with gr.Accordion("Open a file, or add a Hub data set", open=False, elem_id="gallery-add"):
        file = gr.File(
            label="A .zip of an avatar: ours, or AnimPortrait3D's (a portrait's .pth: see Refine)",
            file_types=[".zip", ".pth"],
            elem_id="gallery-file",
            height=92,
        )
        with gr.Row(elem_id="dataset-row"):
            dataset = gr.Textbox(
                label="Hub data set with avatars", placeholder="owner/name", max_lines=1, elem_id="dataset"
            )
            add = gr.Button("Add", size="sm", min_width=60, elem_id="dataset-add")
            clear = gr.Button("Remove all", size="sm", min_width=60, visible=False, elem_id="dataset-clear")
    return {
        "cards": shown, "file": file, "dataset": dataset, "add": add, "clear": clear,
        "datasets": gr.JSON([], label="datasets", visible=False),
    }  # fmt: skip


def view(entries: Sequence[Entry], hub_sources: Sequence[str], refresher: Refresher) -> CardsView:
    """What the cards show of these entries; ``hub_sources`` also count when they hold nothing."""
    cost = STILL + cost_words().replace("**", "")
    cards = [
        Card(
            id=entry.id,
            source=source_of(entry.id),
            prompt=entry.prompt,
            licence=entry.licence,
            picture=picture_url(entry.preview),
            missing=capitalised(entry.missing) if entry.missing else "",
            still=cost if stands_still(entry) and not entry.missing else "",
        )
        for entry in entries
    ]
    sources = [
        Source(id="builtin", title=TITLES["builtin"]),
        Source(id="mine", title=TITLES["mine"], empty=NOTHING_OF_YOURS),
    ]
    return CardsView(cards=cards, sources=[*sources, *(_hub_source(name, refresher) for name in hub_sources)])


def _hub_source(name: str, refresher: Refresher) -> Source:
    return Source(
        id=name,
        title=TITLES.get(name, name.removeprefix("dataset/")),
        empty=NOTHING_FROM_THE_HUB,
        note=refresher.problem(name),
        busy=refresher.busy(name),
    )
