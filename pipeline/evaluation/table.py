"""What each figure is called, in which unit, and which end of it is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.evaluation.figures import AvatarFigures


@dataclass(frozen=True)
class Row:
    """One figure of `AvatarFigures.summary`."""

    key: str
    label: str
    unit: str
    meaning: str
    better: Literal["low", "high", ""] = "low"
    scale: float = 1.0
    """What the figure is multiplied by for its unit."""
    decimals: int = 2


@dataclass(frozen=True)
class Cell:
    """One figure of one avatar as text."""

    text: str
    best: bool
    """Whether no other avatar is better and one is worse."""


ROWS = (
    Row("hole_share_mean", "Holes", "‰", "of the mesh's area, a margin inside its outline, where the splats let more "
        "than 1 % of the backdrop through; mean over poses and views", scale=1000),
    Row("hole_share_worst", "Holes, worst view", "‰", "the same, in the worst pose and view", scale=1000),
    Row("largest_hole", "Largest hole", "px", "connected pixels", decimals=0),
    Row("gap_share_mean", "Gaps", "‰", "of the same area, where what is seen lies a centimetre or more behind the "
        "mesh; mean over poses and views", scale=1000),
    Row("gap_share_worst", "Gaps, worst view", "‰", "the same, in the worst pose and view", scale=1000),
    Row("largest_gap", "Largest gap", "px", "connected pixels", decimals=0),
    Row("clip_hole_share_worst", "Holes, worst frame", "‰", "of the clip, with neck and shoulders in view", scale=1000),
    Row("iou_mean", "Outline overlap", "%", "intersection over union of surface splats and mesh in the head and a band "
        "round it; mean", "high", 100, 1),
    Row("outline_mean", "Outline error", "px", "from the head's outline on the mesh to that of the splats; mean"),
    Row("outline_outward", "Outline widening", "px", "the same with its sign: above 0 the splats reach beyond the mesh",
        ""),
    Row("landmark_mean", "Landmark error", "px", "by how much the splats seen at a landmark have gone elsewhere than "
        "the landmark did, from rest to the pose; mean over landmarks, poses and views"),
    Row("landmark_worst", "Landmark error, worst", "px", "the same, of the worst landmark of all"),
    Row("head_mean", "Surface error", "px", "the same over all of face, scalp and ears; mean"),
    Row("flicker_mean", "Flicker", "levels", "of 255: mean change from frame to frame after the motion is taken out"),
    Row("flicker_worst", "Flicker, worst frame", "levels", "the same, where it is largest"),
    Row("speed_mean", "Motion", "px/frame", "how fast the picture moves on average: flicker grows with it", ""),
    Row("draw_fps", "Drawing speed", "frames/s", "posing and drawing on this machine, one after another", "high",
        decimals=0),
)  # fmt: skip


def table(avatars: Sequence[AvatarFigures]) -> list[tuple[Row, list[Cell]]]:
    """Every row that any avatar has a figure for, with a cell per avatar."""
    summaries = [avatar.summary() for avatar in avatars]
    models = dict.fromkeys(model for avatar in avatars for model in avatar.clip_scores)
    rows = [*ROWS, *(_clip_row(model) for model in models)]
    return [(row, _cells(row, [summary.get(row.key) for summary in summaries])) for row in rows]


def _clip_row(model: str) -> Row:
    meaning = "mean cosine of prompt and pictures, at rest and in the clip"
    return Row(f"clip_score {model}", f"CLIP score, {model}", "", meaning, "high", decimals=3)


def _cells(row: Row, values: list[float | None]) -> list[Cell]:
    texts = ["–" if value is None else f"{value * row.scale:.{row.decimals}f}" for value in values]
    shown = [float(text) for text in texts if text != "–"]
    best = (min(shown) if row.better == "low" else max(shown)) if row.better and len(set(shown)) > 1 else None
    return [Cell(text, text != "–" and float(text) == best) for text in texts]
