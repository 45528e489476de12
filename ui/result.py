"""Below the viewer: who stands on the stage, and what can be done with them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.download import WEB, download_files, download_menu

PRESS_TWICE = """
const root = (window.gradio_config && window.gradio_config.root) || '';
import(root + props.module).then(({pressTwice}) => pressTwice('#delete', 'Press again to delete'));
"""
"""Deleting cannot be undone."""


def result_bar() -> dict[str, Any]:
    """The parts by name."""
    with gr.Row(elem_id="result"):
        about_box = gr.Markdown(label="about", elem_id="about")
        with gr.Row(visible=False, elem_id="keep") as keep:
            use = gr.Button("Use this prompt", size="sm", min_width=0, elem_id="use")
            animate = gr.Button("Animate", size="sm", min_width=0, elem_id="to-animate")
            refine = gr.Button("Refine …", size="sm", min_width=0, elem_id="to-refine")
            link = gr.Button("Copy link", size="sm", min_width=0, visible=False, elem_id="link")
            delete = gr.Button("Delete", size="sm", min_width=0, visible=False, elem_id="delete")
            menu = download_menu()
    gr.HTML(
        js_on_load=PRESS_TWICE, apply_default_css=False, padding=False, elem_classes="no-room",
        module=f"/gradio_api/file={WEB.as_posix()}/menu.js",
    )  # fmt: skip
    return {
        "about": about_box, "keep": keep, "use": use, "animate": animate, "refine": refine, "link": link,
        "delete": delete, **menu, **download_files(),
    }  # fmt: skip
