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
    """How a file's entries and the generator's weights agree, by their names in the file."""

    loaded: int
    """Weights that the file gave."""
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    """Entries beside the generator's own that it has no place for."""
    wrong_shape: tuple[str, ...]
    """With both shapes, as ``name (is 3×3, would be 1×1)``."""
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
    report = Report(
        loaded=sum(name in places for name in own),
        missing=tuple(name for name in places if name not in state and not name.endswith(CONSTANT)),
        unexpected=tuple(name for name in own if name not in places),
        wrong_shape=tuple(
            f"{name} (is {_shape(state[name])}, would be {_shape(weights[places[name]])})"
            for name in own
            if name in places and state[name].shape != weights[places[name]].shape
        ),
        not_needed=len(state) - len(own),
    )
    _require(report, len(places))
    given = {places[name]: state[name] for name in own if name in places}
    _require_finite(given)
    generator.load_state_dict(given, strict=False)
    return report


def published_state(generator: nn.Module) -> dict[str, Tensor]:
    """The generator's weights under the names that the published file has for them."""
    return {_published(name): weight for name, weight in generator.state_dict().items()}


def _published(name: str) -> str:
    for published, ours in PLACES.items():
        if name.startswith(ours):
            return published + name.removeprefix(ours)
    raise KeyError(name)


def _require(report: Report, weights: int) -> None:
    known = "the generator must be the G_ema of 3DPortraitGAN-pyramid's model_512.pkl"
    if report.missing:
        raise UserError(f"{len(report.missing)} of {weights} weights are missing ({_some(report.missing)}); {known}")
    if report.wrong_shape:
        count = len(report.wrong_shape)
        raise UserError(f"{count} of {weights} weights have another shape: {_some(report.wrong_shape)}; {known}")


def _require_finite(weights: Mapping[str, Tensor]) -> None:
    broken = [_published(name) for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise UserError(f"the generator's weights hold numbers that are not finite, in {_some(broken)}")


def _some(names: Iterable[str]) -> str:
    """The first few."""
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(str(length) for length in tensor.shape) or "one number"
