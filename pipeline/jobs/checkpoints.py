"""Checkpoints: all that the next step depends on, one whole safetensors file each; the newest two are kept.

The tensors are the file's tensors; everything else, and a checksum, is JSON in the file's metadata.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline.files import PARTIAL_SUFFIX, reading, whole_file, writing
from pipeline.stages.journal import State

KEPT = 2
NAME = re.compile(r"([0-9]{8})\.safetensors")
TENSOR = "tensor:"
"""Begins the string that stands for a tensor."""
TEXT = "text:"
"""Begins the string that stands for a string."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read."""

    done: int
    """Steps of all phases."""
    phase: str
    state: State


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, and then remove all but the newest two.

    Raises `UserError` where it cannot be written; then those that are there stay.
    """
    tensors: dict[str, Tensor] = {}
    rest = _without_tensors(checkpoint.state, "state", tensors)
    described = {"done": checkpoint.done, "phase": checkpoint.phase, "state": rest, "checksum": _checksum(tensors)}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for abandoned in folder.glob(f".*{PARTIAL_SUFFIX}"):  # of a worker that was killed while writing
            abandoned.unlink(missing_ok=True)
    path = folder / f"{checkpoint.done:08d}.safetensors"
    with whole_file(path) as partial:
        try:
            save_file(tensors, partial, metadata={"checkpoint": json.dumps(described)})
        except SafetensorError as error:  # its words for a full disk
            raise OSError(str(error)) from error
    for old in _files(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path, device: str | torch.device = "cpu") -> tuple[Checkpoint | None, list[Path]]:
    """The newest checkpoint that is whole, and those newer ones that are damaged. None where there is none.

    Raises `UserError` for one that the system does not let read: it may be whole.
    """
    damaged: list[Path] = []
    for path in _files(folder):
        with reading(path):
            try:
                return _load(path, device), damaged
            except (ValueError, KeyError, TypeError, SafetensorError):
                damaged.append(path)
    return None, damaged


def oldest_done(folder: Path) -> int:
    """Steps of all phases that were done at the oldest checkpoint; 0 where there is none."""
    return min((int(path.stem) for path in _files(folder)), default=0)


def _files(folder: Path) -> list[Path]:
    """The newest first."""
    found = folder.glob("*.safetensors") if folder.is_dir() else ()
    return sorted((path for path in found if NAME.fullmatch(path.name)), reverse=True)


def _load(path: Path, device: str | torch.device) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        described = json.loads(file.metadata()["checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    if _checksum(tensors) != described["checksum"]:
        raise ValueError("its tensors are not those that were written")
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    return Checkpoint(described["done"], described["phase"], _with_tensors(described["state"], tensors))


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` with strings in the place of its tensors, which are put into ``tensors``.

    Raises `TypeError` for what a checkpoint cannot hold.
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return TENSOR + name
    if isinstance(value, str):
        return TEXT + value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{name} has the key {wrong[0]!r}; a checkpoint has strings as keys")
        return {key: _without_tensors(one, f"{name}.{key}", tensors) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(one, f"{name}.{index}", tensors) for index, one in enumerate(value)]
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint cannot hold")


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, str):
        return value[len(TEXT) :] if value.startswith(TEXT) else tensors[value[len(TENSOR) :]]
    if isinstance(value, dict):
        return {key: _with_tensors(one, tensors) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_tensors(one, tensors) for one in value]
    return value


def _checksum(tensors: dict[str, Tensor]) -> int:
    checksum = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        checksum = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), checksum)
        checksum = zlib.crc32(tensor.contiguous().view(-1).view(torch.uint8).numpy().data, checksum)
    return checksum
