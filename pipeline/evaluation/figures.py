"""The figures of one avatar, and what is told of them in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.evaluation.outline import Outline
from pipeline.evaluation.registration import Registration


@dataclass(frozen=True)
class PoseFigures:
    """One expression from one side."""

    expression: str
    yaw: float
    """Degrees of the camera to the subject's left."""
    hole_pixels: int
    hole_share: float
    """Of the mesh's area, 0..1."""
    largest_hole: int
    """Pixels."""
    gap_pixels: int
    gap_share: float
    """Of the mesh's area, 0..1."""
    largest_gap: int
    """Pixels."""
    outline: Outline
    places: Registration

    @property
    def title(self) -> str:
        return f"{self.expression}, {self.yaw:+.0f}°" if self.yaw else f"{self.expression}, front"


@dataclass(frozen=True)
class ClipFigures:
    """One clip from the front. All lists are over time."""

    fps: float
    flicker: list[float]
    """(T − 1) 8-bit levels."""
    speed: list[float]
    """(T − 1) pixels per frame."""
    compared: list[float]
    """(T − 1) share of the head that both frames show."""
    hole_share: list[float]
    """(T) of the mesh's area, 0..1."""
    draw_fps: float
    """Frames posed and drawn per second on this machine, at the size of the pictures."""


@dataclass(frozen=True)
class AvatarFigures:
    """Everything that was measured of one avatar."""

    name: str
    prompt: str
    splats: int
    size: int
    """Pixels of every picture's side."""
    millimetres_per_pixel: float
    """At the face."""
    poses: list[PoseFigures]
    clip: ClipFigures
    clip_scores: dict[str, float]
    """CLIP model → mean cosine of picture and prompt."""
    notes: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, float | None]:
        """The row of this avatar in a table, by the keys of `pipeline.evaluation.table.ROWS`."""
        rows = self.poses
        return {
            "hole_share_mean": _mean(row.hole_share for row in rows),
            "hole_share_worst": max(row.hole_share for row in rows),
            "largest_hole": max(row.largest_hole for row in rows),
            "gap_share_mean": _mean(row.gap_share for row in rows),
            "gap_share_worst": max(row.gap_share for row in rows),
            "largest_gap": max(row.largest_gap for row in rows),
            "iou_mean": _mean(row.outline.iou for row in rows),
            "iou_worst": min(row.outline.iou for row in rows),
            "outline_mean": _mean(row.outline.mean for row in rows),
            "outline_outward": _mean(row.outline.outward for row in rows),
            "landmark_mean": _mean(row.places.landmark_mean for row in rows),
            "landmark_worst": _worst(row.places.landmark_worst for row in rows),
            "head_mean": _mean(row.places.head_mean for row in rows),
            "flicker_mean": _mean(self.clip.flicker),
            "flicker_worst": _worst(self.clip.flicker),
            "speed_mean": _mean(self.clip.speed),
            "clip_hole_share_worst": max(self.clip.hole_share),
            "draw_fps": self.clip.draw_fps,
            **{f"clip_score {model}": score for model, score in self.clip_scores.items()},
        }

    def told(self) -> list[str]:
        """A few lines for the terminal."""
        summary = self.summary()
        landmark, outline, flicker = (summary[name] for name in ("landmark_mean", "outline_mean", "flicker_mean"))
        return [
            f"holes: {max(row.hole_share for row in self.poses):.2%} of the mesh in the worst view, "
            f"{max(self.clip.hole_share):.2%} in the worst frame of the clip; "
            f"gaps: {max(row.gap_share for row in self.poses):.2%}",
            f"outline error {_pixels(outline)}, landmark error {_pixels(landmark)} "
            f"(a pixel is {self.millimetres_per_pixel:.2f} mm)",
            f"flicker {flicker:.2f} levels of 255; {self.clip.draw_fps:.0f} frames per second",
            *(f"CLIP score {score:.3f} ({model})" for model, score in self.clip_scores.items()),
            *(f"note: {note}" for note in self.notes),
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``figures.json``."""
        return {**asdict(self), "summary": self.summary()}


def by_openings(poses: Sequence[PoseFigures]) -> list[PoseFigures]:
    """Holes and then gaps, worst first; those without either are left out."""
    open_ones = (pose for pose in poses if pose.hole_pixels or pose.gap_pixels)
    return sorted(open_ones, key=lambda pose: (-pose.hole_pixels, -pose.gap_pixels))


def by_outline(poses: Sequence[PoseFigures]) -> list[PoseFigures]:
    """Worst first, those without an outline left out."""
    return sorted((pose for pose in poses if pose.outline.mean is not None), key=lambda pose: -(pose.outline.mean or 0))


def by_landmarks(poses: Sequence[PoseFigures]) -> list[PoseFigures]:
    """Worst first, those without a landmark left out."""
    known = (pose for pose in poses if pose.places.landmark_mean is not None)
    return sorted(known, key=lambda pose: -(pose.places.landmark_mean or 0))


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return float(np.mean(known)) if known else None


def _worst(values: Iterable[float | None]) -> float | None:
    return max(_known(values), default=None)


def _pixels(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} px"
