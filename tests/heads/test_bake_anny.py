"""The bake's own steps; the file that it writes is tested in `test_anny`."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.heads.anny_file import TARGET_STEP, SparseShapes
from pipeline.heads.bake_anny import (
    fold_weights,
    inside_bust,
    kept_local_changes,
    pack_sparse,
    pack_weights,
    to_our_axes,
    write_npz,
)
from pipeline.heads.bake_landmarks import _along, _nearest
from pipeline.heads.bake_targets import read_target


def test_axes_are_a_proper_rotation() -> None:
    matrix = to_our_axes(np.eye(3)).T
    assert np.linalg.det(matrix) == 1.0
    assert to_our_axes(np.array([0.0, -1.0, 0.0])).tolist() == [0, 0, 1]  # Anny's front
    assert to_our_axes(np.array([0.0, 0.0, 1.0])).tolist() == [0, 1, 0]


def test_bust_keeps_head_and_shoulders() -> None:
    def quad(*middle: float) -> np.ndarray:
        return np.array(middle) + np.array([[0, 0, 0], [0.01, 0, 0], [0.01, 0.01, 0], [0, 0.01, 0]])

    kept = inside_bust(np.stack([quad(0, 0.7, 0.1), quad(0.19, 0.5, 0), quad(0.5, 0.3, 0), quad(0, 0.1, 0)]))
    assert kept.tolist() == [True, True, False, False]


def test_facial_bones_fold_into_the_head() -> None:
    bones, parents = ["root", "spine01", "neck01", "neck03", "head", "jaw"], [-1, 0, 1, 2, 3, 4]
    weights = fold_weights(
        np.array([[5, 4, 3], [1, 0, 2]]), np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]]), bones, parents
    )
    assert np.allclose(weights, [[0, 0, 0, 0.2, 0.8, 0, 0], [0.9, 0.1, 0, 0, 0, 0, 0]])


def test_kept_changes_are_pairs_of_the_head() -> None:
    labels = ["x"] * 676 + ["local_change:l-foot-incr", "local_change:l-foot-decr"]
    labels += [
        "local_change:r-eye-scale-incr",
        "local_change:r-eye-scale-decr",
        "local_change:measure-neck-circ-incr",
        "",
    ]
    assert kept_local_changes(labels) == [678, 680]


@given(arrays(np.int16, (3, 7, 3), elements=st.integers(-900, 900)))
def test_sparse_shapes_round_trip(steps: np.ndarray) -> None:
    steps[:, ::2] = 0
    packed = pack_sparse("shape", ["a", "b", "c"], steps * TARGET_STEP)
    sparse = SparseShapes(
        ("a", "b", "c"),
        packed["shape_start"].astype(np.int64),
        packed["shape_vertices"].astype(np.int64),
        packed["shape_steps"].astype(np.int16),
    )
    assert np.allclose(sparse.dense(7), steps * TARGET_STEP, atol=1e-6)


@given(arrays(np.float64, (5, 7), elements=st.floats(0.01, 1)))
def test_packed_weights_keep_the_four_largest(weights: np.ndarray) -> None:
    packed = pack_weights(weights)
    assert packed["weight_joints"].shape == (5, 4)
    total = packed["weight_values"].astype(int).sum(1)
    assert np.abs(total - 65535).max() <= 2
    assert (packed["weight_joints"][:, 0] == weights.argmax(1)).all()


def test_targets_are_read_in_metres(tmp_path: Path) -> None:
    path = tmp_path / "nose.target.gz"
    path.write_bytes(gzip.compress(b"3 .01 0 -.02\n8 1 1 1\n"))
    assert np.allclose(read_target(path, np.array([2, 3, 9])), [[0, 0, 0], [0.001, 0, -0.002], [0, 0, 0]])


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    content = {"b": np.arange(5), "a": np.array(["x", "yy"])}
    write_npz(tmp_path / "one.npz", content)
    write_npz(tmp_path / "two.npz", dict(reversed(content.items())))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert {entry.date_time for entry in zipfile.ZipFile(tmp_path / "one.npz").infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert np.load(tmp_path / "one.npz", allow_pickle=False)["a"].tolist() == ["x", "yy"]


def test_points_along_a_line_are_spaced_by_length() -> None:
    line = np.array([[0.0, 0, 0], [1, 0, 0], [1, 3, 0]])
    assert np.allclose(_along(line, (0.0, 0.25, 0.5, 1.0)), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 3, 0]])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(-0.2, 0.2))
def test_nearest_point_of_a_square(x: float, y: float, height: float) -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    face, weights = _nearest(corners, faces, np.arange(2), np.array([x, y, height]))
    assert np.allclose(weights @ corners[faces[face]], [x, y, 0], atol=1e-6)
