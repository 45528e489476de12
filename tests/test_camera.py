"""Cameras look where they say, upright, in the OpenCV convention."""

import math

import pytest
import torch

from pipeline.camera import Framing, orbit_camera, portrait_camera
from tests.synthetic import synthetic_rig

FRAMING = Framing((0.1, 0.2, -0.3), 2.0, 20.0)


def project(camera, point):
    x, y, z = camera.viewmat[:3, :3] @ torch.tensor(point) + camera.viewmat[:3, 3]
    return (camera.K[0, 0] * x / z + camera.K[0, 2]).item(), (camera.K[1, 1] * y / z + camera.K[1, 2]).item(), z.item()


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (90, 0), (180, 30), (-37, -60), (10, 120)])
def test_target_is_in_the_middle_at_the_asked_distance(yaw, pitch):
    x, y, z = project(orbit_camera(FRAMING, yaw, pitch, 640, 480), FRAMING.target)
    assert (x, y, z) == pytest.approx((320, 240, 2.0), abs=1e-3)


def test_front_view_shows_the_subjects_left_on_the_right_and_up_on_top():
    camera = orbit_camera(Framing((0.0, 0.0, 0.0), 2.0, 20.0), 0, 0, 100, 100)
    assert camera.position.tolist() == pytest.approx([0, 0, 2], abs=1e-6)
    assert project(camera, (0.1, 0.0, 0.0))[0] > 50
    assert project(camera, (0.0, 0.1, 0.0))[1] < 50


def test_field_of_view_is_vertical():
    camera = orbit_camera(Framing((0.0, 0.0, 0.0), 2.0, 20.0), 0, 0, 300, 100)
    top = 2.0 * math.tan(math.radians(10))
    assert project(camera, (0.0, top, 0.0))[1] == pytest.approx(0, abs=1e-3)


def test_portrait_grows_with_the_person():
    rig = synthetic_rig()
    near = portrait_camera(rig, 64, 64)
    giant = type(rig)(**{**rig.__dict__, "vertices": rig.vertices * 2})
    assert portrait_camera(giant, 64, 64).viewmat[2, 3] == pytest.approx(2 * float(near.viewmat[2, 3]), rel=1e-4)
