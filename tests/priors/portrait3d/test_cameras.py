"""EG3D's camera vectors and the angles of Portrait3D's views."""

from __future__ import annotations

import pytest
import torch

from pipeline.camera import Camera
from pipeline.priors.portrait3d.cameras import (
    ANIMPORTRAIT3D_ORBIT,
    FOCAL,
    FOV_DEGREES,
    focal_of_fov,
    from_vector,
    polar_degrees,
    sampled_camera,
    to_vector,
)


def test_the_frontal_camera_is_the_published_one() -> None:
    vector = to_vector(sampled_camera(90, 90, 512))
    pose = vector[:16].view(4, 4)
    expected = torch.tensor([[1, 0, 0], [0, -0.99971, 0.02403], [0, -0.02403, -0.99971]])
    torch.testing.assert_close(pose[:3, :3], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(pose[:3, 3], torch.tensor([0.0, 0.0, 2.7]), atol=1e-6, rtol=0)
    torch.testing.assert_close(vector[16:], torch.tensor([FOCAL, 0, 0.5, 0, FOCAL, 0.5, 0, 0, 1]), atol=1e-5, rtol=0)


def test_the_vertical_angle_is_not_the_polar_angle() -> None:
    assert [round(polar_degrees(v), 1) for v in (60, 90, 120)] == [70.5, 90.0, 109.5]


def test_to_the_side_is_towards_plus_x() -> None:
    torch.testing.assert_close(sampled_camera(180, 90, 8).position, torch.tensor([2.7, 0, 0]), atol=1e-5, rtol=0)
    above = sampled_camera(90, 60, 8, ANIMPORTRAIT3D_ORBIT).position
    torch.testing.assert_close(above, 2.65 * torch.tensor([0.0, 1 / 3, 8**0.5 / 3]), atol=1e-5, rtol=0)


def test_focal_lengths() -> None:
    assert focal_of_fov(12.447863) == pytest.approx(6.4848, abs=1e-4)
    assert pytest.approx(8.783, abs=1e-3) == FOV_DEGREES


def test_a_vector_there_and_back() -> None:
    camera = sampled_camera(30, 70, 64)
    K = camera.K + torch.tensor([[0.0, 0.5, 3.0], [0.0, 20.0, -2.0], [0.0, 0.0, 0.0]])
    again = from_vector(to_vector(Camera(camera.viewmat, K, 64, 48)), 64, 48)
    torch.testing.assert_close(again.viewmat, camera.viewmat, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.K, K, atol=1e-4, rtol=1e-6)
