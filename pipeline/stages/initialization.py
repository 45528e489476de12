"""`initialize`: from a static head to an avatar that plays every clip (AnimPortrait3D, SIGGRAPH 2025, second stage).

What differs from the published code: splats begin opaque, in the colours of the pictures, on a coat that holds when the
face moves; what no picture shows comes from the procedural prior instead of grey; coverage has a loss of its own; and
as few splats as a browser draws fluently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from pipeline.avatar import Layer, SplatAvatar
from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.heads.rig import Rig
from pipeline.reconstruction.head_fit import HeadFit, fit_head
from pipeline.reconstruction.multiview import LandmarkDetector, Observed, Parser, Similarity, Source, Surface, Views
from pipeline.reconstruction.voting import vote
from pipeline.stages.binding import Bound, hang
from pipeline.stages.body_splats import Head, body, painted, with_cage
from pipeline.stages.config import Densification
from pipeline.stages.journal import Journal
from pipeline.stages.kept import kept
from pipeline.stages.randomness import generator
from pipeline.stages.splat_sampling import sample_beside
from pipeline.stages.static_fit import StaticFitConfig, fit_to_views
from pipeline.stages.super_dense import UNSEEN
from pipeline.stages.view_colors import Occluder, Seen, seen_colors

HeadFitter = Callable[[str, Observed | None, Sequence[Camera], Surface | None, Similarity | None], HeadFit]
"""`fit_head`, or a stand-in that knows the answer."""

FRONT = (10.0, 170.0)
"""Yaws in which landmarks are looked for, degrees: from one ear to the other."""
SKIN_TOLERANCE, SURFACE_TOLERANCE = 1.5e-3, 6e-3
"""Metres behind the rig's own mesh, and behind the portrait's surface, at which a point is still seen: the first tells
lids and lips apart, the second allows for what a fit misses the portrait by."""
SEEN = 0.3
"""Sum of squared cosines from which a splat of hair or clothes is kept."""
COATS = (Layer.SKIN,)


@dataclass(frozen=True)
class InitializationConfig:
    """What a rigged start depends on beside the source."""

    name: str
    seed: int = 0
    yaws: int = 24
    """Views round the head, of each pitch."""
    pitches: tuple[float, ...] = (60.0, 75.0, 90.0, 105.0, 120.0)
    """Degrees v of AnimPortrait3D's camera, 90 is level: the polar angle is arccos(1 − 2v/180)."""
    size: int = 512
    """Pixels of a view's side."""
    splats: int = 100_000
    """At the start, about; densification adds up to ``fit.densification.most``."""
    sh_degree: int = 0
    """Of view-dependent colour, 0 to 3; the published avatars have 3, which a browser does not draw."""
    fit: StaticFitConfig = field(default_factory=StaticFitConfig)

    def __post_init__(self) -> None:
        for name, value, lowest, highest in (
            ("yaws", self.yaws, 3, 360),
            ("size", self.size, 32, 2048),
            ("splats", self.splats, 1000, 2_000_000),
            ("sh_degree", self.sh_degree, 0, 3),
            ("fit.steps", self.fit.steps, 0, 1_000_000),
            ("fit.views", self.fit.views, 1, 64),
        ):
            if not lowest <= value <= highest:  # also for NaN
                raise UserError(f"{name} of the initialization is {value}; it goes from {lowest} to {highest}")
        if not self.pitches or not all(0 < pitch < 180 for pitch in self.pitches):
            raise UserError(f"pitches of the initialization are {self.pitches}; they go from 0 to 180 degrees")

    @property
    def steps(self) -> int:
        """Of the optimisation."""
        return self.fit.steps


PRESETS = {
    "published": InitializationConfig("published"),
    "quick": InitializationConfig(
        "quick",
        yaws=12,
        size=384,
        splats=80_000,
        fit=StaticFitConfig(steps=240, densification=Densification(steps=(120,), prune_steps=(200,), most=100_000)),
    ),
}


@dataclass(frozen=True)
class Initialized:
    """A rigged start."""

    avatar: SplatAvatar
    notes: tuple[str, ...]
    """What the person should know, one sentence each."""


def initialize(
    source: Source,
    kind: str,
    config: InitializationConfig,
    journal: Journal,
    *,
    detector: LandmarkDetector | None = None,
    parser: Parser | None = None,
    device: torch.device | None = None,
    fit: HeadFitter = fit_head,
) -> Initialized:
    """Rig a static head: ``source`` on a head model of ``kind`` (``anny``, ``flame``, ``smplx``).

    Args:
        detector, parser: of landmarks and of parts, for sources that know neither; without them the head is fitted to
            the surface alone, and parts are told by where they lie on it.
        device: where the splats are optimised; everything before runs on the CPU.
        fit: lays the head over the source.

    Raises:
        Interrupted: the journal asked to stop.
        UserError: the source cannot be used, or there is no such head model.
    """
    views = _views(source, config, journal)
    surface = _surface(source, journal)
    head = fit(kind, _landmarks(source, views, detector), views.cameras, surface, None)
    surface = _with_parts(surface, source, views, parser, head)
    portrait = _in_metres(views, surface, head.to_source)
    start, held = _start(head, portrait, config)
    for note in head.notes:
        journal.note(note)
    place = device or torch.device("cpu")
    vertices = _posed(start.rig, head)
    avatar = fit_to_views(
        start.to(place), vertices.to(place), portrait.views, held.to(place), config.fit, config.seed,
        source.orbit.extent / head.to_source.scale, journal,
    )  # fmt: skip
    return Initialized(avatar.cpu(), head.notes)


