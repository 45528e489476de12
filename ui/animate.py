"""Tab "Animate": a clip moves the head, live in the viewer and as a video."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.animate import AnimationResult, AnimationSettings, animate_to_video
from pipeline.errors import UserError
from pipeline.files import zip_folder
from pipeline.heads.rig import Rig
from pipeline.motion import Motion, load_motion, retarget
from pipeline.rendering.layouts import LAYOUTS, make_shots
from pipeline.rendering.video import parse_background
from ui.sentences import capitalised, plain
from ui.workshop import Workshop
from viewer.clips import write_clip

MOTIONS = Path(__file__).parents[1] / "examples" / "motions"
SIZES = (256, 512, 768, 1024)
FRAME_RATES = (24, 25, 30, 50, 60)
LONGEST_SECONDS = 120
"""Videos on the page end here, so that nobody holds the machine for hours."""
MOST_PNG_MEGAPIXELS = 400
"""Transparent frames on the page, all together: about as many megabytes of PNG."""
BACKGROUNDS = ("grey", "white", "black", "#00b140", "transparent")
REPORT_EVERY = 0.25
"""Seconds between two progress reports."""


def clip_names() -> list[str]:
    """Our own clips."""
    return sorted(path.stem for path in MOTIONS.glob("*.npz"))


def clip_label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def chosen_clip(name: str | None, files: Sequence[str] | None) -> Motion:
    """The uploaded files if there are any, otherwise the clip of that name. Raises `UserError`."""
    if files:
        return load_motion([Path(file) for file in files])
    if name is None:
        raise UserError("no clip is chosen; choose one of ours or upload your own motion")
    if name not in clip_names():
        raise UserError(f"there is no clip {name!r}; choose from {', '.join(clip_names())}, or upload your own")
    return load_motion([MOTIONS / f"{name}.npz"])


def play(
    workshop: Workshop, avatar_id: str, name: str | None, files: Sequence[str] | None
) -> tuple[dict[str, str | None], str]:
    """What the viewer shows while the clip plays, and what could not be carried over; without a clip the head rests.

    Raises `UserError` for an unknown id or a clip that cannot be used.
    """
    avatar, folder = workshop.avatar(avatar_id), workshop.folder(avatar_id)
    glb = str(folder / "avatar" / "avatar.glb")
    if name is None and not files:
        return {"avatar": glb}, ""
    clip = chosen_clip(name, files)
    driven = retarget(clip, avatar.rig)
    path = folder / f"{secrets.token_hex(8)}.clip"
    write_clip(driven, avatar.rig, clip.fps, path)
    audio = str(clip.audio) if clip.audio else None
    shown = {"avatar": glb, "clip": str(path), "audio": audio}
    return shown, notes_text(driven.notes)


def notes_text(notes: Sequence[str]) -> str:
    """Markdown list of notes, each a sentence."""
    return "\n".join(f"- {plain(capitalised(note))}" for note in notes)


@dataclass
class Export:
    """How far a video has come."""

    done: int = 0
    total: int = 0
    result: AnimationResult | None = None

    def count(self, done: int, total: int) -> None:
        self.done, self.total = done, total


def export_video(
    workshop: Workshop,
    avatar_id: str,
    name: str | None,
    files: Sequence[str] | None,
    settings: AnimationSettings,
) -> Generator[tuple[Path | None, Export]]:
    """Make the video; yields (None, progress) while it grows and (path, result) at the end.

    A transparent background gives a zip of PNG frames. Closing the iterator cancels the export, which leaves nothing
    behind. Raises `UserError` for a clip or settings that cannot be used.
    """
    avatar, folder = workshop.avatar(avatar_id), workshop.folder(avatar_id)
    clip = chosen_clip(name, files)
    frames = parse_background(settings.background) is None
    _check_amount(clip, avatar.rig, settings, frames)
    target = folder / f"{secrets.token_hex(8)}{'-frames' if frames else '.mp4'}"
    export, stop = Export(), threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="export") as maker:
        making = maker.submit(
            animate_to_video, avatar, clip, target, settings, progress=export.count, cancel=stop.is_set
        )
        try:
            while not wait([making], REPORT_EVERY).done:
                yield None, export
        finally:
            stop.set()
    export.result = making.result()
    if frames:
        packed = target.with_suffix(".zip")
        zip_folder(target, packed)
        shutil.rmtree(target)
        target = packed
    yield target, export


def _check_amount(clip: Motion, rig: Rig, settings: AnimationSettings, frames: bool) -> None:
    """Raise `UserError` for more than the page makes for one visitor; the command line has no such limits."""
    if clip.duration > LONGEST_SECONDS:
        raise UserError(
            f"the clip lasts {clip.duration:.0f} seconds; the page makes videos of up to {LONGEST_SECONDS} seconds"
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


def animate_tab() -> dict[str, Any]:
    """The tab's parts, by name."""
    choices = [(clip_label(name), name) for name in clip_names()]
    clip = gr.Radio(choices, value=None, label="Play a clip", elem_id="clip")
    files = gr.File(label="Or your own motion", file_count="multiple", height=116, elem_id="motion-files")
    gr.Markdown("An .npz clip, or AnimPortrait3D's expression and pose .npy; a .wav adds sound.", elem_id="motion-help")
    notes = gr.Markdown(label="notes", elem_id="motion-notes")
    with gr.Column(elem_id="video-settings"):
        layout = gr.Radio(
            [(clip_label(name), name) for name in LAYOUTS], value="single", label="Make a video", elem_id="layout"
        )
        with gr.Row():
            size = gr.Dropdown([(f"{size} px", size) for size in SIZES], value=512, label="Size", min_width=80)
            fps = gr.Dropdown([("Auto", 0), *FRAME_RATES], value=0, label="Frames / s", min_width=80)
            background = gr.Dropdown(
                list(BACKGROUNDS), value="grey", label="Background", allow_custom_value=True, min_width=80
            )
        export = gr.Button("Export MP4", variant="primary", elem_id="export")
        cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
    status = gr.Markdown(label="line", elem_id="export-status")
    video = gr.Video(label="video file", show_label=False, interactive=False, visible=False, elem_id="video")
    video_file = gr.DownloadButton("Download", visible=False, elem_id="video-file")
    return {
        "clip": clip, "files": files, "notes": notes, "size": size, "fps": fps, "layout": layout,
        "background": background, "export": export, "cancel": cancel, "status": status, "video": video,
        "video_file": video_file,
    }  # fmt: skip
