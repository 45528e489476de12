"""The channels of a clip over time, as one small SVG that follows the page's theme; `viewer/web/plot.js` moves the
playhead over it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.rig import Rig
from pipeline.motion.editing import GROUPS
from pipeline.motion.retarget import Retargeted

Curve = NDArray[np.float64]

WIDTH, LANE, GAP = 1000, 26, 5
"""Units of the drawing; it is stretched to the width that it has on the page."""
MOST_POINTS = 600
"""Of one curve; more than the page has pixels."""
TURN, GAZE = 15.0, 20.0
"""Degrees that fill a lane of head or gaze; more where the clip goes further."""
OPENED = 0.35
"""Radians of a jaw joint that fill its lane."""


@dataclass(frozen=True)
class Lane:
    """One row of the plot."""

    name: str
    curves: tuple[Curve, ...]
    """(T,) each."""
    signed: bool = False
    """Whether zero is in the middle."""
    full: float = 1.0
    """Value at the edge, at least."""
    unit: str = ""


def lanes(driven: Retargeted, rig: Rig) -> list[Lane]:
    """What moves in a clip on a rig: jaw, lips, brows, gaze, blinks and head."""
    turns = {name: _degrees(driven, rig, name) for name in ("neck", "head", "left_eye", "jaw")}
    head = turns["neck"] + turns["head"]
    eyes, turning = turns["left_eye"], (head[:, 1], head[:, 0], head[:, 2])
    if rig.basis != "arkit52":
        strength = driven.expression.double().norm(dim=1).numpy()
        opened = np.radians(turns["jaw"][:, 0]) / OPENED
        face = [Lane("Jaw", (opened,)), Lane("Face", (strength,), full=float(strength.max(initial=1.0)))]
    else:
        ups, downs = ("browInnerUp", "browOuterUp"), ("browDown",)
        face = [
            Lane("Jaw", (_strongest(driven, rig, ("jawOpen",)),)),
            Lane("Lips", (_strongest(driven, rig, GROUPS["lips"]),)),
            Lane("Brows", (_strongest(driven, rig, ups) - _strongest(driven, rig, downs),), signed=True),
        ]
    return [
        *face,
        Lane("Gaze", (eyes[:, 1], eyes[:, 0]), True, GAZE, "°"),
        Lane("Blink", (_strongest(driven, rig, ("eyeBlink", "eyelid")),)),
        Lane("Head", turning, True, TURN, "°"),
    ]


def plot(driven: Retargeted, rig: Rig, fps: float) -> str:
    """HTML of the plot. Its ``data-seconds`` is the moment of the last frame."""
    rows = lanes(driven, rig)
    height = len(rows) * (LANE + GAP) - GAP
    drawn = "".join(_lane(row, number * (LANE + GAP)) for number, row in enumerate(rows))
    names = "".join(f"<span>{html.escape(row.name)}</span>" for row in rows)
    told = ", ".join(f"{row.name.lower()} {_range(row)}" for row in rows)
    seconds = (len(driven.expression) - 1) / fps
    return (
        f'<div class="motion-plot" data-seconds="{seconds:.4f}"><div class="names">{names}</div>'
        f'<div class="lanes"><svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="Channels over {seconds:.1f} seconds: {html.escape(told)}">{drawn}</svg>'
        f'<i class="playhead"></i></div>{_seconds(seconds)}</div>'
    )


def _strongest(driven: Retargeted, rig: Rig, beginnings: Sequence[str]) -> Curve:
    """(T,) of the strongest among the actions whose names begin so."""
    columns = [at for at, name in enumerate(rig.expression_names) if name.startswith(tuple(beginnings))]
    if not columns:
        return np.zeros(len(driven.expression))
    return driven.expression[:, columns].amax(1).double().numpy()


def _degrees(driven: Retargeted, rig: Rig, joint: str) -> Curve:
    """(T, 3) of the joints whose names begin so, together."""
    joints = [at for at, name in enumerate(rig.joint_names) if name.startswith(joint)]
    return np.degrees(driven.rotations[:, joints].sum(1).double().numpy())


def _lane(row: Lane, top: int) -> str:
    full = max(row.full, max(float(np.abs(curve).max(initial=0)) for curve in row.curves))
    zero = top + LANE / 2 if row.signed else top + LANE
    reach = LANE / 2 if row.signed else LANE
    lines = []
    for number, curve in enumerate(row.curves):
        heights = np.clip(curve / full, -1 if row.signed else 0, 1)
        points = " ".join(f"{x:.1f},{zero - reach * y:.1f}" for x, y in _points(heights))
        if len(row.curves) == 1:
            lines.append(f'<polygon points="0,{zero} {points} {WIDTH},{zero}"/>')
        lines.append(f'<polyline class="c{number}" points="{points}"/>')
    ground = f'<rect y="{top}" width="{WIDTH}" height="{LANE}"/><path d="M0 {zero}H{WIDTH}"/>'
    return f"<g>{ground}{''.join(lines)}</g>"


def _points(curve: Curve) -> list[tuple[float, float]]:
    """Points of the line; of a long clip the lowest and highest of every stretch, so that no blink gets lost."""
    count = len(curve)
    if count == 1:
        return [(0.0, float(curve[0])), (float(WIDTH), float(curve[0]))]
    if count <= MOST_POINTS:
        kept = np.arange(count)
    else:
        stretches = np.array_split(np.arange(count), MOST_POINTS // 2)
        ends = [sorted((int(s[curve[s].argmin()]), int(s[curve[s].argmax()]))) for s in stretches]
        kept = np.array(ends).ravel()
    return [(WIDTH * at / (count - 1), float(curve[at])) for at in kept]


def _range(row: Lane) -> str:
    low, high = min(float(c.min()) for c in row.curves), max(float(c.max()) for c in row.curves)
    if row.unit:
        return f"{low:.0f} to {high:.0f}{row.unit}"
    return f"{low:.2f} to {high:.2f}"


def _seconds(seconds: float) -> str:
    """Marks at round moments below the lanes, at most some six."""
    if seconds <= 0:
        return ""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300) if seconds / step <= 6), 600)
    marks = [number * step for number in range(math.floor(seconds / step + 1e-9) + 1)]
    spans = "".join(f'<span style="left:{100 * mark / seconds:.2f}%">{mark:g}</span>' for mark in marks)
    return f'<div class="marks">{spans}</div>'
