"""Tab "Gallery": what happens on each click, and what can be done with the head on the stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.animate_wiring import PICK, QUIET, AnimateWiring
from ui.gallery_calls import GalleryCalls
from ui.people import READ_KEY
from ui.workshop import Workshop

OPENING_AT_ONCE = 8
"""Heads; those that are made wait for each other anyway, and those that are ready pass them by."""
CHOICE = "() => document.galleryChoice"
WITH_KEY = f"(key, ...values) => [({READ_KEY})()[0], ...values]"
"""The page may ask for the cards before its field holds the browser's key."""
RECALL = """
() => {
  try {
    const names = JSON.parse(localStorage.getItem('animportrait3d-datasets'));
    return Array.isArray(names) ? names : [];
  } catch {
    return [];
  }
}
"""
"""The data sets that this browser's owner added; none where it keeps nothing, which breaks `gr.BrowserState`."""
REMEMBER = """
(names) => {
  try {
    localStorage.setItem('animportrait3d-datasets', JSON.stringify(names));
  } catch {}
  return [names];
}
"""
MARK = "(entry) => { document.querySelector('.cards-place')?.cards?.mark(entry, false); }"
ARRIVED = MARK.replace("mark(entry, false)", "arrived(entry)")
COPY = """
async (token) => {
  const link = `${location.origin}${location.pathname}?avatar=${encodeURIComponent(token).replaceAll('%2F', '/')}`;
  const button = document.querySelector('#link');
  try {
    await navigator.clipboard.writeText(link);
    button.classList.add('copied');
    setTimeout(() => button.classList.remove('copied'), 2500);
  } catch {
    prompt('The link to this head:', link);
  }
}
"""
"""A page that may not use the clipboard shows the link instead."""


