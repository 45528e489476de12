"""An avatar as a source: what it shows, what it calls its parts, where its landmarks and its surface are."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree

from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.multiview import Part
from pipeline.rendering.mesh import rasterize_mesh
from pipeline.rendering.portrait import draw
from tests.stages.small import dressed_avatar

SIZE = 96
VOXELS = 40


@pytest.fixture(scope="module")
def avatar():
    return dressed_avatar()


@pytest.fixture(scope="module")
def source(avatar):
    return AvatarSource(avatar, VOXELS)


def front_and_back(source):
    return [source.orbit.camera(90, 88, SIZE), source.orbit.camera(270, 88, SIZE)]


def mark(avatar, name):
    marks = avatar.rig.landmarks
    return marks.positions(avatar.rig.vertices, avatar.rig.faces)[marks.names.index(name)]


def pixel(camera, point):
    """Where a camera sees a point, written out."""
    x, y, z = (camera.viewmat @ torch.cat([point, torch.ones(1)]))[:3].tolist()
    focal, middle = float(camera.K[0, 0]), camera.width / 2
    return focal * x / z + middle, focal * y / z + middle


@torch.no_grad()
def test_pictures_over_a_colour_are_what_the_rasteriser_draws_over_it(avatar, source):
    cameras = front_and_back(source)
    grey = torch.tensor([0.5, 0.5, 0.5])
    over = source.look(cameras).over(grey)
    for camera, picture in zip(cameras, over, strict=True):
        direct = draw(avatar.gaussians(avatar.rig.vertices), camera, (0.5, 0.5, 0.5), "antialiased")
        assert float((picture.movedim(0, -1) * 255 - torch.from_numpy(direct).float()).abs().max()) < 3


def test_parts_are_where_they_belong(avatar, source):
    front, back = front_and_back(source)
    labels = source.label([front, back])

    def at(picture, camera, point):
        column, row = pixel(camera, point)
        return int(labels[picture][int(row), int(column)])

    nose, chin, brow = (mark(avatar, name) for name in ("ibug_33", "ibug_8", "ibug_27"))
    assert at(0, front, nose) == Part.FACE
    assert at(0, front, chin - torch.tensor([0, 0.12, 0.06])) == Part.CLOTH
    assert at(1, back, brow + torch.tensor([0, 0.05, 0])) == Part.HAIR
    assert int(labels[0][0, 0]) == Part.BACKGROUND
    shares = torch.bincount(labels[0].flatten().long(), minlength=len(Part))
    assert bool((shares > 0).all())


def test_landmarks_are_seen_from_the_front_and_not_from_behind(avatar, source):
    cameras = front_and_back(source)
    observed = source.landmarks(cameras)
    inner = [observed.names.index(f"ibug_{number}") for number in range(27, 68)]
    pupils = [observed.names.index(name) for name in ("pupil_left", "pupil_right")]
    assert bool((observed.confidence[0, inner + pupils] == 1).all())
    assert bool((observed.confidence[1, inner + pupils] == 0).all())
    for row, name in ((inner[3], "ibug_30"), (pupils[0], "pupil_left")):
        assert observed.points[0, row].tolist() == pytest.approx(pixel(cameras[0], mark(avatar, name)), abs=1e-2)


def test_the_far_side_of_a_profile_is_hidden(source):
    profile = source.orbit.camera(180, 88, SIZE)
    observed = source.landmarks([profile])
    sides = {name: float(observed.confidence[0, observed.names.index(name)]) for name in ("pupil_left", "pupil_right")}
    assert sides == {"pupil_left": 1.0, "pupil_right": 0.0}


@torch.no_grad()
def test_the_surface_lies_on_the_splats_and_is_closed(avatar, source):
    surface = source.surface()
    splats = avatar.gaussians(avatar.rig.vertices)
    voxel = float((splats.means.amax(0) - splats.means.amin(0)).amax()) / VOXELS
    a, b, c = surface.vertices[surface.faces].double().unbind(1)
    assert float((a * torch.linalg.cross(b, c)).sum() / 6) > 0.003  # cubic metres of head and shoulders
    cameras = [source.orbit.camera(yaw, 85, SIZE) for yaw in (40, 90, 200)]
    nose = mark(avatar, "ibug_30").detach().numpy()
    assert float(cKDTree(surface.vertices.numpy()).query(nose)[0]) < voxel
    edges = torch.cat([surface.faces[:, pair] for pair in ((0, 1), (1, 2), (2, 0))]).sort(1).values
    assert float((edges.unique(dim=0, return_counts=True)[1] == 2).float().mean()) > 0.99
    covered = source.look(cameras).pictures[..., 3] > 127
    views = torch.stack([camera.viewmat for camera in cameras]), torch.stack([camera.K for camera in cameras])
    drawn = rasterize_mesh(surface.vertices, surface.faces, *views, SIZE, SIZE).face >= 0
    assert float((drawn & covered).sum() / (drawn | covered).sum()) > 0.93
    assert set(surface.parts.unique().tolist()) == {Part.FACE, Part.SKIN, Part.HAIR, Part.CLOTH}
    assert surface.colors.shape == surface.vertices.shape
