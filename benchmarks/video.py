"""A talking head to MP4 at 512², posing and H.264 included; the peer is x264 alone on the drawn frames."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import torch

from benchmarks.figure import Figure
from benchmarks.heads import head
from pipeline.animate import AnimationSettings, animate_to_video
from pipeline.motion import load_motion, retarget
from pipeline.rendering.layouts import make_shots
from pipeline.rendering.video import Picture, render_frames

CLIP = Path(__file__).parents[1] / "examples" / "motions" / "talk.npz"
BUDGETS = {"short hair": 30.0, "bald": 30.0, "afro": 30.0, "long hair": 20.0}
PEER = "imageio-ffmpeg, encoding alone"
SIDE = 512
REPEATS = 3


def run() -> list[Figure]:
    """Frames per second, the best of three."""
    motion = load_motion([CLIP])
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "talk.mp4"
        for kind, budget in BUDGETS.items():
            avatar = head(kind)
            settings = AnimationSettings(SIDE, SIDE)
            ours = max(animate_to_video(avatar, motion, target, settings).fps for _ in range(REPEATS))
            driven = retarget(motion, avatar.rig)
            with torch.no_grad():
                shots = make_shots("single", avatar.rig, SIDE, SIDE, len(motion), motion.fps)
                frames = list(render_frames(avatar, driven.expression, driven.rotations, shots))
            peer = max(_encode_alone(frames, motion.fps, target) for _ in range(REPEATS))
            name = f"{kind}, {len(avatar.face):,} splats, to MP4"
            figures.append(
                Figure(name, ours, "fps", budget, "imageio-ffmpeg, encoding alone", peer, more_is_better=True)
            )
    return figures


def _encode_alone(frames: list[Picture], fps: float, target: Path) -> float:
    """Frames per second of x264 veryfast through imageio-ffmpeg's own writer."""
    started = time.perf_counter()
    writer = imageio_ffmpeg.write_frames(
        str(target), (SIDE, SIDE), fps=fps, codec="libx264", output_params=["-preset", "veryfast"]
    )
    writer.send(None)
    for frame in frames:
        writer.send(frame.tobytes())
    writer.close()
    return len(frames) / (time.perf_counter() - started)
