"""How near and how soon a head model finds a known head again. Seconds include complete rigs, mouth and all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.figure import Figure, best_ms
from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.anny import AnnyHead
from pipeline.heads.licensed_person import neutral_head
from pipeline.heads.model_files import MODELS_VARIABLE, find_model
from pipeline.heads.rig import Rig
from pipeline.reconstruction.head_fit import HeadFit, fit_head
from pipeline.reconstruction.multiview import Similarity
from tests.heads.models import write_flame, write_smplx
from tests.reconstruction.portraits import Portrait, cameras_of_the_fit, portrait

MOST_SECONDS, MOST_MILLIMETRES = 20.0, 1.5
ALONE_MILLIMETRES = 3.0
"""On the face, without landmarks."""
OFFSETS = ((10.0, 0.03), (20.0, 0.045), (30.0, 0.06))
"""Degrees and metres that a start is off, where there are no landmarks."""
CAMERAS = cameras_of_the_fit()


def figures() -> list[Figure]:
    """Landmarks with 1.5 pixels of noise in nine views of 512 pixels, with and without a surface; and that alone."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ[MODELS_VARIABLE] = folder
        write_flame(Path(folder), "flame2023")
        write_smplx(Path(folder))
        for kind in ("anny", "flame", "smplx"):
            truth = portrait(_person(kind))
            observed = truth.observed(CAMERAS)
            for surface, what in ((None, "landmarks"), (truth.surface(), "landmarks and surface")):
                fits: list[HeadFit] = []
                seconds = best_ms(lambda: fits.append(fit_head(kind, observed, CAMERAS, surface)), 1, 1) / 1e3  # noqa: B023
                found += _rows(f"{kind} fitted to {what}", truth, fits[-1], seconds, MOST_MILLIMETRES)
    truth = portrait(_person("anny"))
    for degrees, metres in OFFSETS:
        start = _off(truth, degrees, metres)
        fits = []
        seconds = best_ms(lambda: fits.append(fit_head("anny", None, CAMERAS, truth.surface(), start)), 1, 0) / 1e3  # noqa: B023
        what = f"anny fitted to a surface alone, start {degrees:.0f}° and {100 * metres:.1f} cm off"
        found += _rows(what, truth, fits[-1], seconds, ALONE_MILLIMETRES)
    return found


def _rows(what: str, truth: Portrait, fit: HeadFit, seconds: float, most: float) -> list[Figure]:
    error = 1e3 * float(truth.error(fit).mean())
    return [
        Figure(f"{what}: mean error on the face", error, "mm", most),
        Figure(f"{what}: time", seconds, "s", MOST_SECONDS),
    ]


def _person(kind: str) -> Rig:
    if kind == "anny":
        return AnnyHead({"gender": 0.8, "age": 0.75, "asian": 0.9, "weight": 0.7}, {"nose-hump-incr": 0.5}).rig
    shape = np.random.default_rng(4).normal(size=40) * 0.8
    return neutral_head(find_model(kind)).of_shape(shape.tolist()).rig


def _off(truth: Portrait, degrees: float, metres: float) -> Similarity:
    """The truth turned about a slanted axis and pushed along another."""
    axis, way = torch.tensor([0.6, 0.8, 0.0]), torch.tensor([0.6, 0.5, -0.6])
    turn = axis_angle_to_matrix(np.radians(degrees) * axis).float()
    push = metres * truth.place.scale * way / way.norm()
    eyes = torch.tensor([0.01, 0.394, 0.31])
    moved = turn @ (truth.place.translation - eyes) + eyes + push
    return Similarity(truth.place.scale, turn @ truth.place.rotation, moved)
