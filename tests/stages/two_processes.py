"""Run by torchrun: a short refinement in as many processes as there are, each of which writes what it came to.

Arguments: the folder of the avatar, and the files' name before their process's number. The first process stops on the
way, which all must notice, and then all go on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.stages.journal import Interrupted, Journal
from pipeline.stages.refinement import refine
from pipeline.stages.training import attributes
from tests.stages.small import distilling, editing, small_config, toy_guidance


class Stopping(Journal):
    """Keeps targets in a folder, and stops after the first step towards them."""

    def __init__(self, folder: Path) -> None:
        self.place, self.left = folder, None

    def folder(self, phase):
        return self.place

    def resume(self, phases):
        return self.left

    def step(self, progress, avatar, state):
        if progress.phase == "appearance" and self.left is None:
            self.left = (progress.phase, state())
            raise Interrupted("enough")


class Unasked(Journal):
    """Of a process that is not the first."""

    def folder(self, phase):
        raise AssertionError

    note = step = pause = resume = folder


def refined(avatar: SplatAvatar, accelerator: Accelerator, journal: Journal) -> dict[str, Tensor]:
    """The splats that a distillation of three views a step and an edit of two come to."""
    config = small_config(distilling(steps=3), editing(steps=2, views=2))
    return attributes(refine(avatar, toy_guidance(avatar), config, accelerator, journal))


def main(folder: str, name: str) -> None:
    torch.set_num_threads(1)
    avatar = SplatAvatar.from_pretrained(folder)
    accelerator = Accelerator(cpu=True)
    journal = Stopping(Path(f"{name}-targets")) if accelerator.is_main_process else Unasked()
    try:
        refined(avatar, accelerator, journal)
    except Interrupted:
        save_file(refined(avatar, accelerator, journal), Path(f"{name}-{accelerator.process_index}"))
        accelerator.end_training()
    else:
        raise SystemExit("a process did not notice that the first has stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
