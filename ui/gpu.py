"""Videos: drawn on a GPU where one would be used, otherwise on this machine's CPU.

On a ZeroGPU Space a function under `spaces.GPU` runs in a forked process. What goes in and what comes out is pickled,
nothing that it leaves in memory comes back, and an exception arrives without its sentence. So a job holds paths and
plain values, and what went wrong is yielded like everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr
import spaces

from pipeline.animate import AnimationResult, AnimationSettings, animate_to_video
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder
from pipeline.errors import UserError
from pipeline.motion import Motion, load_motion, write_motion
from pipeline.rendering.cuda import why_no_gpu
from pipeline.rendering.layouts import make_shots
from pipeline.rendering.video import parse_background

DEVICE = "cuda"
REPORT_EVERY = 0.25
"""Seconds between two progress reports."""
CPU_SECONDS_PER_VIEW = 0.013
"""Posing and sorting 100k splats for one view of one frame. This and the next on two cores of an x86-64 server, long
hair, by benchmarks/video.py."""
CPU_SECONDS_PER_MEGAPIXEL = {"video": 0.02, "frames": 0.12}
"""Drawing and H.264, or drawing and PNG."""
GPU_START = 10.0
"""Seconds until a lent GPU draws: the process, CUDA, the splats' way there. Work that a CPU does sooner stays here."""
GPU_MARGIN = 1.5
"""No lent GPU could be measured. It is asked for as long as the CPU would take, half as long again, and the start: too
long costs a later place in the queue, too short loses the video."""
GPU_LONGEST = 110
"""Seconds; a visitor without an account has 120 a day. What needs longer stays on the CPU, which has no such limit."""


@dataclass(frozen=True)
class VideoJob:
    """Everything that another process needs to make a video."""

    avatar: Path
    """The avatar folder."""
    clip: Path
    """The motion, as `write_motion` leaves it."""
    audio: Path | None
    target: Path
    settings: AnimationSettings
    cpu_seconds: float
    """What two cores would need."""


@dataclass(frozen=True)
class VideoStep:
    """How far a video has come."""

    done: int = 0
    total: int = 0
    """Frames; 0 while the clip is being read."""
    result: AnimationResult | None = None
    """Of the last step."""
    problem: str = ""
    """The sentence of a `UserError`, in place of the result."""


def make_video(
    avatar: SplatAvatar, folder: Path, clip: Motion, target: Path, settings: AnimationSettings
) -> Generator[VideoStep]:
    """Draw ``clip`` on ``avatar``, whose avatar folder is ``folder``; the last step holds the result.

    Closing the iterator cancels the work, which leaves nothing behind. Raises `UserError` as `animate_to_video` does.
    """
    seconds = cpu_seconds(avatar, clip, settings)
    if worth_a_gpu(seconds):
        try:
            yield from _lent(folder, clip, target, settings, seconds)
            return
        except gr.Error as error:  # the quota is used up, no GPU is free, or the time ran out
            gr.Warning(f"{error.message.removesuffix('.')}. The video is drawn on the CPU instead.")
    yield from _draw(avatar, clip, target, settings, "cpu")


def cpu_seconds(avatar: SplatAvatar, clip: Motion, settings: AnimationSettings) -> float:
    """How long two cores need for a video, roughly."""
    fps = settings.fps or clip.fps
    frames = round(clip.duration * fps)
    shots = make_shots(settings.layout, avatar.rig, settings.width, settings.height, frames, fps)
    kind = "video" if parse_background(settings.background) else "frames"
    width, height = shots.picture_size
    per_frame = len(shots.views) * CPU_SECONDS_PER_VIEW + width * height / 1e6 * CPU_SECONDS_PER_MEGAPIXEL[kind]
    return frames * per_frame


def worth_a_gpu(seconds: float) -> bool:
    """Whether work of that many CPU seconds goes to a GPU: one that would be used, and has the time."""
    return seconds > GPU_START and _lease(seconds) <= GPU_LONGEST and not why_no_gpu()


def lease_of(job: VideoJob) -> int:
    """Seconds for which a GPU is asked."""
    return _lease(job.cpu_seconds)


def _lease(seconds: float) -> int:
    return round(GPU_START + GPU_MARGIN * seconds)


def _lent(
    folder: Path, clip: Motion, target: Path, settings: AnimationSettings, seconds: float
) -> Generator[VideoStep]:
    moved = target.with_name(f"{target.stem}-motion.npz")
    write_motion(clip, moved)
    try:
        with closing(draw_on_gpu(VideoJob(folder, moved, clip.audio, target, settings, seconds))) as steps:
            for step in steps:
                if step.problem:
                    raise UserError(step.problem)
                yield step
    finally:
        moved.unlink(missing_ok=True)


@spaces.GPU(duration=lease_of)
def draw_on_gpu(job: VideoJob) -> Generator[VideoStep]:
    """`make_video` for the process that is lent a GPU; never raises `UserError`, see `VideoStep.problem`."""
    try:
        avatar = load_avatar_folder(job.avatar)
        clip = replace(load_motion([job.clip]), audio=job.audio)
        yield from _draw(avatar, clip, job.target, job.settings, DEVICE)
    except UserError as error:
        yield VideoStep(problem=str(error))


def _draw(
    avatar: SplatAvatar, clip: Motion, target: Path, settings: AnimationSettings, device: str
) -> Generator[VideoStep]:
    at, stop = VideoStep(), threading.Event()

    def count(done: int, total: int) -> None:
        nonlocal at
        at = VideoStep(done, total)

    with ThreadPoolExecutor(1, thread_name_prefix="export") as maker:
        making = maker.submit(
            animate_to_video, avatar, clip, target, settings, progress=count, cancel=stop.is_set, device=device
        )
        try:
            while not wait([making], REPORT_EVERY).done:
                yield at
        finally:
            stop.set()
    yield replace(at, result=making.result())
