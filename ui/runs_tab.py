"""Tab "Refine": its parts. `ui.runs_wiring` connects them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.stages.recipes import RECIPES
from ui.run_cards import RunCards, RunsView
from ui.run_cost import computing
from ui.run_jobs import FLAVORS, flavor_choices
from ui.run_portraits import cost_words
from ui.run_words import LENGTHS
from ui.run_words import RECIPES as TITLES
from ui.settings import has_login

INTRODUCTION = (
    "Refining lets a diffusion model repaint a head from all sides while it speaks and looks around, and fits the head "
    "to that. It takes long, and goes on when you leave the page."
)
PORTRAIT = (
    "Portrait3D makes heads that stand still. Give the file of one, as its gallery has them, and it becomes a head "
    "that moves. The decoder is needed only where this place has none."
)
FIRST_LENGTH = "Draft"
NO_RUNS = "No runs yet. What you start here appears below, with a picture of how far it is."
LOOK_SECONDS = 2.0
"""Between two looks at a run that is under way."""


def runs_tab() -> dict[str, Any]:
    """The tab's parts, by name."""
    gr.Markdown(INTRODUCTION, elem_id="refine-introduction")
    prompt = gr.Textbox(
        label="Whom?",
        placeholder="the sentence of the head",
        lines=1,
        max_lines=6,
        elem_id="refine-prompt",
    )
    taken = gr.Markdown(elem_id="refine-taken")
    recipe = gr.Radio(
        [(label, name) for name, label in TITLES.items()],
        value="animportrait3d",
        label="Recipe",
        elem_id="refine-recipe",
        elem_classes="pills",
    )
    length = gr.Radio(
        list(LENGTHS), value=FIRST_LENGTH, label="How thoroughly", elem_id="refine-length", elem_classes="pills"
    )
    cost = gr.Markdown(elem_id="refine-cost")
    start = gr.Button("Refine here", variant="primary", elem_id="refine-start")
    with gr.Accordion("On another machine", open=computing().kind == "cpu", elem_id="refine-elsewhere") as elsewhere:
        command = gr.Textbox(
            label="On your own machine",
            lines=2,
            max_lines=6,
            interactive=False,
            buttons=["copy"],
            elem_id="refine-command",
        )
        parts = _job_parts()
    with gr.Accordion("A portrait instead of a sentence", open=False, elem_id="portrait-form"):
        portrait = _portrait_parts()
    shown = RunCards(RunsView(runs=[], empty=NO_RUNS), label="runs", elem_id="runs")
    return {
        "prompt": prompt, "taken": taken, "recipe": recipe, "length": length, "cost": cost, "start": start,
        "elsewhere": elsewhere, "command": command, "runs": shown, **parts, **portrait,
        "seed": gr.Number(0, label="seed", precision=0, visible=False),
        "attributes": gr.JSON({}, label="attributes", visible=False),
        "head": gr.Textbox("anny", label="head", visible=False),
        "source": gr.Textbox("", label="avatar_id", visible=False),
        "run_id": gr.Textbox("", label="run_id", visible=False),
        "config": gr.DownloadButton("Settings", visible="hidden", elem_id="run-config"),
        "timer": gr.Timer(LOOK_SECONDS, active=False),
    }  # fmt: skip


def _portrait_parts() -> dict[str, Any]:
    """What puts a static portrait on a rig."""
    gr.Markdown(PORTRAIT, elem_id="portrait-introduction")
    files = gr.File(
        label="A tri-grid (.pth), and its decoder (.ckpt)",
        file_count="multiple",
        file_types=[".pth", ".ckpt", ".pkl"],
        elem_id="portrait-files",
        height=92,
    )
    who = gr.Textbox(label="Who is it?", placeholder="may stay empty", lines=1, max_lines=4, elem_id="portrait-prompt")
    gr.Markdown(cost_words(), elem_id="portrait-cost")
    rig = gr.Button("Put it on a rig", elem_id="portrait-start")
    return {"portrait": files, "who": who, "rig": rig}


def _job_parts() -> dict[str, Any]:
    """What hands a run to Hugging Face."""
    if has_login():
        gr.LoginButton(size="sm", elem_id="refine-login")
    flavor = gr.Dropdown(
        flavor_choices(RECIPES["animportrait3d"].scaled(LENGTHS[FIRST_LENGTH])),
        value=next(iter(FLAVORS)),
        label="As a job on Hugging Face, paid by your account",
        elem_id="job-flavor",
    )
    job = gr.Button("Hand over", size="sm", elem_id="job-start")
    return {"flavor": flavor, "job": job}
