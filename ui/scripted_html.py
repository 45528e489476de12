"""`ScriptedHTML`: a Gradio component that a module of ours draws in the browser."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import gradio as gr
from gradio.data_classes import GradioModel


class ScriptedHTML(gr.HTML):
    """Shows a value of its ``data_model``, which goes both ways as it is.

    The template never depends on the value: what people wrote is only ever put in as text, by the module.
    """

    place: ClassVar[str]
    """CSS class of the element that the module fills."""
    mounting: ClassVar[str]
    """JavaScript that mounts the module."""

    def __init__(self, value: GradioModel | None = None, **options: Any):
        """``options`` as for `gr.HTML`."""
        settings = {
            "html_template": f'<div class="{self.place}"></div>',
            "js_on_load": self.mounting,
            "apply_default_css": False,
        }
        super().__init__(value, **{**settings, **options})

    def preprocess(self, payload: GradioModel | None) -> GradioModel | None:  # type: ignore[override]
        return payload

    def postprocess(self, value: GradioModel | None) -> GradioModel | None:  # type: ignore[override]
        return value

    def api_info(self) -> dict[str, Any]:
        return _schema(self.data_model)

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


@cache
def _schema(model: type[GradioModel]) -> dict[str, Any]:
    """Made once: Gradio asks for it again for every visitor, in the thread that serves them all."""
    return model.model_json_schema()
