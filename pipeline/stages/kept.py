"""Results of long work that is done once: kept as files of a run, and found again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.files import reading, whole_file
from pipeline.stages.journal import Journal

PLACE = "portrait"
"""Folder of the journal."""


def kept(journal: Journal, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What ``make`` gives, from a file where an earlier attempt left it whole; tensors on the CPU.

    The journal is told ``name`` as what is being done.

    Raises `Interrupted` when the journal asks to stop before it is made; what is made is kept first.
    """
    folder = journal.folder(PLACE)
    if folder is None:
        journal.at(name)
        return _plain(make())
    path = folder / f"{name}.safetensors"
    if path.is_file():
        with suppress(SafetensorError), reading(path):
            return load_file(path)
    journal.pause()
    journal.at(name)
    made = _plain(make())
    with whole_file(path) as partial:
        save_file(made, partial)
    return made


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
