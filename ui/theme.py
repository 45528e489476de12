"""How the page looks: quiet greys, one warm accent, the system's own fonts (nothing is fetched)."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Gradio's base theme with our colours, radii and fonts."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f6f5f3",
        body_background_fill_dark="#161514",
        block_background_fill="white",
        block_background_fill_dark="#211f1d",
        block_border_width="0px",
        block_shadow="0 1px 3px rgba(0, 0, 0, 0.06)",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        button_primary_background_fill="#c2410c",
        button_primary_background_fill_hover="#9a3412",
        button_primary_background_fill_dark="#ea580c",
        button_primary_background_fill_hover_dark="#c2410c",
        button_primary_text_color="white",
        input_background_fill="#faf9f7",
        input_background_fill_dark="#191817",
    )
