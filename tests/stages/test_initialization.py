"""From a static head to an avatar that moves: like its source at rest, and like it in poses that nobody pictured."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.avatar import Layer
from pipeline.errors import UserError
from pipeline.geometry import axis_angle_to_matrix, quaternion_to_matrix
from pipeline.heads.anny import AnnyHead
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.reconstruction.head_fit import HeadFit
from pipeline.reconstruction.multiview import Part, Similarity, Views
from pipeline.rendering.portrait import draw
from pipeline.stages.binding import hang
from pipeline.stages.cameras import Orbit
from pipeline.stages.initialization import PRESETS, InitializationConfig, initialize
from pipeline.stages.journal import Journal
from pipeline.stages.splat_sampling import Points
from pipeline.stages.static_fit import StaticFitConfig
from pipeline.stages.view_colors import Occluder, seen_colors
from tests.stages.small import dressed_avatar

SIZE = 96
CONFIG = InitializationConfig(
    "small", yaws=8, pitches=(70.0, 100.0), size=SIZE, splats=58_000, fit=StaticFitConfig(steps=4)
)


class Moved:
    """A source in a world of its own: twice as large, turned, and elsewhere."""

    def __init__(self, inner, to_world):
        self._inner, self._to_world = inner, to_world

    @property
    def orbit(self):
        """Its cameras."""
        inner, world = self._inner.orbit, self._to_world
        return replace(
            inner, centre=world.to_source(inner.centre), target=world.to_source(inner.target),
            radius=world.scale * inner.radius, extent=world.scale * inner.extent,
        )  # fmt: skip

    def _inside(self, cameras):
        return [self._to_world.camera_of_rig(camera) for camera in cameras]

    def look(self, cameras):
        return self._inner.look(self._inside(cameras)).seen_by(cameras)

    def surface(self):
        surface = self._inner.surface()
        return replace(surface, vertices=self._to_world.to_source(surface.vertices), parts=None)

    def label(self, cameras):
        return self._inner.label(self._inside(cameras))

    def landmarks(self, cameras):
        return self._inner.landmarks(self._inside(cameras))


@pytest.fixture(scope="module")
def avatar():
    return dressed_avatar()


@pytest.fixture(scope="module")
def to_world():
    turn = axis_angle_to_matrix(torch.tensor([0.0, 0.05, 0.0]))
    return Similarity(2.0, turn, torch.tensor([0.1, 0.4, 0.2]))


@pytest.fixture(scope="module")
def head(avatar, to_world):
    """What a perfect fit finds."""
    expression, rotations = avatar.rig.neutral()
    return HeadFit(avatar.rig, torch.as_tensor(AnnyHead().template_points), expression, rotations, to_world, ("known",))


@pytest.fixture(scope="module")
def notes():
    return []


@pytest.fixture(scope="module")
def made(avatar, to_world, head, notes):
    class Noting(Journal):
        def note(self, sentence):
            notes.append(sentence)

    source = Moved(AvatarSource(avatar, voxels=64), to_world)
    return initialize(source, "anny", CONFIG, Noting(), fit=lambda *_: head)


def decibels(avatar, other, **actions):
    """Likeness inside the silhouette from the front half, both in the same pose."""
    rig = avatar.rig
    expression, rotations = rig.neutral()
    for name, value in actions.items():
        expression[0, rig.expression_index(name)] = value
    orbit = AvatarSource(avatar).orbit
    errors = []
    for yaw in (55, 90, 140):
        camera = orbit.camera(yaw, 82, SIZE)
        pictures = []
        for each in (avatar, other):
            with torch.no_grad():
                splats = each.gaussians(each.rig.pose(expression, rotations)[0])
            pictures.append(draw(splats, camera, None, "antialiased") / 255.0)
        inside = pictures[0][..., 3] > 0.5
        shown = [picture[..., :3] * picture[..., 3:] for picture in pictures]
        errors.append(((shown[0] - shown[1])[inside] ** 2).mean())
    return -10 * math.log10(np.mean(errors))


def test_it_looks_like_its_source_from_views_that_were_not_given(avatar, made, notes):
    assert decibels(avatar, made.avatar) > 25
    assert made.head.notes == ("known",)
    assert notes == ["known"]


@pytest.mark.parametrize(
    "actions", [{"jawOpen": 0.8}, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, {"mouthSmileLeft": 1.0}]
)
def test_it_moves_as_its_source_does(avatar, made, actions):
    assert decibels(avatar, made.avatar, **actions) > 24


def test_every_part_hangs_where_it_is_carried(made):
    rig, face, layer = made.avatar.rig, made.avatar.face.long(), made.avatar.layer
    assert set(layer.unique().tolist()) >= {Layer.SKIN, Layer.EYE, Layer.MOUTH, Layer.HAIR, Layer.CLOTH}
    expression, rotations = rig.neutral()
    expression[:] = 0.5
    loose = (rig.pose(expression, rotations)[0] - rig.vertices).norm(dim=1)[rig.faces[face]].amax(1)
    assert float(loose[layer == Layer.HAIR].max()) < 0.02
    assert not bool(rig.regions["face"][face[layer == Layer.CLOTH]].any())
    assert len(face) <= CONFIG.fit.densification.most


@torch.no_grad()
def test_hung_points_stay_where_they_are_in_the_pose_that_they_were_hung_in(avatar):
    rig = avatar.rig
    expression, rotations = rig.neutral()
    expression[0, rig.expression_index("jawOpen")] = 0.7
    rotations[0, rig.joint_index("head"), 1] = 0.4
    vertices = rig.pose(expression, rotations)[0]
    draws = torch.Generator().manual_seed(0)
    position = vertices[torch.randint(len(vertices), (60,), generator=draws)] + 0.004
    normal = torch.nn.functional.normalize(torch.randn(60, 3, generator=draws), dim=1)
    part = torch.tensor([Part.FACE, Part.SKIN, Part.HAIR, Part.CLOTH], dtype=torch.uint8).repeat(15)
    points = Points(position, normal, part, 0.002)
    hung = hang(rig, vertices, points, torch.rand(60, 3, generator=draws), torch.zeros(60, dtype=torch.bool))
    splats = hung.avatar(rig, 0).gaussians(vertices)
    assert torch.allclose(splats.means, position, atol=1e-5)
    thin = splats.scales.argmin(1)
    axes = quaternion_to_matrix(splats.quats)[torch.arange(60), :, thin]
    assert float((axes * normal).sum(1).abs().min()) > 0.999
    assert torch.allclose(splats.scales.amax(1), torch.tensor(0.0015), rtol=1e-3)
    assert hung.avatar(rig, 2).config["sh_coefficients"] == 9


def test_only_what_a_view_sees_takes_its_colour():
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.2
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    cameras = [Orbit(torch.zeros(3), torch.zeros(3), 2.0, 12, 1).camera(yaw, 90, 32) for yaw in (90, 270)]
    pictures = torch.zeros(2, 32, 32, 4, dtype=torch.uint8)
    pictures[0] = torch.tensor([200, 100, 50, 255], dtype=torch.uint8)
    pictures[1] = torch.tensor([0, 0, 255, 255], dtype=torch.uint8)
    wall = Occluder.of(corners, faces, cameras, 0.01)
    points = torch.tensor([[0.0, 0, 0], [0.05, 0, -0.1], [0.0, 0.05, 0.1], [0.0, 0.0, 0.0]])
    normals = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0]])
    seen = seen_colors(points, normals, Views(tuple(cameras), pictures), [wall])
    front = torch.tensor([200, 100, 50]) / 255
    assert seen.weight.gt(0).tolist() == [True, False, True, False]
    assert torch.allclose(seen.colors[[0, 2]], front.expand(2, 3), atol=1e-5)
    assert bool(wall.seen_faces.all())


def test_presets_are_valid_and_wrong_values_are_told():
    assert PRESETS["published"].steps == 3000
    assert len(PRESETS["published"].pitches) * PRESETS["published"].yaws == 120
    assert PRESETS["quick"].steps < 1000
    with pytest.raises(UserError, match="sh_degree of the initialization is 4"):
        InitializationConfig("x", sh_degree=4)
    with pytest.raises(UserError, match="pitches of the initialization"):
        InitializationConfig("x", pitches=(0.0,))
