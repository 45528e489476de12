"""`initialize`: from a static head to an avatar that plays every clip (AnimPortrait3D, SIGGRAPH 2025, second stage).

What differs from the published code: splats begin opaque, in the colours of the pictures, on a coat that holds when the
face moves; what no picture shows comes from the procedural prior instead of grey; coverage has a loss of its own; and
as few splats as a browser draws fluently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.geometric_parts import geometric_parts
from pipeline.reconstruction.head_fit import HeadFit, fit_head
from pipeline.reconstruction.multiview import LandmarkDetector, Observed, Parser, Similarity, Source, Surface, Views
from pipeline.reconstruction.normal_refinement import NormalPredictor, NormalRefinement
from pipeline.reconstruction.predicted_normals import refine_by_pictures
from pipeline.reconstruction.voting import vote
from pipeline.stages.config import Densification
from pipeline.stages.first_splats import Portrait, first_splats
from pipeline.stages.journal import Journal
from pipeline.stages.kept import kept
from pipeline.stages.static_fit import Scene, StaticFitConfig, fit_to_views

HeadFitter = Callable[[str, Observed | None, Sequence[Camera], Surface | None, Similarity | None], HeadFit]
"""`fit_head`, or a stand-in that knows the answer."""

FACING = 75.0
"""Degrees to either side of the front from which landmarks are looked for."""


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
    normals: NormalRefinement = field(default_factory=NormalRefinement)
    """How the surface is refined where a network sees normals."""
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
        fit=StaticFitConfig(
            steps=600, densification=Densification(steps=(150, 300, 450), prune_steps=(500,), most=100_000)
        ),
    ),
}


@dataclass(frozen=True)
class Initialized:
    """A rigged start."""

    avatar: SplatAvatar
    head: HeadFit
    """Its rig as it was laid over the source: the pose and place in which the avatar looks like the pictures. Its notes
    are what the person should know."""


def initialize(
    source: Source,
    kind: str,
    config: InitializationConfig,
    journal: Journal,
    *,
    detector: LandmarkDetector | None = None,
    parser: Parser | None = None,
    normals: NormalPredictor | None = None,
    device: torch.device | None = None,
    fit: HeadFitter = fit_head,
) -> Initialized:
    """Rig a static head: ``source`` on a head model of ``kind`` (``anny``, ``flame``, ``smplx``).

    Args:
        detector, parser: of landmarks and of parts, for sources that know neither; without them the head is fitted to
            the surface alone, and parts are told by where they lie on it.
        normals: sees them in pictures, so that the surface is refined by them; without it the surface stays as it is.
        device: where the splats are optimised; everything before runs on the CPU.
        fit: lays the head over the source.

    Raises:
        Interrupted: the journal asked to stop.
        UserError: the source cannot be used, or there is no such head model.
    """
    views = _views(source, config, journal)
    surface = _surface(source, journal)
    if normals is not None:
        surface = refine_by_pictures(surface, views, normals, replace(config.normals, seed=config.seed), journal)
    head = fit(kind, *_landmarks(source, views, detector), surface, None)
    for note in head.notes:
        journal.note(note)
    surface = _with_parts(surface, source, views, parser, head)
    portrait = _in_metres(views, surface, head.to_source)
    start = first_splats(head, portrait, config.splats, config.sh_degree, config.seed)
    scene = Scene(portrait.views, start.vertices, start.held, source.orbit.extent / head.to_source.scale)
    avatar = fit_to_views(start.avatar, scene.to(device or torch.device("cpu")), config.fit, config.seed, journal)
    return Initialized(avatar.cpu(), head)


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


def _landmarks(
    source: Source, views: Views, detector: LandmarkDetector | None
) -> tuple[Observed | None, tuple[Camera, ...]]:
    """Landmarks, None where nobody can tell, and the cameras that they were seen from: those before the face."""
    front = [row for row, camera in enumerate(views.cameras) if _sees_face(camera, source)]
    before = Views(tuple(views.cameras[row] for row in front), views.pictures[front])
    known = source.landmarks(before.cameras)
    if known is None and detector is not None:
        known = detector(_over_white(before))
    return known, before.cameras


def _sees_face(camera: Camera, source: Source) -> bool:
    """Whether it looks from within `FACING` of where the face looks, +Z."""
    x, _, z = (camera.position - source.orbit.centre.to(camera.position)).tolist()
    return abs(math.degrees(math.atan2(x, z))) <= FACING


def _with_parts(surface: Surface, source: Source, views: Views, parser: Parser | None, head: HeadFit) -> Surface:
    """As the source knows them, as its labels or the parser's say, or as they lie on the head."""
    if surface.parts is not None:
        return surface
    labels = source.label(views.cameras)
    if labels is None and parser is not None:
        labels = parser(_over_white(views))
    if labels is None:
        return geometric_parts(surface, head.rig, head.vertices(), head.to_source.scale)
    return vote(surface, views.cameras, labels)


def _over_white(views: Views) -> Tensor:
    """(C, H, W, 3) uint8, made one by one: as numbers of four bytes all of them take gigabytes."""
    white = torch.ones(3)
    pictures = (views.over(white, [row]).movedim(1, -1) for row in range(len(views.cameras)))
    return torch.cat([(picture * 255 + 0.5).to(torch.uint8) for picture in pictures])


def _in_metres(views: Views, surface: Surface, to_source: Similarity) -> Portrait:
    cameras = [to_source.camera_of_rig(camera) for camera in views.cameras]
    return Portrait(views.seen_by(cameras), replace(surface, vertices=to_source.to_rig(surface.vertices)))
