"""`AvatarViewer`: the browser viewer as a Gradio component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel

WEB = Path(__file__).resolve().parent / "web"
gr.set_static_paths([WEB])  # once: Gradio makes the part anew at every update, and looks for each file in every path
ON_LOAD = """
const root = (window.gradio_config && window.gradio_config.root) || '';
import(root + props.module).then(({mount}) => mount(element, props, watch));
"""
"""The template never depends on the value: a re-render would throw the canvas away."""


class AvatarView(GradioModel):
    """What the viewer shows; files travel by URL, the value itself stays a few bytes of JSON."""

    avatar: FileData | None = None
    """An avatar.glb."""
    clip: FileData | None = None
    """A clip as `viewer.clips` writes it."""
    audio: FileData | None = None
    """The clip's sound."""


SCHEMA = AvatarView.model_json_schema()
"""Made once: Gradio asks three times for every visitor, in the thread that serves them all."""


class AvatarViewer(gr.HTML):
    """Shows an avatar that a person can turn, pose with sliders and play clips on.

    The value is ``{"avatar": path, "clip": path or None, "audio": path or None}`` or None; a path is a file on this
    machine (it is copied to Gradio's cache under a name that only its viewer knows) or a URL.
    """

    data_model = AvatarView

    def __init__(self, value: dict[str, Any] | None = None, *, height: int = 680, **options: Any):
        """``height`` of the viewer in pixels; ``options`` as for `gr.HTML`."""
        settings = {
            "html_template": f'<div class="avatar-viewer-place" style="height: min({int(height)}px, 88vh)"></div>',
            "js_on_load": ON_LOAD,
            "apply_default_css": False,
            "hint": "The head will stand here.",
            "module": f"/gradio_api/file={WEB.as_posix()}/gradio.js",
        }
        super().__init__(value, **{**settings, **options})

    def preprocess(self, payload: AvatarView | None) -> dict[str, str | None] | None:  # type: ignore[override]
        """The paths of the files that are shown."""
        if payload is None:
            return None
        return {name: file.path if file else None for name, file in dict(payload).items()}

    def postprocess(self, value: dict[str, Any] | None) -> AvatarView | None:  # type: ignore[override]
        if value is None:
            return None
        return AvatarView(**{name: _file(value.get(name)) for name in AvatarView.model_fields})

    def api_info(self) -> dict[str, Any]:
        return SCHEMA

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


def _file(location: str | Path | None) -> FileData | None:
    if location is None:
        return None
    text = str(location)
    return FileData(path=text, url=text if text.startswith(("http://", "https://")) else None)
