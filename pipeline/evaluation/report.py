"""The report: one HTML file that stands alone, and the same figures for programs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from pipeline.errors import UserError
from pipeline.evaluation.evaluate import YAWS, Evaluation
from pipeline.evaluation.expressions import FACES, TURNED
from pipeline.evaluation.figures import AvatarFigures, PoseFigures, by_landmarks, by_openings, by_outline
from pipeline.evaluation.plots import over_time, per_expression
from pipeline.evaluation.table import table
from pipeline.files import whole_folder, writing
from pipeline.rendering.portrait import Picture

REPORT, FIGURES = "report.html", "figures.json"
FORMAT_VERSION = 1
SHOWN = 3
"""Pictures of each kind and avatar."""
QUALITY = 85

Order = Callable[[Sequence[PoseFigures]], list[PoseFigures]]


@dataclass(frozen=True)
class Shown:
    """A picture with what it is and its figure."""

    source: str
    """Data URI."""
    title: str
    told: str


def write_report(evaluations: Sequence[Evaluation], folder: Path, clip: str) -> Path:
    """Write ``report.html`` and ``figures.json`` of one or more avatars to ``folder``, whole or not at all; an older
    report is replaced. ``clip`` names the motion. Returns the path of the HTML file.

    Raises `UserError` when ``folder`` cannot be written or holds anything else.
    """
    check_target(folder)
    figures = [evaluation.figures for evaluation in evaluations]
    content = {"format": FORMAT_VERSION, "clip": clip, "avatars": [one.as_json() for one in figures]}
    with whole_folder(folder) as partial:
        (partial / FIGURES).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (partial / REPORT).write_text(as_html(evaluations, clip), encoding="utf-8")
    return folder / REPORT


def check_target(folder: Path) -> None:
    """Raise `UserError` unless ``folder`` is free, empty, or holds an older report and nothing else."""
    with writing(folder):
        if folder.is_file():
            raise UserError(f"{folder} is a file; give a folder for the report")
        if folder.is_dir() and not {entry.name for entry in folder.iterdir()} <= {REPORT, FIGURES}:
            raise UserError(f"{folder} holds other files and is left alone; give a new or empty folder")


def as_html(evaluations: Sequence[Evaluation], clip: str) -> str:
    """The page. Names and prompts are escaped."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["pixels"] = lambda value: "–" if value is None else f"{value:.2f}"
    figures = [evaluation.figures for evaluation in evaluations]
    return environment.get_template("report.html.jinja").render(
        avatars=figures,
        portraits=[_data_uri(evaluation.portrait) for evaluation in evaluations],
        table=table(figures),
        plots=_plots(figures),
        galleries=_galleries(evaluations),
        clip=clip,
        poses=len(FACES) + len(TURNED),
        views=len(YAWS),
    )


def _plots(figures: Sequence[AvatarFigures]) -> list[tuple[str, Markup]]:
    drawn = [
        ("Flicker through the clip, 8-bit levels", over_time(figures, lambda one: one.clip.flicker, "levels")),
        (
            "Landmark error per expression, mean over the landmarks in the worst view",
            per_expression(figures, lambda pose: pose.places.landmark_mean, "pixels"),
        ),
        (
            "Outline error per expression, in the worst view",
            per_expression(figures, lambda pose: pose.outline.mean, "pixels"),
        ),
    ]
    if any(pose.hole_pixels for one in figures for pose in one.poses):
        holes = per_expression(figures, lambda pose: pose.hole_share * 1000, "‰")
        drawn.append(("Holes per expression, ‰ of the mesh in the worst view", holes))
    if any(pose.gap_pixels for one in figures for pose in one.poses):
        gaps = per_expression(figures, lambda pose: pose.gap_share * 1000, "‰")
        drawn.append(("Gaps per expression, ‰ of the mesh in the worst view", gaps))
    if any(any(one.clip.hole_share) for one in figures):
        holes = over_time(figures, lambda one: [share * 1000 for share in one.clip.hole_share], "‰")
        drawn.append(("Holes through the clip, ‰ of the mesh", holes))
    return [(title, Markup(drawing)) for title, drawing in drawn]


def _galleries(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, list[list[Shown]]]]:
    """Title, legend, and per avatar the worst pictures first."""
    return [
        (
            "Holes and gaps",
            "Red is where the backdrop shines through, orange where one looks past the surface into the head.",
            [_worst(one, by_openings, _told_openings, places=False) for one in evaluations],
        ),
        (
            "Outline",
            "Blue is the outline of the mesh, yellow that of the splats that lie on it.",
            [_worst(one, by_outline, _told_outline, places=False) for one in evaluations],
        ),
        (
            "Landmarks and surface",
            "The more pink, the further the skin that is seen has gone from where the mesh went.",
            [_worst(one, by_landmarks, _told_landmarks, places=True) for one in evaluations],
        ),
        (
            "Flicker",
            "The frame after which the picture changes most; pink is what the motion does not explain.",
            [[_flickering(one)] for one in evaluations],
        ),
    ]


def _worst(evaluation: Evaluation, order: Order, told: Callable[[PoseFigures], str], places: bool) -> list[Shown]:
    poses = evaluation.figures.poses
    shown = []
    for pose in order(poses)[:SHOWN]:
        views = evaluation.poses[poses.index(pose)]
        shown.append(Shown(_data_uri(views.places if places else views.outlines), pose.title, told(pose)))
    return shown


def _told_openings(pose: PoseFigures) -> str:
    told = [
        f"{pixels} px {kind} ({share:.2%}), the largest {largest} px"
        for kind, pixels, share, largest in (
            ("of holes", pose.hole_pixels, pose.hole_share, pose.largest_hole),
            ("of gaps", pose.gap_pixels, pose.gap_share, pose.largest_gap),
        )
        if pixels
    ]
    return "; ".join(told)


def _told_outline(pose: PoseFigures) -> str:
    outline = pose.outline
    if outline.mean is None or outline.p95 is None or outline.shift is None:
        return f"overlap {outline.iou:.1%}"
    right, down = outline.shift
    return (
        f"mean {outline.mean:.2f} px, 95 % below {outline.p95:.2f} px; shifted {right:+.2f} px to the right and "
        f"{down:+.2f} px down; overlap {outline.iou:.1%}"
    )


def _told_landmarks(pose: PoseFigures) -> str:
    places = pose.places
    return f"mean {places.landmark_mean:.2f} px, worst {places.landmark_worst:.2f} px at {places.worst_landmark}"


def _flickering(evaluation: Evaluation) -> Shown:
    worst, clip = evaluation.flickering, evaluation.figures.clip
    title = f"frame {worst.frame}, {worst.frame / clip.fps:.2f} s"
    return Shown(_data_uri(worst.picture), title, f"{worst.levels:.2f} levels")


def _data_uri(picture: Picture) -> str:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
