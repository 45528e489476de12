"""`evaluate`: looks at an avatar in many poses and through a clip, and measures what it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, stored_prompt
from pipeline.errors import UserError
from pipeline.evaluation.clip_score import MODELS, ClipScore
from pipeline.evaluation.expressions import Expression, expressions
from pipeline.evaluation.figures import AvatarFigures, PoseFigures
from pipeline.evaluation.holes import find_gaps, find_holes
from pipeline.evaluation.outline import compare_outlines
from pipeline.evaluation.overlays import Views, draw_over
from pipeline.evaluation.registration import compare_places
from pipeline.evaluation.through_clip import Worst, look_through_clip
from pipeline.evaluation.views import face_camera, pixel_width, view_mesh, view_splats
from pipeline.motion import Motion, retarget
from pipeline.rendering.portrait import Picture, portrait

YAWS = (0.0, 35.0, 75.0)
"""Degrees to the subject's left: the front, a three-quarter view, a profile."""
SMALLEST, LARGEST = 64, 2048
LEAST_FRAMES = 2
SCORED_YAWS = (-45.0, -20.0, 0.0, 20.0, 45.0)
"""Degrees of the portraits at rest that CLIP sees beside frames of the clip."""
NO_CLIP = f"No CLIP score: none of {', '.join(MODELS)} is on this machine; name a folder with --clip."
NO_PROMPT = "No CLIP score: the avatar folder holds no prompt."

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of one avatar, and the pictures that a report chooses from."""

    figures: AvatarFigures
    portrait: Picture
    """(S, S, 3) uint8 at rest."""
    poses: list[Views]
    """One per row of ``figures.poses``."""
    flickering: Worst


def evaluate(
    folder: Path,
    motion: Motion,
    size: int = 512,
    *,
    models: Sequence[ClipScore] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the avatar in ``folder`` in pictures of ``size`` × ``size`` pixels, in every pose and through ``motion``.

    ``models`` give CLIP scores; ``progress`` is called with (pictures done, pictures in all). Raises `UserError` for a
    folder, a size or a clip that cannot be used.
    """
    # 1. Check the inputs
    if not SMALLEST <= size <= LARGEST:
        raise UserError(f"the size is {size}; it must be {SMALLEST} to {LARGEST} pixels")
    if len(motion) < LEAST_FRAMES:
        raise UserError("the clip has one frame; flicker is measured between frames, so it needs two or more")
    avatar, prompt = load_avatar_folder(folder), stored_prompt(folder)
    # 2. Every expression from every side
    report = progress or (lambda done, total: None)
    poses = expressions(avatar.rig)
    stills = len(poses) * len(YAWS)
    total = stills + len(motion)
    rows: list[PoseFigures] = []
    views: list[Views] = []
    for pose in poses:
        for yaw in YAWS:
            figures, pictures = look_at(avatar, pose, yaw, size)
            rows.append(figures)
            views.append(pictures)
            report(len(rows), total)
    # 3. Through the clip
    driven = retarget(motion, avatar.rig)
    clip = look_through_clip(avatar, driven, motion.fps, size, lambda done: report(stills + done, total))
    # 4. Pictures and prompt
    portraits = [portrait(avatar, size, yaw=yaw).numpy() for yaw in SCORED_YAWS]
    scores = {model.name: model.score([*portraits, *clip.samples], prompt) for model in models if prompt}
    notes = list(driven.notes)
    if not scores:
        notes.append(NO_CLIP if prompt else NO_PROMPT)
    figures_of_avatar = AvatarFigures(
        name=folder.resolve().name,
        prompt=prompt,
        splats=len(avatar.face),
        size=size,
        millimetres_per_pixel=1000 * pixel_width(avatar.rig, size),
        poses=rows,
        clip=clip.figures,
        clip_scores=scores,
        notes=notes,
    )
    rest = portraits[SCORED_YAWS.index(0.0)]
    return Evaluation(figures_of_avatar, rest, views, clip.worst)


@torch.no_grad()
def look_at(avatar: SplatAvatar, pose: Expression, yaw: float, size: int) -> tuple[PoseFigures, Views]:
    """One pose from ``yaw`` degrees: its figures and pictures."""
    rig = avatar.rig
    camera = face_camera(rig, size, yaw)
    vertices = rig.pose(pose.expression, pose.rotations)[0]
    mesh = view_mesh(rig, vertices, camera)
    splats = view_splats(avatar, vertices, camera)
    holes, gaps = find_holes(splats.alpha, mesh.inside), find_gaps(mesh, splats, size * pixel_width(rig, size))
    places, errors = compare_places(mesh, splats, rig, vertices, camera)
    figures = PoseFigures(
        expression=pose.name,
        yaw=yaw,
        hole_pixels=holes.pixels,
        hole_share=holes.share,
        largest_hole=holes.largest,
        gap_pixels=gaps.pixels,
        gap_share=gaps.share,
        largest_gap=gaps.largest,
        outline=compare_outlines(mesh, splats),
        places=places,
    )
    return figures, draw_over(mesh, splats, holes.mask, gaps.mask, errors)
