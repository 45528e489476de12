"""Rotations and frames against scipy and against their own definition."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pipeline.geometry import (
    axis_angle_to_matrix,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_multiply,
    quaternion_to_matrix,
    triangle_frames,
)

angles = st.floats(-3.1, 3.1)
vectors = st.tuples(angles, angles, angles).filter(lambda v: np.linalg.norm(v) < 3.1)


@given(vectors)
def test_axis_angle_matches_scipy_and_round_trips(vector):
    aa = torch.tensor(vector, dtype=torch.float64)
    matrix = axis_angle_to_matrix(aa)
    np.testing.assert_allclose(matrix.numpy(), Rotation.from_rotvec(vector).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(matrix_to_axis_angle(matrix).numpy(), vector, atol=1e-5)


@given(vectors, vectors)
def test_quaternions_multiply_like_matrices(first, second):
    a, b = (axis_angle_to_matrix(torch.tensor(v, dtype=torch.float64)) for v in (first, second))
    product = quaternion_multiply(matrix_to_quaternion(a), matrix_to_quaternion(b))
    np.testing.assert_allclose(quaternion_to_matrix(product).numpy(), (a @ b).numpy(), atol=1e-8)


def test_half_turns_survive_the_round_trip():
    for axis in torch.eye(3, dtype=torch.float64):
        matrix = axis_angle_to_matrix(axis * torch.pi)
        np.testing.assert_allclose(
            quaternion_to_matrix(matrix_to_quaternion(matrix)).numpy(), matrix.numpy(), atol=1e-8
        )


def test_rotation_at_zero_has_a_finite_gradient():
    aa = torch.zeros(3, requires_grad=True)
    axis_angle_to_matrix(aa)[0, 1].backward()
    np.testing.assert_allclose(aa.grad.numpy(), [0, 0, -1], atol=1e-6)


def test_frame_of_a_known_triangle():
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 0, -3]])
    frames = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    expected = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    assert torch.allclose(frames.rotation, expected)
    assert frames.scale.item() == 2.5
    assert torch.allclose(frames.origin, torch.tensor([[2 / 3, 0, -1.0]]))


def test_frames_turn_with_the_triangle():
    vertices = torch.randn(30, 3)
    faces = torch.arange(30).reshape(10, 3)
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.0, 0.4]))
    rest, moved = triangle_frames(vertices, faces), triangle_frames(vertices @ turn.T + 1, faces)
    assert torch.allclose(moved.rotation, turn @ rest.rotation, atol=1e-5)
    assert torch.allclose(moved.scale, rest.scale, atol=1e-5)


def test_collapsed_triangle_stays_finite():
    vertices = torch.tensor([[1.0, 2, 3]] * 3, requires_grad=True)
    frames = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    assert all(torch.isfinite(part).all() for part in frames)
