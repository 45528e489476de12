"""FLAME and SMPL-X through the `smplx` package: its module for a converted model, reduced to what a `Rig` needs."""

from __future__ import annotations

import contextlib
import io
import pickle
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import smplx
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.model_cache import Converted

_printing = threading.Lock()
"""Held while standard output is turned away, which two threads at once would leave turned away for good."""
LARGEST_COEFFICIENT = 20.0
"""Standard deviations; people lie within 3, caricatures within 6."""


@dataclass(frozen=True)
class Body:
    """A model of V vertices and J joints, as its module holds it, in the model's own placement."""

    template: Tensor
    """(V, 3) metres."""
    faces: Tensor
    """(F, 3) long."""
    shapes: Tensor
    """(S, V, 3)"""
    expressions: Tensor
    """(E, V, 3)"""
    regressor: Tensor
    """(J, V) joints from the shaped surface."""
    pose_dirs: Tensor
    """(9·(J−1), V, 3)"""
    weights: Tensor
    """(V, J)"""
    parents: tuple[int, ...]

    def shaped(self, coefficients: Tensor) -> Tensor:
        """Shape coefficients (S,) → vertices (V, 3)."""
        return self.template + torch.tensordot(coefficients, self.shapes, 1)


def load_module(model: Converted) -> Any:
    """The `smplx` module (``smplx.FLAME`` or ``smplx.SMPLX``) with every direction that the file has, batch 1."""
    kind, count = model.kind, {key: int(model.facts[key]) for key in ("shapes", "expressions")}
    with _printing, tempfile.TemporaryDirectory(prefix="model-") as folder, contextlib.redirect_stdout(io.StringIO()):
        place = Path(folder) / kind  # smplx wants its own names, and prints what we say better
        place.mkdir()
        (place / f"{kind.upper()}_NEUTRAL.npz").symlink_to(model.arrays_file.resolve())
        if kind == "flame":
            _write_embedding(place / "flame_static_embedding.pkl")
        options: dict[str, Any] = {} if kind == "flame" else {"use_pca": False, "flat_hand_mean": True}
        module = smplx.create(
            folder, kind, ext="npz", num_betas=count["shapes"], num_expression_coeffs=count["expressions"], **options
        )
    return module.requires_grad_(False)


def load_body(model: Converted) -> Body:
    """The module's buffers."""
    module = load_module(model)
    vertices = len(module.v_template)
    return Body(
        template=module.v_template,
        faces=module.faces_tensor,
        shapes=module.shapedirs.permute(2, 0, 1).contiguous(),
        expressions=module.expr_dirs.permute(2, 0, 1).contiguous(),
        regressor=module.J_regressor,
        pose_dirs=module.posedirs.reshape(-1, vertices, 3),
        weights=module.lbs_weights,
        parents=tuple(module.parents.tolist()),
    )


def shape_coefficients(shape: Sequence[float] | None, body: Body, name: str) -> Tensor:
    """(S,) from up to S numbers, the rest zero. Raises `UserError` for more, or for numbers no person has."""
    coefficients = torch.zeros(len(body.shapes))
    given = torch.as_tensor([] if shape is None else shape, dtype=torch.float32).flatten()
    if len(given) > len(coefficients):
        raise UserError(f"shape has {len(given)} coefficients; {name} has {len(coefficients)}")
    if not bool((given.abs() <= LARGEST_COEFFICIENT).all()):  # also false for NaN
        worst = given[given.abs().nan_to_num(torch.inf).argmax()]
        raise UserError(
            f"a shape coefficient is {worst:.3g}; they lie within {LARGEST_COEFFICIENT:.0f}, mostly within 3"
        )
    coefficients[: len(given)] = given
    return coefficients


def _write_embedding(path: Path) -> None:
    """smplx opens FLAME with this file only; the landmarks in it are never asked for, ours come from `anatomy`."""
    embedding = {"lmk_face_idx": np.zeros(51, np.int64), "lmk_b_coords": np.full((51, 3), 1 / 3)}
    path.write_bytes(pickle.dumps(embedding, protocol=2))
