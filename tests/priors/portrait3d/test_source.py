"""A tri-grid is looked at as AnimPortrait3D looks at it, and its surface is where it is."""

import pytest
import torch

from pipeline.priors.portrait3d.source import TriGridSource
from pipeline.rendering.mesh import vertex_normals
from tests.priors.portrait3d.relief import HALF, known_scene

SIZE = 128
SKIN = torch.tensor([[0.0, 0.6], [0.05, 0.55], [-0.06, 0.5], [0.0, 0.64]])
"""Places (x, y) on the forehead."""


@pytest.fixture(scope="module")
def source():
    scene = known_scene()
    return TriGridSource(scene.trigrid, scene.painter, resolution=64)


@pytest.fixture(scope="module")
def views(source):
    return source.look([source.orbit.camera(90, 90, SIZE), source.orbit.camera(270, 90, SIZE)])


def project(points, camera):
    """Rows and columns of pixels (M,)."""
    seen = (points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
    pixels = (seen[:, :2] / seen[:, 2:]).long()
    return pixels[:, 1], pixels[:, 0]


@pytest.mark.parametrize("side", ["front", "back"])
def test_pictures_show_the_side_that_the_camera_is_on(source, views, side):
    relief, row = known_scene().relief, ["front", "back"].index(side)
    places = ((SKIN / HALF + 1) / 2 * len(relief.front)).long()
    heights, colors = (getattr(relief, name)[places[:, 1], places[:, 0]] for name in (side, f"{side}_color"))
    rows, columns = project(torch.cat([SKIN, heights[:, None]], 1), views.cameras[row])
    shown = views.pictures[row, rows, columns].float() / 255
    assert (shown[:, 3] > 0.98).all()
    torch.testing.assert_close(shown[:, :3], colors, atol=0.04, rtol=0)


def test_what_is_partly_covered_has_the_colour_of_what_covers_it(views):
    picture = views.pictures[0].float() / 255
    top = picture[: SIZE // 3]  # skin alone
    rim = top[(top[..., 3] > 0.1) & (top[..., 3] < 0.95)]
    whole = top[top[..., 3] > 0.98]
    assert len(rim) > 5
    torch.testing.assert_close(rim[:, :3].mean(0), whole[:, :3].mean(0), atol=0.1, rtol=0)
    assert not picture[:4, :, 3].any()


def test_the_surface_is_where_the_relief_ends(source):
    relief = known_scene().relief
    surface = source.surface()
    first, second = relief.inside(surface.vertices)
    assert torch.minimum(first, second).abs().median() < 2e-3
    assert torch.minimum(first, second).abs().quantile(0.95) < 0.015  # smoothed over cells of 0.033
    normals = vertex_normals(surface.vertices, surface.faces)
    thick = first + second > 0.2
    assert (normals[thick & (second > first), 2] > 0).float().mean() > 0.97
    expected = relief.color(surface.vertices)[thick]
    assert (surface.colors[thick] - expected).abs().mean() < 0.02


def test_only_a_parser_and_a_detector_know_more(source):
    assert source.label([]) is None
    assert source.landmarks([]) is None
