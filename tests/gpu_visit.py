"""One visit to a Space with a lent GPU, as a process of its own: forking is safe where no test has begun a thread.

Prints what happened as JSON; tests/test_gpu.py starts it and judges.
"""

# ruff: noqa: E402 — the fake must be there before ui.gpu asks for the real one

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests import fake_gpu

fake_gpu.install()

import torch

from pipeline.animate import AnimationSettings
from pipeline.errors import UserError
from pipeline.motion import Motion
from tests.motion.making import a_motion
from tests.synthetic import synthetic_avatar
from ui import gpu

SETTINGS = AnimationSettings(64, 64)


def main(place: Path) -> dict[str, Any]:
    """Everything that a visitor may do with a GPU, one after the other."""
    torch.set_num_threads(2)
    torch.rand(1 << 20).sin().sum()  # the parent has used its threads, as a Space has that made a head before
    gpu.DEVICE, gpu.why_no_gpu, gpu.GPU_START, gpu.REPORT_EVERY = "cpu", lambda: "", 0.0, 0.02
    avatar, folder = synthetic_avatar(), place / "avatar"
    avatar.save_pretrained(folder)
    visit = Visit(place, avatar, folder)
    return {
        "decorated": sorted(fake_gpu.DECORATED),
        "made": visit.made(),
        "made again": visit.made(),
        "cancelled": visit.cancelled(),
        "refused": visit.refused(),
        "aborted": visit.aborted(),
        "small": visit.small(),
        "left": sorted(file.name for file in place.iterdir()),
        "leases": fake_gpu.LEASES,
    }


class Visit:
    """What each click leads to."""

    def __init__(self, place: Path, avatar: Any, folder: Path) -> None:
        self.place, self.avatar, self.folder, self.count = place, avatar, folder, 0

    def steps(self, clip: Motion, target: Path | None = None) -> Any:
        self.count += 1
        target = target or self.place / f"video{self.count}.mp4"
        return target, gpu.make_video(self.avatar, self.folder, clip, target, SETTINGS)

    def made(self) -> dict[str, Any]:
        target, steps = self.steps(motion(12))
        last = list(steps)[-1]
        return {"frames": last.result.frames, "done": last.done, "bytes": target.stat().st_size}

    def cancelled(self) -> dict[str, Any]:
        target, steps = self.steps(motion(300))
        with closing(steps):
            seen = next(step for step in steps if step.done)
        return {"seen": seen.done, "there": target.exists()}

    def refused(self) -> str:
        _, steps = self.steps(motion(12), self.place / "video.txt")
        try:
            list(steps)
        except UserError as error:
            return str(error)
        return "nothing was refused"

    def aborted(self) -> dict[str, Any]:
        """The process with the GPU meets a defect, or is taken away."""
        whole = gpu.draw_on_gpu
        gpu.draw_on_gpu = fake_gpu.GPU(_taken_away)
        target, steps = self.steps(motion(5))
        last = list(steps)[-1]
        gpu.draw_on_gpu = whole
        return {"frames": last.result.frames, "there": target.exists()}

    def small(self) -> int:
        gpu.GPU_START = 60.0
        before = len(fake_gpu.LEASES)
        list(self.steps(motion(5))[1])
        return len(fake_gpu.LEASES) - before


def _taken_away(job: gpu.VideoJob) -> Any:
    yield gpu.VideoStep(1, 5)
    raise RuntimeError("CUDA error")


def motion(frames: int) -> Motion:
    return a_motion(frames, fps=25.0, expression=torch.zeros(frames, 100))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
