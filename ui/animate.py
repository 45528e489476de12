"""Tab "Animate": a motion moves the head, live in the viewer, as a video, and as a file for other programs."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.animate import AnimationSettings
from pipeline.errors import UserError
from pipeline.files import zip_folder
from pipeline.heads.rig import Rig
from pipeline.inspection import motion_lines
from pipeline.motion import Motion, retarget
from pipeline.motion.edits import apply, parts
from pipeline.motion.exports import save_motion
from pipeline.rendering.layouts import make_shots
from pipeline.rendering.video import parse_background
from ui.gpu import VideoStep, make_video
from ui.making import viewer_glb
from ui.motion_plot import plot
from ui.motions import MotionRequest, Shelf
from ui.sentences import capitalised, plain
from ui.workshop import Workshop
from viewer.clips import write_clip

LONGEST_SECONDS = 120
"""Videos on the page end here, so that nobody holds the machine for hours."""
MOST_PNG_MEGAPIXELS = 400
"""Transparent frames on the page, all together: about as many megabytes of PNG."""
CLIPS_KEPT = 4
"""Of an avatar: every edit makes a new one, and the viewer has long fetched the older."""


@dataclass(frozen=True)
class Played:
    """What the page shows of a motion."""

    shown: dict[str, str | None]
    """The viewer's value."""
    notes: str = ""
    """Markdown: what could not be carried over. What was assumed stands beside the choices of `inspect_files`."""
    plot: str = ""
    """HTML of the channels over time."""


def play(workshop: Workshop, shelf: Shelf, avatar_id: str, request: MotionRequest) -> Played:
    """Bring a motion to a head; without one the head rests.

    Raises `UserError` for an unknown id or a motion that cannot be used.
    """
    avatar, folder = workshop.avatar(avatar_id), workshop.folder(avatar_id)
    glb = str(viewer_glb(folder))
    if request.is_empty:
        return Played({"avatar": glb})
    clip = shelf.edited(request, avatar.rig, folder)
    driven = retarget(clip, avatar.rig)
    path = folder / f"{secrets.token_hex(8)}.clip"
    write_clip(driven, avatar.rig, clip.fps, path)
    _keep_last(folder)
    assumed = {made.sentence for made in clip.assumptions}
    told = [note for note in driven.notes if note not in assumed]
    shown = {"avatar": glb, "clip": str(path), "audio": str(clip.audio) if clip.audio else None}
    return Played(shown, notes_text(told), plot(driven, avatar.rig, clip.fps))


def inspect_files(shelf: Shelf, request: MotionRequest) -> dict[str, Any]:
    """What uploaded files hold: format, length, lines for people, notes, and every choice that may be set by hand.

    Raises `UserError` for files that cannot be used.
    """
    if not request.files:
        raise UserError("no files were given; upload the files of one clip")
    clip = shelf.motion(request, None)
    return {
        "format": clip.format,
        "frames": len(clip),
        "fps": clip.fps,
        "seconds": clip.duration,
        "basis": clip.basis,
        "lines": [line for line in motion_lines(clip)[1:] if not line.startswith(("choice:", "note:"))],
        "notes": list(clip.notes),
        "choices": [asdict(made) for made in clip.assumptions],
    }


def save(
    workshop: Workshop, shelf: Shelf, avatar_id: str, request: MotionRequest, kind: str
) -> tuple[Path, tuple[str, ...]]:
    """The edited motion as a file of a ``kind`` that `save_motion` knows, and what that file cannot say.

    A clip that is cut into parts, none of which is chosen, gives a zip of all. Raises `UserError`.
    """
    avatar, folder = workshop.avatar(avatar_id), workshop.folder(avatar_id)
    place = folder / secrets.token_hex(8)
    clip, edits = shelf.motion(request, folder), parts(request.edits)
    saved = [
        save_motion(
            apply(clip, part, avatar.rig, folder),
            kind,
            place / f"part{number + 1}" if len(edits) > 1 else place,
            avatar.rig,
        )
        for number, part in enumerate(edits)
    ]
    notes = tuple(dict.fromkeys(note for _, told in saved for note in told))
    if len(saved) == 1:
        return saved[0][0], notes
    packed = place / "all"
    packed.mkdir()
    for number, (path, _) in enumerate(saved):
        path.rename(packed / f"{path.stem}_{number + 1}{path.suffix}")
    zip_folder(packed, place / "motion_parts.zip")
    return place / "motion_parts.zip", notes


def notes_text(notes: Sequence[str]) -> str:
    """Markdown list of notes, each a sentence."""
    return "\n".join(f"- {plain(capitalised(note))}" for note in notes)


def export_video(
    workshop: Workshop, shelf: Shelf, avatar_id: str, request: MotionRequest, settings: AnimationSettings
) -> Generator[tuple[Path | None, VideoStep]]:
    """Make the video; yields (None, progress) while it grows and (path, result) at the end.

    A transparent background gives a zip of PNG frames. Closing the iterator cancels the export, which leaves nothing
    behind. Raises `UserError` for a motion or settings that cannot be used.
    """
    avatar, folder = workshop.avatar(avatar_id), workshop.folder(avatar_id)
    clip = shelf.edited(request, avatar.rig, folder)
    frames = parse_background(settings.background) is None
    _check_amount(clip, avatar.rig, settings, frames)
    target = folder / f"{secrets.token_hex(8)}{'-frames' if frames else '.mp4'}"
    with closing(make_video(avatar, folder / "avatar", clip, target, settings)) as steps:
        for step in steps:
            if step.result is None:
                yield None, step
    if frames:
        packed = target.with_suffix(".zip")
        zip_folder(target, packed)
        shutil.rmtree(target)
        target = packed
    yield target, step


def _check_amount(clip: Motion, rig: Rig, settings: AnimationSettings, frames: bool) -> None:
    """Raise `UserError` for more than the page makes for one visitor; the command line has no such limits."""
    if clip.duration > LONGEST_SECONDS:
        raise UserError(
            f"the clip lasts {clip.duration:.0f} seconds; the page makes videos of up to {LONGEST_SECONDS} seconds: "
            "trim it under Edit"
        )
    if not frames:
        return
    fps = settings.fps or clip.fps
    count = round(clip.duration * fps)
    width, height = make_shots(settings.layout, rig, settings.width, settings.height, count, fps).picture_size
    megapixels = width * height * count / 1e6
    if megapixels > MOST_PNG_MEGAPIXELS:
        raise UserError(
            f"{count} transparent frames of {width} × {height} are {megapixels:,.0f} megapixels; the page makes up to "
            f"{MOST_PNG_MEGAPIXELS}: choose fewer pixels, a lower frame rate or a shorter clip"
        )


def _keep_last(folder: Path) -> None:
    """Delete all but the newest clips of an avatar."""
    clips = sorted(folder.glob("*.clip"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in clips[CLIPS_KEPT:]:
        path.unlink(missing_ok=True)
