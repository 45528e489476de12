"""Cards of portraits that stand still: a press fetches the file and starts a run that puts it on a rig."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import gradio as gr

from ui.animate_wiring import QUIET
from ui.beside import Cancel, beside
from ui.gallery import fetch_portrait
from ui.gallery_calls import LOOK_EVERY
from ui.gallery_wiring import CHOICE, MARK, GalleryWiring
from ui.making import Report
from ui.people import person_of
from ui.run_cost import computing
from ui.run_portraits import start_portrait_run
from ui.runs import Run, Runs
from ui.runs_wiring import RunsWiring
from ui.sentences import sentences

FETCHING_AT_ONCE = 4
"""Portraits of 151 MB."""


class PortraitCards:
    """/rig_card on the portraits of the gallery."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def on_rig_card(self, entry_id: str, key: str = "", request: gr.Request | None = None) -> str:
        """Put a portrait of the gallery on a rig; it takes minutes, and goes on by itself.

        Args:
            entry_id: an id that /gallery told of a head that stands still, e.g. portrait3d/000.
            key: 32 hexadecimal digits that only you know; the run is listed for it alone.

        Returns:
            The run's secret id. Where the GPU is lent for minutes, nothing happens before it is continued on the page.
        """
        with sentences():
            return self._start(entry_id, person_of(key, request), lambda share, what: None, lambda: False).id

    def on_card(
        self,
        entry_id: str,
        key: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """A card was pressed: its run, and the tab where that is seen. Closing the iterator calls it off."""
        person, told = person_of(key, request), list[tuple[float, str]]()

        def report(share: float, what: str) -> None:
            told.append((share, what))

        with sentences(), beside("rig", lambda cancel: self._start(entry_id, person, report, cancel)) as job:
            while not wait([job], LOOK_EVERY).done:
                if told:
                    progress(told[-1][0], desc=told[-1][1])
                yield gr.skip(), gr.skip()
            yield job.result().id, gr.Tabs(selected="runs")

    def _start(self, entry_id: str, person: str, report: Report, cancel: Cancel) -> Run:
        if computing().kind != "lent":
            self.runs.check_turns(person)  # before 151 MB are fetched
        file, prompt = fetch_portrait(entry_id, report, cancel)
        return start_portrait_run(self.runs, person, file, prompt)


def wire_portrait_cards(runs: Runs, gallery: GalleryWiring, refined: RunsWiring, others: list[Any]) -> Any:
    """Add the events of such cards, which call off ``others``. Gives the one that fetches."""
    calls, cards, stage = PortraitCards(runs), gallery.tab["cards"], gallery.stage
    asked = [gallery.entry_id, stage["key"]]
    chosen = cards.rig(None, None, gallery.entry_id, js=CHOICE, **QUIET)
    started = chosen.then(
        calls.on_card, asked, [refined.tab["run_id"], stage["tabs"]], api_visibility="private",
        show_progress_on=stage["viewer"], concurrency_id="rig-card", concurrency_limit=FETCHING_AT_ONCE,
        trigger_mode="multiple",
    )  # fmt: skip
    cards.rig(None, cancels=others, **QUIET)
    gr.on([cards.stop, cards.select], None, cancels=[started], **QUIET)
    started.then(None, gallery.standing, None, js=MARK, **QUIET)
    refined.follow(started)
    unseen = gr.Button(visible=False)
    unseen.click(
        calls.on_rig_card, asked, refined.tab["run_id"], api_name="rig_card", concurrency_id="rig-card",
        concurrency_limit=FETCHING_AT_ONCE,  # the lowest of an id holds
    )  # fmt: skip
    return started