class GalleryWiring:
    """Connects the tab's parts to the stage."""

    def __init__(
        self,
        workshop: Workshop,
        tab: dict[str, Any],
        stage: dict[str, Any],
        moving: dict[str, Any],
        animating: AnimateWiring,
    ) -> None:
        self.workshop, self.tab, self.stage, self.moving = workshop, tab, stage, moving
        self.calls = GalleryCalls(workshop, animating.calls.shelf)
        self.animating = animating
        self.standing = gr.Textbox("", label="standing", visible=False)
        """Which entry the head on the stage is; empty for none."""
        self.entry_id = gr.Textbox("", label="entry_id", visible=False)
        motion = animating.request[1:]
        self.inputs = [self.entry_id, *motion, stage["key"]]
        self.outputs = [
            stage["avatar_id"], stage["viewer"], stage["about"], stage["glb"], moving["clip"],
            moving["notes"], moving["plot"], stage["keep"],
        ]  # fmt: skip
        self.opening: dict[str, Any] = {
            "outputs": self.outputs, "api_visibility": "private", "show_progress_on": stage["viewer"],
            "concurrency_id": "open", "concurrency_limit": OPENING_AT_ONCE, "trigger_mode": "multiple", "js": PICK,
        }  # fmt: skip

    def unmark(self, triggers: Sequence[Any]) -> None:
        """These bring a head that is none of the cards, so none is on its way any more."""
        gr.on(triggers, None, self.standing, None, js=MARK, **QUIET)

    def wire(self, page: gr.Blocks, others: Sequence[Any]) -> list[Any]:
        """Add every event; ``others`` bring heads and motions too, and the last press wins. Gives our own such."""
        self._wire_cards(page)
        openings = self._wire_opening(others)
        self._wire_actions()
        self._wire_api()
        return openings

    def open_after(self, event: Any) -> Any:
        """Bring the head onto the stage whose entry stands in `entry_id` once ``event`` went well."""
        return self._arrival(event.success(self.calls.on_card, self.inputs, **self.opening))

    def _arrival(self, event: Any) -> Any:
        """What follows a head that comes onto the stage."""
        tools = [self.moving["tools"], self.moving["save_notes"]]
        event.success(lambda: (gr.Column(visible=True), ""), None, tools, **QUIET)
        event.failure(None, self.standing, None, js=MARK, **QUIET)
        return event

    def _wire_cards(self, page: gr.Blocks) -> None:
        calls, tab, key = self.calls, self.tab, self.stage["key"]
        looking: dict[str, Any] = {
            "inputs": [key, tab["datasets"]], "outputs": tab["cards"], "api_visibility": "private",
            "show_progress": "hidden", "concurrency_limit": None, "js": WITH_KEY,
        }  # fmt: skip
        page.load(None, None, tab["datasets"], js=f"() => [({RECALL})()]", **QUIET)
        page.load(calls.on_look, **looking | {"js": f"() => [({READ_KEY})()[0], ({RECALL})()]"})
        tab["cards"].retry(calls.on_retry, **looking)
        added = gr.on(
            [tab["add"].click, tab["dataset"].submit], calls.on_add, [tab["dataset"], tab["datasets"]],
            [tab["datasets"], tab["dataset"]], api_visibility="private", show_progress="hidden", concurrency_limit=None,
        )  # fmt: skip
        added.success(calls.on_look, **looking)
        cleared = tab["clear"].click(lambda: [], None, tab["datasets"], **QUIET)
        cleared.then(calls.on_look, **looking)
        tab["datasets"].change(
            lambda names: gr.Button(visible=bool(names)), tab["datasets"], tab["clear"], js=REMEMBER, **QUIET
        )

    def _wire_opening(self, others: Sequence[Any]) -> list[Any]:
        calls, tab = self.calls, self.tab
        chosen = tab["cards"].select(None, None, self.entry_id, js=CHOICE, **QUIET)
        opened = self.open_after(chosen)
        given = tab["file"].upload(lambda: None, **QUIET)
        self.unmark([tab["file"].upload])
        brought = self._arrival(given.then(calls.on_file, [tab["file"], *self.inputs[1:]], **self.opening))
        brought.then(lambda: None, None, tab["file"], **QUIET)
        tab["cards"].stop(None, cancels=[opened], **QUIET)
        tab["cards"].stop(None, self.standing, None, js=MARK, **QUIET)
        gr.on([tab["cards"].select, tab["file"].upload], None, cancels=[opened, brought, *others], **QUIET)
        return [opened, brought]

    def _wire_api(self) -> None:
        stage, key = self.stage, self.stage["key"]
        listed = gr.JSON(label="heads", visible=False)
        hidden = gr.Button(visible=False)
        hidden.click(self.calls.on_gallery, key, listed, api_name="gallery", concurrency_limit=None)
        outputs = [stage["avatar_id"], stage["viewer"], stage["about"], stage["glb"]]
        hidden.click(
            self.calls.on_open, [self.entry_id, key], outputs, api_name="open", concurrency_id="open",
            concurrency_limit=OPENING_AT_ONCE,  # the lowest of an id holds
        )  # fmt: skip

    def _wire_actions(self) -> None:
        """What can be done with the head on the stage, wherever it came from."""
        stage, tabs = self.stage, self.stage["tabs"]
        avatar_id, key = stage["avatar_id"], stage["key"]
        asked: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
        fields = [stage["prompt"], stage["seed"], tabs]

        stage["use"].click(self.calls.on_use, avatar_id, fields, **asked)
        picked = self.tab["cards"].use(None, None, self.entry_id, js=CHOICE, **QUIET)
        picked.then(self.calls.on_use_card, [self.entry_id, key], fields, **asked)
        stage["animate"].click(lambda: gr.Tabs(selected="animate"), None, tabs, **QUIET)

        token = gr.Textbox("", label="token", visible=False)
        told = stage["link"].click(self.calls.on_link, [avatar_id, key], token, **asked)
        told.success(None, token, None, js=COPY, **QUIET)

        outputs = [
            stage["link"], stage["delete"], stage["native"], stage["glb"], self.standing, self.tab["cards"],
        ]  # fmt: skip
        arrived = avatar_id.change(self.calls.on_stage, [avatar_id, key, self.tab["datasets"]], outputs, **QUIET)
        arrived.success(None, self.standing, None, js=ARRIVED, **QUIET)
        gone = stage["delete"].click(self.calls.on_delete, [avatar_id, key], self.outputs, **asked)
        gone.success(self.calls.on_look, [key, self.tab["datasets"]], self.tab["cards"], **asked)
