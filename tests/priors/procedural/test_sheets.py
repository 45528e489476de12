"""Sheets and tubes of splats."""

import numpy as np
import pytest

from pipeline.avatar import Layer
from pipeline.priors.procedural.sheets import sheet_splats, tube, tube_splats
from pipeline.priors.procedural.splats import Shading


def flat_sheet(rows=7, columns=9, step=0.002):
    x, y = np.meshgrid(np.arange(columns) * step, np.arange(rows) * step)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)


@pytest.mark.parametrize("side", [1, -1])
def test_a_sheet_faces_the_side_that_is_seen(side):
    sheet = sheet_splats(
        Layer.CLOTH, Shading.CLOTH, flat_sheet(), outward=(0, 0, side), face=3, albedo=(0.1, 0.2, 0.3), ambient=0.5
    )
    assert len(sheet) == 63
    assert np.allclose(sheet.normal, [0, 0, side])
    assert (sheet.scale[:, 2] < sheet.scale[:, :2].min(1)).all()
    assert np.allclose(sheet.scale[:, :2], sheet.scale[0, :2])
    assert np.allclose(np.linalg.det(sheet.rotation), 1, atol=1e-5)
    assert (sheet.face == 3).all()


def test_values_per_grid_point_keep_their_place():
    color = np.arange(63 * 3, dtype=np.float32).reshape(7, 9, 3)
    sheet = sheet_splats(
        Layer.CLOTH, Shading.CLOTH, flat_sheet(), outward=(0, 0, 1), face=np.arange(63).reshape(7, 9), albedo=color
    )
    assert sheet.face.tolist() == list(range(63))
    assert np.array_equal(sheet.albedo, color.reshape(-1, 3))


def test_a_closed_tube_is_a_torus():
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    path = np.stack([0.01 * np.cos(turn), 0.01 * np.sin(turn), 0 * turn], axis=1).astype(np.float32)
    points, outward = tube(path, 0.001, 8, closed=True, up=(0, 0, 1))
    ring = tube_splats(
        Layer.ACCESSORY, Shading.UNLIT, points, outward, closed=True, face=0, albedo=np.zeros((48, 8, 3), np.float32)
    )
    assert len(ring) == 48 * 8
    from_axis = np.hypot(np.hypot(ring.position[:, 0], ring.position[:, 1]) - 0.01, ring.position[:, 2])
    assert np.allclose(from_axis, 0.001, atol=2e-5)
    middle = path.repeat(8, axis=0)
    assert ((ring.normal * (ring.position - middle)).sum(1) > 0.9e-3).all()
    assert ring.scale.max() / ring.scale[:, 0].min() < 3
