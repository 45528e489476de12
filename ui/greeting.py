"""What a visitor sees first: the head that greets, or the one that the page's address names."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from ui.create import Created, present
from ui.gallery import open_entry
from ui.people import NOBODY, READ_KEY
from ui.sentences import message, sentences
from ui.workshop import Workshop


def wire_greeting(
    workshop: Workshop, page: gr.Blocks, tab: dict[str, Any], avatar_id: Any, viewer: Any, key: Any
) -> Any:
    """Learn the browser's ``key`` as the page loads, then show a head; the event of the latter, to be cancelled."""

    async def on_load(link: str) -> tuple[Any, ...]:
        with sentences():
            shown = await _linked(workshop, link) if link else None
            if shown is None:
                shown = await _greeting(workshop)
            if shown is None:
                return tuple(gr.skip() for _ in range(5))
            return shown.id, shown.shown, shown.about, shown.glb, gr.Row(visible=True)

    link = gr.Textbox(label="link", visible=False)
    known = page.load(None, None, [key, link], js=READ_KEY, api_visibility="private", show_progress="hidden")
    return known.then(
        on_load, link, [avatar_id, viewer, tab["about"], tab["glb"], tab["keep"]], api_visibility="private",
        show_progress="hidden", concurrency_limit=None,
    )  # fmt: skip


async def _greeting(workshop: Workshop) -> Created | None:
    while not workshop.warm:
        await asyncio.sleep(0.1)
    made = workshop.welcome()
    return None if made is None else present(made)


async def _linked(workshop: Workshop, link: str) -> Created | None:
    """The head of ``?avatar=…``, an entry of the gallery or the token of a shared one; None, and why, for any other."""
    try:
        if "/" in link:
            return await asyncio.to_thread(lambda: open_entry(workshop, link, NOBODY))
        return await asyncio.to_thread(lambda: present(workshop.visit(link)))
    except UserError as error:
        gr.Warning(message(error), duration=30, title="This link")
        return None