@dataclass(frozen=True)
class _Portrait:
    """The source in the rig's metres."""

    views: Views
    surface: Surface


def cameras_of(source: Source, config: InitializationConfig) -> list[Camera]:
    """All views, pitch by pitch."""
    polars = [float(torch.arccos(torch.tensor(1 - 2 * pitch / 180)).rad2deg()) for pitch in config.pitches]
    yaws = [360 * number / config.yaws for number in range(config.yaws)]
    return [source.orbit.camera(yaw, polar, config.size) for polar in polars for yaw in yaws]


def _views(source: Source, config: InitializationConfig, journal: Journal) -> Views:
    """Pictures from all round, kept pitch by pitch."""
    cameras = cameras_of(source, config)
    pictures = []
    for first in range(0, len(cameras), config.yaws):
        row = cameras[first : first + config.yaws]
        pictures.append(kept(journal, f"views_{first // config.yaws}", partial(_look, source, row))["pictures"])
    return Views(tuple(cameras), torch.cat(pictures))


def _look(source: Source, cameras: Sequence[Camera]) -> dict[str, Tensor]:
    return {"pictures": source.look(cameras).pictures}


def _surface(source: Source, journal: Journal) -> Surface:
    def made() -> dict[str, Tensor]:
        return {name: value for name, value in vars(source.surface()).items() if value is not None}

    return Surface(**kept(journal, "surface", made))


def _landmarks(source: Source, views: Views, detector: LandmarkDetector | None) -> Observed | None:
    """In all views, with no confidence in those from behind; None where nobody can tell."""
    known = source.landmarks(views.cameras)
    if known is not None or detector is None:
        return known
    return detector(_over_white(views))


def _with_parts(surface: Surface, source: Source, views: Views, parser: Parser | None, head: HeadFit) -> Surface:
    if surface.parts is not None:
        return surface
    labels = source.label(views.cameras)
    if labels is None and parser is not None:
        labels = parser(_over_white(views))
    return vote(surface, views.cameras, labels)


def _over_white(views: Views) -> Tensor:
    """(C, H, W, 3) uint8."""
    return (views.over(torch.ones(3)).movedim(1, -1) * 255 + 0.5).to(torch.uint8)


def _in_metres(views: Views, surface: Surface, to_source: Similarity) -> _Portrait:
    cameras = [to_source.camera_of_rig(camera) for camera in views.cameras]
    return _Portrait(views.seen_by(cameras), replace(surface, vertices=to_source.to_rig(surface.vertices)))


@torch.no_grad()
def _start(head: HeadFit, portrait: _Portrait, config: InitializationConfig) -> tuple[SplatAvatar, Tensor]:
    """The splats before any optimisation, and (F,) the triangles whose splats are to stay as they are."""
    rigged = Head(head.rig, head.template_points)
    coat = body(rigged)
    vertices = _posed(head.rig, head)
    splats = coat.gaussians(vertices)
    normals = _normals(coat, vertices)
    own = Occluder(vertices, head.rig.faces[~_hidden(head.rig)], SKIN_TOLERANCE)
    outer = Occluder(portrait.surface.vertices, portrait.surface.faces, SURFACE_TOLERANCE)
    seen = seen_colors(splats.means, normals, portrait.views, (own, outer))
    bound = Bound.of(coat, painted(coat, seen))
    points = sample_beside(
        portrait.surface, splats.means, config.splats - len(bound.face), generator(config.seed, "initialization")
    )
    shown = seen_colors(points.position, points.normal, portrait.views, (outer,))
    kept_rows = shown.weight > SEEN
    points, colors = points.select(kept_rows), shown.colors[kept_rows]
    rig, on_cage = with_cage(rigged, points)
    bound = bound.joined(hang(rig, _posed(rig, head), points, colors, on_cage))
    avatar = SplatAvatar.from_parts(rig, **vars(bound))
    return avatar, _never_seen(rig, bound, seen)


def _never_seen(rig: Rig, bound: Bound, seen: Seen) -> Tensor:
    """(F,) bool: triangles that have splats of the body, none of which any picture shows."""
    faces = bound.face.long()[: len(seen.weight)]
    count = torch.zeros(len(rig.faces)).index_add_(0, faces, torch.ones(len(faces)))
    shown = torch.zeros(len(rig.faces)).index_add_(0, faces, (seen.weight > 0).float())
    return (count > 0) & (shown == 0)


def _posed(rig: Rig, head: HeadFit) -> Tensor:
    """(V, 3) in the pose that the portrait holds; a cage that was added follows the joints."""
    return rig.pose(head.expression, head.rotations)[0]


def _normals(avatar: SplatAvatar, vertices: Tensor) -> Tensor:
    """(N, 3) of the triangles that the splats lie on, outwards."""
    corners = vertices[avatar.rig.faces[avatar.face.long()]]
    edges = corners[:, 1:] - corners[:, :1]
    return torch.nn.functional.normalize(torch.linalg.cross(edges[:, 0], edges[:, 1]), dim=1)


def _hidden(rig: Rig) -> Tensor:
    """(F,) bool: triangles that hide nothing."""
    names = [name for name in (*UNSEEN, "lashes_left", "lashes_right") if name in rig.regions]
    masks = [rig.regions[name] for name in names]
    return torch.stack(masks).any(0) if masks else torch.zeros(len(rig.faces), dtype=torch.bool)
