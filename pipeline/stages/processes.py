"""Several processes that refine one avatar together: each draws some views, and all take the same step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from pipeline.stages.journal import Interrupted

Answer = TypeVar("Answer")


def own_share(count: int, accelerator: Accelerator) -> range:
    """Which of ``count`` things this process does."""
    return range(accelerator.process_index, count, accelerator.num_processes)


def summed(tensors: Sequence[Tensor], accelerator: Accelerator) -> list[Tensor]:
    """The sums of tensors over all processes, in one message; the same bits in each process."""
    if accelerator.num_processes == 1:
        return list(tensors)
    flat = accelerator.reduce(torch.cat([tensor.flatten().float() for tensor in tensors]), "sum")
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]


def main_decides(call: Callable[[], None], accelerator: Accelerator) -> None:
    """Call something in the first process only; when it raises there, the others stop too.

    Raises what the call raises in the first process, `Interrupted` in the others.
    """
    stops = True
    try:
        if accelerator.is_main_process:
            call()
        stops = False
    finally:
        if accelerator.num_processes > 1:
            stops = bool(accelerator.reduce(torch.tensor([int(stops)], device=accelerator.device), "sum").item())
    if stops:
        raise Interrupted("the first process has stopped")


def main_answers(call: Callable[[], Answer], accelerator: Accelerator) -> Answer:
    """What a call gives in the first process, told to all; the others never call it.

    Raises as `main_decides` does.
    """
    said: list[Any] = [None]

    def ask() -> None:
        said[0] = call()

    main_decides(ask, accelerator)
    if accelerator.num_processes > 1:
        broadcast_object_list(said)
    return said[0]
