"""Splats: broadcasting, frames, curves, quaternions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import Layer
from pipeline.priors.procedural.splats import (
    Shading,
    Splats,
    curve_splats,
    frame_from_normal,
    quaternions,
    unit,
)


def some(count, seed=0):
    rng = np.random.default_rng(seed)
    position = rng.standard_normal((count, 3)).astype(np.float32)
    return Splats.of(
        Layer.CLOTH, Shading.CLOTH, face=4, position=position, rotation=np.eye(3), scale=(1, 2, 3), opacity=0.5,
        albedo=(0.1, 0.2, 0.3), normal=unit(position), specular=np.arange(count),
    )  # fmt: skip


def test_of_broadcasts_every_value():
    splats = some(5)
    assert splats.face.tolist() == [4] * 5
    np.testing.assert_allclose(splats.scale, np.tile([1, 2, 3], (5, 1)))
    np.testing.assert_allclose(splats.specular, np.arange(5))
    assert set(splats.layer) == {Layer.CLOTH}
    assert splats.rotation.shape == (5, 3, 3)


def test_concatenate_and_select_keep_rows_together():
    a, b = some(3, 1), some(4, 2)
    both = Splats.concatenate([a, Splats.empty(), b])
    assert len(both) == 7
    np.testing.assert_array_equal(both.select(np.arange(3, 7)).position, b.position)
    assert len(both.select(both.specular > 1.5)) == 3
    assert len(Splats.concatenate([])) == 0


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        Splats.of(
            Layer.SKIN, Shading.SKIN, face=0, position=np.zeros((3, 3)), rotation=np.eye(3), scale=1,
            opacity=np.ones(2), albedo=0, normal=0,
        )  # fmt: skip


@given(st.integers(0, 10_000))
def test_frames_are_rotations_that_keep_the_normal(seed):
    rng = np.random.default_rng(seed)
    normal = unit(rng.standard_normal((6, 3)))
    frame = frame_from_normal(normal, rng.standard_normal(3))
    np.testing.assert_allclose(frame @ frame.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (6, 3, 3)), atol=2e-5)
    np.testing.assert_allclose(np.linalg.det(frame), 1, atol=1e-5)
    np.testing.assert_allclose(frame[..., 2], normal, atol=1e-6)


@given(st.integers(0, 10_000))
def test_quaternions_undo_to_the_same_rotation(seed):
    normal = unit(np.random.default_rng(seed).standard_normal((8, 3)))
    rotation = np.concatenate([frame_from_normal(normal), np.diag([1.0, -1, -1])[None], np.diag([-1.0, -1, 1])[None]])
    w, x, y, z = quaternions(rotation).T
    np.testing.assert_allclose(w * w + x * x + y * y + z * z, 1, atol=1e-5)
    np.testing.assert_allclose(1 - 2 * (y * y + z * z), rotation[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(2 * (x * y + w * z), rotation[:, 1, 0], atol=1e-5)
    np.testing.assert_allclose(2 * (y * z - w * x), rotation[:, 1, 2], atol=1e-5)


def test_a_curve_becomes_a_chain_of_splats_along_it():
    points = np.float32([[[0, 0, 0], [0, 0.01, 0], [0, 0.02, 0]], [[1, 0, 0], [1.01, 0, 0], [1.01, 0.01, 0]]])
    splats = curve_splats(
        Layer.BROW, Shading.HAIR, points=points, radius=np.array([[1e-4, 5e-5]]), face=[7, 9], normal=(0, 0, 1),
        albedo=np.float32([[1, 0, 0], [0, 1, 0]]), opacity=0.5,
    )  # fmt: skip
    assert splats.face.tolist() == [7, 7, 9, 9]
    np.testing.assert_allclose(splats.position[1], [0, 0.015, 0], atol=1e-7)
    np.testing.assert_allclose(splats.tangent[3], [0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(splats.rotation[..., 0], splats.tangent)
    np.testing.assert_allclose(splats.scale[:, 1], [1e-4, 5e-5, 1e-4, 5e-5], rtol=1e-5)
    assert (splats.scale[:, 0] > 5 * splats.scale[:, 1]).all()
    np.testing.assert_allclose(splats.albedo[2], [0, 1, 0])
