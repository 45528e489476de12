"""Points come back exactly from clean pictures, nearly so from noisy ones, and wrong views are outvoted."""

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Observed, Similarity
from pipeline.reconstruction.similarity_fit import fit_similarity
from pipeline.reconstruction.triangulation import project, projections, triangulate
from pipeline.stages.cameras import Orbit

ORBIT = Orbit(torch.zeros(3), torch.tensor([0.0, 0.228, 0.0]), 2.65, 30.0, 2.985)
CAMERAS = [ORBIT.camera(yaw, polar, 512) for yaw in (45, 75, 90, 105, 135) for polar in (70, 90)]


def scattered(count: int = 40) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2


def seen(points: Tensor, noise: float = 0.0) -> Observed:
    pixels, _ = project(projections(CAMERAS), points)
    drawn = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    names = tuple(f"ibug_{index}" for index in range(len(points)))
    return Observed(names, pixels + noise * drawn, torch.ones(pixels.shape[:2]))


def test_clean_pictures_give_the_points_back() -> None:
    points, confidence = triangulate(seen(scattered()), CAMERAS)
    assert (points - scattered()).abs().max() < 1e-6
    assert torch.allclose(confidence, torch.ones(40, dtype=torch.float64))


def test_noise_is_averaged_over_the_views() -> None:
    """1.5 pixels are 0.0042 of these units at the head, of which ten views leave a third sideways."""
    points, _ = triangulate(seen(scattered(), noise=1.5), CAMERAS)
    error = (points - scattered()).norm(dim=1)
    assert error.mean() < 0.0042


def test_a_wrong_view_is_outvoted_and_an_unseen_point_is_known_as_such() -> None:
    observed = seen(scattered())
    observed.points[3, 5] += 80.0
    observed.points[0, 6] = torch.nan
    observed.confidence[1:, 7] = 0.0
    points, confidence = triangulate(observed, CAMERAS)
    error = (points - scattered()).norm(dim=1)
    assert error[5] < 0.003
    assert error[6] < 1e-6
    assert confidence[5] < 0.95
    assert confidence[7] == 0


def test_a_point_seen_from_one_direction_only_has_no_depth() -> None:
    observed = seen(scattered())
    same = [CAMERAS[0], CAMERAS[0]]
    twice = Observed(observed.names, observed.points[[0, 0]], observed.confidence[[0, 0]])
    assert float(triangulate(twice, same)[1].max()) == 0


def test_cameras_and_pictures_must_be_as_many() -> None:
    with pytest.raises(UserError, match="10 pictures and 9 cameras"):
        triangulate(seen(scattered()), CAMERAS[:9])


def test_the_similarity_is_found_in_spite_of_an_outlier() -> None:
    turn = torch.linalg.matrix_exp(torch.tensor([[0, -0.3, 0.1], [0.3, 0, 0.2], [-0.1, -0.2, 0]], dtype=torch.float64))
    truth = Similarity(2.7, turn, torch.tensor([0.1, 0.4, 0.2], dtype=torch.float64))
    goal = truth.to_source(scattered())
    goal[0] += 1.0
    found = fit_similarity(scattered(), goal, torch.ones(40))
    assert abs(found.scale - 2.7) < 0.02
    assert (found.to_source(scattered()) - truth.to_source(scattered())).norm(dim=1).max() < 0.03


def test_too_few_points_are_refused() -> None:
    weights = torch.zeros(40)
    weights[:3] = 1
    with pytest.raises(UserError, match="3 landmarks"):
        fit_similarity(scattered(), scattered(), weights)
