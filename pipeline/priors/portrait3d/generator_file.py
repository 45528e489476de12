"""Published weights of Portrait3D: the decoder alone (``decoder_512.ckpt``) or all of ``model_512.pkl``.

Both go through the allow-list reader in a process of its own, once per file content; what it gives is kept as plain
arrays beside the other converted models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.files import reading, whole_folder
from pipeline.heads.model_cache import cache_folder
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.generator import PUBLISHED, GeneratorSize, Portrait3DGenerator, Report, load_state
from pipeline.safe_load import convert_network

VERSION = 1
"""Of what is kept; files of another version are read again."""
WEIGHTS = "weights.npz"


def read_painter(path: Path) -> Painter:
    """The decoder in a ``.ckpt`` of the decoder or in a ``.pkl`` of the generator, on the CPU, without gradients.

    Raises `UserError` for a file that is refused, damaged, or holds no decoder of these shapes.
    """
    painter = Painter()
    weights = _weights(path, painter.state_dict().keys())
    _check(weights, painter, Path(path).name)
    painter.load_state_dict(weights)
    return painter.eval().requires_grad_(False)


def read_generator(path: Path, size: GeneratorSize = PUBLISHED) -> Portrait3DGenerator:
    """The generator in a ``.pkl``, on the CPU, without gradients.

    Raises `UserError` for a file that is refused, damaged, or holds another network.
    """
    generator = Portrait3DGenerator(size)
    _load(generator, path)
    return generator.eval().requires_grad_(False)


def generator_report(path: Path) -> Report:
    """What a generator of the published size makes of a ``.pkl``. Raises `UserError` as `read_generator` does."""
    return _load(Portrait3DGenerator(), path)


def _load(generator: Portrait3DGenerator, path: Path) -> Report:
    try:
        return load_state(generator, _weights(path))
    except UserError as error:
        raise UserError(f"{Path(path).name} cannot be used: {error}") from error


def _weights(path: Path, names: Collection[str] | None = None) -> dict[str, Tensor]:
    """Weights in a file by their published names, all or those of ``names`` that it has; the file is read by another
    process unless that was done before.
    """
    path = Path(path)
    with reading(path):
        if not path.is_file():
            raise UserError(f"there is no file {path}; give the decoder or the generator of Portrait3D")
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    folder = cache_folder() / f"{content[:32]}-network-{VERSION}"
    if not (folder / WEIGHTS).is_file():
        with whole_folder(folder) as made:
            convert_network(path, made / WEIGHTS)
    with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files if names is None or name in names}


def _check(weights: Mapping[str, Tensor], painter: nn.Module, name: str) -> None:
    for key, own in painter.state_dict().items():
        given = weights.get(key)
        if given is None:
            raise UserError(f"{name} holds no decoder of Portrait3D: there is no {key}; give decoder_512.ckpt")
        if given.shape != own.shape:
            shown, right = ("×".join(map(str, tensor.shape)) for tensor in (given, own))
            raise UserError(f"{key} in {name} is {shown}; in Portrait3D's decoder it is {right}")
        if not (given.is_floating_point() and torch.isfinite(given).all()):
            raise UserError(f"{key} in {name} holds numbers that are not finite; get the file again")
