"""Weights of the published generator by name: what fits, what is missing, what has another shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.errors import UserError

PLACES = {
    "backbone.mapping.embed.": "backbone.mapping.embed.",
    "backbone.mapping.fc": "backbone.mapping.fc",
    "backbone.synthesis.": "backbone.synthesis.",
    "bcg_synthesis.": "bcg_synthesis.",
    "superresolution.": "superresolution.",
    "decoder.": "painter.decoder.",
    "torgb.": "painter.torgb.",
}
"""Where the entries of ``G_ema`` belong: how their names begin in the file, and in `Portrait3DGenerator`.

Below that the names are NVIDIA's (``synthesis.b8.conv0.affine.weight``); the 3D branch is ``synthesis.b3d8.block.…``.
Whatever begins otherwise (the mean of the latents, the body's pose, the SMPL renderer, a discriminator) is not needed.
"""

CONSTANT = "resample_filter"
"""Buffers that are always the same, so that a file may leave them out."""

NAMED = 3
"""Entries that a sentence names."""


@dataclass(frozen=True)
class Report:
    """What was made of a file's entries, by their names in the file."""

    loaded: int
    """Weights that the file gave."""
    unexpected: tuple[str, ...]
    """Entries beside the generator's own that it has no place for."""
    not_needed: int
    """Entries that belong to other networks."""


def load_state(generator: nn.Module, state: Mapping[str, Tensor]) -> Report:
    """Copy the entries of a published ``G_ema`` state dict into a `Portrait3DGenerator`.

    Weights of other float types are converted. Raises `UserError`, and changes nothing, where a weight is missing, has
    another shape or holds numbers that are not finite.
    """
    weights = generator.state_dict()
    places = {_published(name): name for name in weights}
    own = [name for name in state if name.startswith(tuple(PLACES))]
    given = {name: state[name] for name in own if name in places}
    _require_all(given, {name: weights[place] for name, place in places.items()})
    _require_finite(given)
    generator.load_state_dict({places[name]: weight for name, weight in given.items()}, strict=False)
    return Report(len(given), tuple(name for name in own if name not in places), len(state) - len(own))


def _published(name: str) -> str:
    for published, ours in PLACES.items():
        if name.startswith(ours):
            return published + name.removeprefix(ours)
    raise KeyError(name)


def _require_all(given: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Raise `UserError` unless each weight is given in its shape."""
    known = "the generator must be the G_ema of 3DPortraitGAN-pyramid's model_512.pkl"
    missing = [name for name in weights if name not in given and not name.endswith(CONSTANT)]
    if missing:
        raise UserError(f"{len(missing)} of {len(weights)} weights are missing ({_some(missing)}); {known}")
    others = [
        f"{name} (is {_shape(weight)}, would be {_shape(weights[name])})"
        for name, weight in given.items()
        if weight.shape != weights[name].shape
    ]
    if others:
        raise UserError(f"{len(others)} of {len(weights)} weights have another shape: {_some(others)}; {known}")


def _require_finite(weights: Mapping[str, Tensor]) -> None:
    broken = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise UserError(f"the generator's weights hold numbers that are not finite, in {_some(broken)}")


def _some(names: Iterable[str]) -> str:
    """The first few."""
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(str(length) for length in tensor.shape) or "one number"
