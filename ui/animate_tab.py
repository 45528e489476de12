"""Tab "Animate": its parts. `ui.animate_wiring` connects them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.rendering.layouts import LAYOUTS
from ui.motion_editor import editor_parts
from ui.motion_upload import clip_label, source_parts
from ui.motions import spoken_languages
from viewer.component import WEB

SIZES = (256, 512, 768, 1024)
FRAME_RATES = (24, 25, 30, 50, 60)
BACKGROUNDS = ("grey", "white", "black", "#00b140", "transparent")
PLOT = f"""
const root = (window.gradio_config && window.gradio_config.root) || '';
import(root + '/gradio_api/file={WEB.as_posix()}/plot.js').then(({{follow}}) => follow(element));
"""
"""The module is named here: a plot that changed before its tab was ever open has lost its other properties."""
SAVED_AS = {"npz": "Clip .npz", "flame": "FLAME .npz", "arkit": "ARKit .json"}


def animate_tab() -> dict[str, Any]:
    """The tab's parts, by name."""
    parts = source_parts(spoken_languages())
    parts["notes"] = gr.Markdown(label="notes", elem_id="motion-notes")
    with gr.Column(visible=False, elem_id="motion-tools") as parts["tools"]:
        parts["plot"] = gr.HTML(
            label="plot",
            elem_id="plot",
            js_on_load=PLOT,
            apply_default_css=False,
        )
        parts |= editor_parts()
        with gr.Row(elem_id="save-motion"):
            gr.HTML("Save", elem_id="save-label")
            for kind, label in SAVED_AS.items():
                parts[kind] = gr.Button(label, size="sm", min_width=60, elem_id=f"save-{kind}")
        parts["save_notes"] = gr.Markdown(label="notes on the file", elem_id="save-notes")
    parts["motion_file"] = gr.DownloadButton("Motion", visible="hidden", elem_id="motion-file")
    return parts | _video_parts()


def _video_parts() -> dict[str, Any]:
    with gr.Column(elem_id="video-settings"):
        layout = gr.Radio(
            [(clip_label(name), name) for name in LAYOUTS], value="single", label="Make a video", elem_id="layout"
        )
        with gr.Row():
            size = gr.Dropdown([(f"{size} px", size) for size in SIZES], value=512, label="Size", min_width=80)
            fps = gr.Dropdown([("Auto", 0), *FRAME_RATES], value=0, label="Frames / s", min_width=80)
            background = gr.Dropdown(
                list(BACKGROUNDS), value="grey", label="Background", allow_custom_value=True, min_width=80
            )
        export = gr.Button("Export MP4", variant="primary", elem_id="export")
        cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
    status = gr.Markdown(label="line", elem_id="export-status")
    video = gr.Video(label="video file", show_label=False, interactive=False, visible=False, elem_id="video")
    video_file = gr.DownloadButton("Download", visible=False, elem_id="video-file")
    return {
        "size": size, "fps": fps, "layout": layout, "background": background, "export": export, "cancel": cancel,
        "status": status, "video": video, "video_file": video_file,
    }  # fmt: skip
