"""The controls that edit a motion, and the `Edits` that they stand for."""

from __future__ import annotations

from typing import Any

import gradio as gr

from pipeline.motion.clips import EMOTIONS
from pipeline.motion.editing import GROUPS
from pipeline.motion.edits import Edits

FADE = 0.4
"""Seconds over which a seamless end flows into the beginning."""
NO_FEELING = ""
WHOLE = [("Whole clip", 0)]


def editor_parts() -> dict[str, Any]:
    """The parts by name, in a closed accordion. ``controls`` are the inputs of `edits_of`, in its order."""
    with gr.Accordion("Edit", open=False, elem_id="editor"):
        with gr.Row():
            start = gr.Number(0, label="From (s)", minimum=0, step=0.1, min_width=80, elem_id="trim-start")
            stop = gr.Number(None, label="To (s)", minimum=0, step=0.1, min_width=80, elem_id="trim-stop")
            cut = gr.Button("Split here", size="sm", min_width=80, elem_id="split")
        part = gr.Dropdown(
            WHOLE, value=0, label="Part", visible=False, elem_id="part",
            allow_custom_value=True,  # the server forgets the choices of a page that was left alone for long
        )  # fmt: skip
        with gr.Row():
            speed = gr.Slider(0.25, 2, 1, step=0.05, label="Speed", min_width=120, elem_id="speed")
            smooth = gr.Slider(0, 1, 0, step=0.05, label="Smooth", min_width=120, elem_id="smooth")
        amounts = []
        for pair in (("jaw", "lips"), ("brows", "eyes"), ("head", None)):
            with gr.Row():
                for group in pair:
                    if group is None:
                        blinks = gr.Slider(0, 40, 0, step=1, label="Blinks / min", min_width=120, elem_id="blinks")
                        continue
                    amounts.append(
                        gr.Slider(0, 2, 1, step=0.05, label=group.capitalize(), min_width=120, elem_id=f"scale-{group}")
                    )
        with gr.Row():
            feelings = [("No feeling", NO_FEELING), *((name.capitalize(), name) for name in EMOTIONS)]
            feeling = gr.Dropdown(feelings, value=NO_FEELING, label="Mix in", min_width=120, elem_id="feeling")
            strength = gr.Slider(0, 1, 0.5, step=0.05, label="Strength", min_width=120, elem_id="feeling-strength")
        with gr.Row():
            times = gr.Number(1, label="Repeat", minimum=1, maximum=100, step=1, precision=0, min_width=80)
            seamless = gr.Checkbox(False, label="Seamless", min_width=90, elem_id="seamless")
            reset = gr.Button("Reset", size="sm", min_width=80, elem_id="reset-edits")
    cuts = gr.JSON([], label="cuts", visible=False)
    edits = gr.JSON({}, label="edits", visible=False)
    controls = [start, stop, part, speed, smooth, *amounts, blinks, feeling, strength, times, seamless]
    return {"edits": edits, "cuts": cuts, "controls": controls, "part": part, "cut": cut, "reset": reset}


DEFAULTS: tuple[Any, ...] = (0, None, 0, 1, 0, *[1] * len(GROUPS), 0, NO_FEELING, 0.5, 1, False)
"""Of ``controls``."""


def edits_of(cuts: list[float] | None, *values: Any) -> Edits:
    """The edits that the controls stand for; an empty number is its default, what was typed as a part the whole."""
    filled = [default if value is None else value for value, default in zip(values, DEFAULTS, strict=True)]
    start, stop, part, speed, smooth, *amounts, blinks, feeling, strength, times, seamless = filled
    trim = None if not start and stop is None else (float(start), None if stop is None else float(stop))
    return Edits(
        split=tuple(cuts or ()),
        part=int(part) if str(part).isdigit() else 0,
        trim=trim,
        speed=float(speed),
        smooth=float(smooth),
        scale={group: float(amount) for group, amount in zip(GROUPS, amounts, strict=True) if amount != 1},
        mix={feeling: float(strength)} if feeling else {},
        blinks=float(blinks),
        fade=FADE if seamless else 0.0,
        repeat=int(times),
    )


def part_choices(cuts: list[float]) -> list[tuple[str, int]]:
    """Names and numbers of the parts of a cut clip."""
    ends = [0.0, *cuts]
    names = [
        f"Part {number + 1}: {start:.1f} – {f'{ends[number + 1]:.1f}' if number + 1 < len(ends) else 'end'}"
        + (" s" if number + 1 < len(ends) else "")
        for number, start in enumerate(ends)
    ]
    return [*WHOLE, *((name, number + 1) for number, name in enumerate(names))]
