"""Features of a tri-grid: axes, order of channels, fading, means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.priors.portrait3d.trigrid import AXES, HALF_SIDE, RESOLUTIONS, TriGrid, crop_mask
from tests.priors.portrait3d import slow_reference
from tests.priors.portrait3d.scenes import random_scene


def test_each_plane_sees_its_axes() -> None:
    point = torch.tensor([1.0, 2.0, 3.0])
    assert point[torch.tensor(AXES)].tolist() == [[1, 2, 3], [1, 3, 2], [2, 3, 1]]


def test_a_portrait_has_as_many_numbers_as_the_published_ones() -> None:
    assert 108 * sum(r * r for r in RESOLUTIONS) == 37_746_432


def test_features_are_those_of_the_slow_reference() -> None:
    trigrid, _ = random_scene((4, 8))
    points = (torch.rand(40, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 1.2
    found = trigrid.sample(points).mean(dim=1)
    expected = [slow_reference.features(trigrid, p.double().numpy()) for p in points]
    torch.testing.assert_close(found, torch.from_numpy(np.stack(expected)).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("plane", "axis"), [(0, 0), (1, 0), (2, 1)])
def test_a_channel_is_three_times_its_feature_plus_its_slice(plane: int, axis: int) -> None:
    level = torch.zeros(1, 3, 36, 4, 4)
    level[0, plane, 3 * 5 + 2] = 1.0
    depth_axis = AXES[plane][2]
    points = torch.zeros(3, 3)
    points[:, depth_axis] = torch.tensor([-2.0, 0.0, 2.0]) / 3 * HALF_SIDE
    found = TriGrid((level,), torch.zeros(1, 14, 512)).sample(points)
    assert found[:, plane, 5].tolist() == pytest.approx([0, 0, 1], abs=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert axis == AXES[plane][0]


def test_features_fade_out_beyond_the_outermost_knots() -> None:
    level = torch.ones(1, 3, 36, 4, 4)
    edge, outside = (1 - 1 / 4) * HALF_SIDE, (1 + 1 / 4) * HALF_SIDE
    points = torch.tensor([[edge, 0, 0], [HALF_SIDE, 0, 0], [outside, 0, 0]])
    found = TriGrid((level,), torch.zeros(1, 14, 512)).sample(points)
    assert found[:, 0, 0].tolist() == pytest.approx([1, 0.5, 0], abs=1e-6)


def test_only_sideways_and_depth_are_cropped() -> None:
    points = torch.tensor([[0.27, 9.0, 0.27], [0.29, 0.0, 0.0], [0.0, 0.0, -0.29]])
    assert crop_mask(points, 0.28).tolist() == [True, False, False]


def test_tensors_move_together() -> None:
    moved = random_scene((8,))[0].to(torch.float64)
    assert moved.levels[0].dtype == moved.ws.dtype == torch.float64
