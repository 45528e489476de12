"""FLAME and SMPL-X find a known head of theirs again, jaw and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.licensed_person import neutral_head
from pipeline.heads.model_files import find_model
from pipeline.reconstruction.head_fit import fit_head
from pipeline.reconstruction.head_models import head_model
from pipeline.reconstruction.posed_head import at_rest, derivatives, stepped, world_vertices
from tests.reconstruction.portraits import cameras_of_the_fit, portrait

LIMIT = 1.0e-3
"""Metres: the mean error on the face; 1.5 would do."""
OPEN = 0.08
"""Radians that the jaw is turned by."""


@pytest.mark.parametrize("kind", ["flame", "smplx"])
def test_a_person_with_the_jaw_open_and_coefficients_as_they_are_stored(models, kind):
    shape = np.random.default_rng(4).normal(size=30) * 0.8
    truth = portrait(neutral_head(find_model(kind)).of_shape(shape.tolist()).rig)
    truth.rotations[0, truth.rig.joint_index("jaw"), 0] = OPEN
    cameras = cameras_of_the_fit()
    fit = fit_head(kind, truth.observed(cameras), cameras, None, truth.start())
    assert float(truth.error(fit).mean()) < LIMIT
    assert abs(float(fit.rotations[0, fit.rig.joint_index("jaw"), 0]) - OPEN) < 0.03
    assert fit.rig.model is not None
    assert all(abs(value * 1e4 - round(value * 1e4)) < 0.01 for value in fit.rig.model.shape)
    assert "tongue" in fit.rig.regions  # lent by the free head


@pytest.mark.parametrize("kind", ["anny", "flame"])
def test_derivatives_are_those_of_the_vertices(models, kind):
    model = head_model(kind)
    span = model.span.only(np.arange(0, 3000, 100))
    now = at_rest(span, 1.1, axis_angle_to_matrix(torch.tensor([0.1, 0.2, 0.0]).double()).numpy(), np.ones(3))
    now = replace(now, moves=np.full(len(now.moves), 0.2), jaw=np.array([0.1, 0.02, 0.0]) if len(now.jaw) else now.jaw)
    assert len(now.jaw) == (0 if kind == "anny" else 3)
    middle = np.array([1.0, 1.1, 1.0])
    points, columns = derivatives(span, now, middle)
    for index in (0, 4, 6, 7, columns.shape[2] - 1):
        step = np.zeros(columns.shape[2])
        step[index] = 1e-6
        moved = (world_vertices(span, stepped(model, now, step, middle)) - points) / 1e-6
        assert np.abs(moved - columns[..., index]).max() < 1e-4
