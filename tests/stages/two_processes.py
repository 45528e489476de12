"""Run by torchrun: a short refinement in as many processes as there are, each of which writes what it came to.

Arguments: the folder of the avatar, and the files' name before their process's number. A second refinement is stopped
by the first process alone, and all must notice.
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
    def step(self, progress, avatar, state):
        raise Interrupted("enough")


def refined(avatar: SplatAvatar, accelerator: Accelerator, journal: Journal) -> dict[str, Tensor]:
    """The splats that a distillation of three views a step and an edit of two come to."""
    config = small_config(distilling(steps=3), editing(steps=2, views=2))
    return attributes(refine(avatar, toy_guidance(avatar), config, accelerator, journal))


def main(folder: str, name: str) -> None:
    torch.set_num_threads(1)
    avatar = SplatAvatar.from_pretrained(folder)
    accelerator = Accelerator(cpu=True)
    save_file(refined(avatar, accelerator, Journal()), Path(f"{name}-{accelerator.process_index}"))
    try:
        refined(avatar, accelerator, Stopping())
    except Interrupted:
        accelerator.end_training()
    else:
        raise SystemExit("a process did not notice that the first has stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
