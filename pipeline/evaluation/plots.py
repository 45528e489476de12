"""The plots of the report: drawings that take the colour of the page's text, light or dark."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.figures import AvatarFigures, PoseFigures

COLOURS = ("#2f86d6", "#e0752d", "#2fa56a", "#b458c9", "#c9a227", "#d64f6b")
"""One per avatar, in turn; each stands out from white and from black."""
TEXT = "#010203"
"""A colour that is nowhere else; the drawing's text and axes have it until the page's own takes its place."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evaluation",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": TEXT,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
WIDTH, HEIGHT = 12.0, 3.2
"""Inches; the page scales them."""


def over_time(avatars: Sequence[AvatarFigures], values: Callable[[AvatarFigures], Sequence[float]], unit: str) -> str:
    """SVG: one line per avatar over the seconds of the clip."""

    def draw(axes: Axes) -> None:
        for number, avatar in enumerate(avatars):
            line = np.asarray(values(avatar))
            axes.plot(np.arange(len(line)) / avatar.clip.fps, line, color=_colour(number), lw=1.6, label=avatar.name)
        axes.set_xlabel("seconds")
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.01)

    return _svg(draw, len(avatars))


def per_expression(avatars: Sequence[AvatarFigures], value: Callable[[PoseFigures], float | None], unit: str) -> str:
    """SVG: bars per expression, one per avatar; the worst of the views."""

    def draw(axes: Axes) -> None:
        names = list(dict.fromkeys(pose.expression for pose in avatars[0].poses))
        width = 0.8 / len(avatars)
        for number, avatar in enumerate(avatars):
            worst = [
                max((value(pose) or 0.0 for pose in avatar.poses if pose.expression == name), default=0.0)
                for name in names
            ]
            at = np.arange(len(names)) + (number - (len(avatars) - 1) / 2) * width
            axes.bar(at, worst, width * 0.92, color=_colour(number), label=avatar.name)
        axes.set_xticks(range(len(names)), names, rotation=38, ha="right", rotation_mode="anchor")
        axes.set_ylabel(unit)
        axes.margins(x=0.01)

    return _svg(draw, len(avatars))


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _svg(draw: Callable[[Axes], None], lines: int) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(axis="y", color=TEXT, alpha=0.15, lw=0.8)
        axes.set_axisbelow(True)
        if lines > 1:
            figure.legend(loc="outside upper left", ncols=min(lines, 4))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = out.getvalue()
    return drawing[drawing.index("<svg") :].replace(TEXT, "currentColor")
