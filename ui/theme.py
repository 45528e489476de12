"""How the page looks: cool greys and one blue, the viewer's own, in the system's own fonts (nothing is fetched)."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")
SHADES = "#eef6fb #d8eaf5 #b4d6ea #86bddc #6cb8e6 #2f86b5 #1f6f9c #195b81 #154a69 #123d57 #0c2a3c"
"""Around the viewer's accent: 600 in light, 400 in dark."""


def theme() -> gr.themes.Base:
    """Gradio's base theme in our colours; light and dark follow the visitor's system."""
    accent = gr.themes.Color(*SHADES.split())
    return gr.themes.Base(
        primary_hue=accent,
        secondary_hue=accent,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        spacing_size=gr.themes.sizes.spacing_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f3f5f8",
        body_background_fill_dark="#0f1216",
        body_text_color="#1b2430",
        body_text_color_dark="#e8edf3",
        body_text_color_subdued="#566272",
        body_text_color_subdued_dark="#a3afbd",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#181c22",
        background_fill_secondary="#f3f5f8",
        background_fill_secondary_dark="#12161b",
        border_color_primary="#dde2e8",
        border_color_primary_dark="#2c333c",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="600",
        block_title_text_color="#1b2430",
        block_title_text_color_dark="#e8edf3",
        form_gap_width="0px",
        input_background_fill="#ffffff",
        input_background_fill_dark="#12161b",
        input_border_width="1px",
        input_border_color="#cfd6de",
        input_border_color_dark="#37404a",
        input_border_color_focus="#2f86b5",
        input_border_color_focus_dark="#6cb8e6",
        input_placeholder_color="#76818f",
        input_placeholder_color_dark="#8793a1",
        button_primary_background_fill="#1f6f9c",
        button_primary_background_fill_hover="#195b81",
        button_primary_background_fill_dark="#6cb8e6",
        button_primary_background_fill_hover_dark="#86c6ec",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0c1a24",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#eef1f5",
        button_secondary_background_fill_dark="#222932",
        button_secondary_background_fill_hover_dark="#2c3540",
        button_secondary_border_color="#cfd6de",
        button_secondary_border_color_dark="#37404a",
        button_secondary_text_color="#1b2430",
        button_secondary_text_color_dark="#e8edf3",
        button_border_width="1px",
        button_large_text_weight="600",
        button_large_text_size="15px",
        button_large_padding="10px 16px",
        button_small_text_weight="500",
        button_transition="background-color 0.15s, border-color 0.15s",
        checkbox_label_background_fill="#ffffff",
        checkbox_label_background_fill_dark="#222932",
        checkbox_label_background_fill_hover="#eef1f5",
        checkbox_label_background_fill_hover_dark="#2c3540",
        checkbox_label_background_fill_selected="#1f6f9c",
        checkbox_label_background_fill_selected_dark="#6cb8e6",
        checkbox_label_text_color_selected="#ffffff",
        checkbox_label_text_color_selected_dark="#0c1a24",
        checkbox_label_border_width="1px",
        checkbox_label_border_color="#cfd6de",
        checkbox_label_border_color_dark="#37404a",
        checkbox_label_padding="7px 14px",
        loader_color="#1f6f9c",
        loader_color_dark="#6cb8e6",
        link_text_color="#1f6f9c",
        link_text_color_dark="#6cb8e6",
    )
