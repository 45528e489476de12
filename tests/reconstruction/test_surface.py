"""Surfaces of densities whose level set is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
import trimesh
from torch import Tensor

from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.reconstruction.smoothing import smooth
from pipeline.reconstruction.surface import decimate, extract_surface, split

LOW, HIGH = -torch.ones(3), torch.ones(3)
LEVEL = 15.0


def ball(points: Tensor, radius: float = 0.7, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    """Denser than `LEVEL` within a ball, empty far outside."""
    return (LEVEL + 40 * (radius - (points - torch.tensor(centre)).norm(dim=-1))).clamp(-100, 100)


def torus(points: Tensor) -> Tensor:
    ring = torch.stack([points[:, :2].norm(dim=-1) - 0.6, points[:, 2]], -1)
    return LEVEL + 10 * (0.2 - ring.norm(dim=-1))


def head_like(points: Tensor) -> Tensor:
    """A ball with a sharp nose, and a hollow in its middle, which a decoder does not know to be solid."""
    nose = ball(points, 0.15, (0.0, 0.0, 0.7))
    hollow = 40 * (points.norm(dim=-1) - 0.3)
    return torch.minimum(torch.maximum(ball(points), nose), LEVEL + hollow)


def mesh(surface: Surface) -> trimesh.Trimesh:
    return trimesh.Trimesh(surface.vertices.numpy(), surface.faces.numpy(), process=False)


def test_a_ball_is_found_exactly() -> None:
    surface = extract_surface(ball, LOW, HIGH, 48, LEVEL)
    assert (surface.vertices.norm(dim=-1) - 0.7).abs().max() < 1e-6
    found = mesh(surface)
    assert found.is_watertight
    assert found.is_winding_consistent
    assert found.euler_number == 2
    assert found.volume == pytest.approx(4 / 3 * math.pi * 0.7**3, rel=0.01)


def test_a_ring_has_its_hole_and_its_place() -> None:
    surface = extract_surface(lambda points: torus(points - 0.25), LOW, HIGH + 0.5, 64, LEVEL)
    assert (torus(surface.vertices - 0.25) - LEVEL).abs().max() < 1e-4
    assert mesh(surface).is_watertight
    assert mesh(surface).euler_number == 0
    assert torch.allclose(surface.vertices.mean(0), torch.full((3,), 0.25), atol=0.01)


def test_floaters_and_what_lies_inside_are_left_out() -> None:
    def scene(points: Tensor) -> Tensor:
        inside = ball(points, 0.12)
        floater = ball(points, 0.045, (0.85, 0.85, 0.85))
        return torch.stack([head_like(points), inside, floater]).amax(0)

    alone = extract_surface(head_like, LOW, HIGH, 48, LEVEL)
    found = extract_surface(scene, LOW, HIGH, 48, LEVEL)
    assert torch.equal(alone.vertices, found.vertices)
    assert torch.equal(alone.faces, found.faces)
    assert mesh(found).euler_number == 2
    assert found.vertices.norm(dim=-1).min() > 0.69


def test_two_heads_apart_are_both_kept() -> None:
    def scene(points: Tensor) -> Tensor:
        return torch.maximum(ball(points, 0.3, (-0.5, 0.0, 0.0)), ball(points, 0.2, (0.5, 0.0, 0.0)))

    found = extract_surface(scene, LOW, HIGH, 32, LEVEL)
    assert mesh(found).euler_number == 4
    assert found.vertices[:, 0].amax() > 0.69


def test_the_surface_is_closed_where_the_box_cuts_it() -> None:
    def column(points: Tensor) -> Tensor:
        return LEVEL + 10 * (0.5 - points[:, ::2].norm(dim=-1))

    found = extract_surface(column, LOW, HIGH, 32, LEVEL)
    assert mesh(found).is_watertight
    assert mesh(found).volume == pytest.approx(math.pi / 2, rel=0.01)
    assert found.vertices[:, 1].amin() == -1
    assert found.vertices[:, 1].amax() == 1


def test_thin_things_are_followed_between_the_coarse_points() -> None:
    def strand(points: Tensor) -> Tensor:
        """A ball with a needle, thinner than a block, that no coarse grid point is in."""
        needle = 100 * (0.035 - (points[:, :2] - torch.tensor([0.065, 0.06])).norm(dim=-1))
        return torch.maximum(ball(points, 0.4), torch.where(points[:, 2].abs() < 0.9, LEVEL + needle, -100.0))

    asked: list[int] = []

    def counted(points: Tensor) -> Tensor:
        asked.append(len(points))
        return strand(points)

    found = extract_surface(counted, LOW, HIGH, 64, LEVEL, chunk=5000)
    assert found.vertices[:, 2].amax() > 0.87
    assert found.vertices[:, 2].amin() < -0.87
    assert sum(asked) < 0.4 * 65**3
    assert max(asked) == 5000


def test_a_steep_density_is_found_within_an_eighth_of_a_cell() -> None:
    def solid(points: Tensor) -> Tensor:
        return torch.where(points.norm(dim=-1) < 0.7, 500.0, -1000.0)

    found = extract_surface(solid, LOW, HIGH, 48, LEVEL)
    assert (found.vertices.norm(dim=-1) - 0.7).abs().max() < 2 / 48 / 8


def test_no_surface_is_told_with_the_level() -> None:
    with pytest.raises(UserError, match=r"density 15: the densest .* has -1e\+03; give a lower"):
        extract_surface(lambda points: torch.full((len(points),), -1000.0), LOW, HIGH, 16, LEVEL)
    with pytest.raises(UserError, match=r"density 15: even the emptiest place has 99; give a higher"):
        extract_surface(lambda points: torch.full((len(points),), 99.0), LOW, HIGH, 16, LEVEL)


def test_a_density_that_is_no_number_is_told_with_its_place() -> None:
    def broken(points: Tensor) -> Tensor:
        return torch.where(points[:, 0] > 0.9, torch.nan, ball(points))

    with pytest.raises(UserError, match=r"the density at \[1.0, .* is not a finite number"):
        extract_surface(broken, LOW, HIGH, 16, LEVEL)


def test_decimation_keeps_the_shape_closed() -> None:
    surface = extract_surface(head_like, LOW, HIGH, 48, LEVEL)
    few = decimate(surface, 3000)
    assert 2900 <= len(few.faces) <= 3000
    assert mesh(few).is_watertight
    assert mesh(few).euler_number == 2
    assert ((head_like(few.vertices) - LEVEL) / 40).abs().max() < 0.02
    assert mesh(few).volume == pytest.approx(mesh(surface).volume, rel=0.005)
    assert decimate(few, 3000) is few


def test_smoothing_takes_noise_and_leaves_the_size() -> None:
    surface = extract_surface(ball, LOW, HIGH, 32, LEVEL)
    noise = 0.01 * torch.randn(surface.vertices.shape, generator=torch.Generator().manual_seed(1))
    rough = Surface(surface.vertices + noise, surface.faces)
    smoothed = smooth(rough)
    before, after = ((each.vertices.norm(dim=-1) - 0.7).abs().mean() for each in (rough, smoothed))
    assert after < 0.4 * before
    assert mesh(smoothed).volume == pytest.approx(mesh(surface).volume, rel=0.01)


def test_smoothing_leaves_an_open_border_in_its_plane() -> None:
    row = torch.arange(20)
    x, y = torch.meshgrid(row, row, indexing="ij")
    height = torch.randn(20, 20, generator=torch.Generator().manual_seed(2))
    height[[0, -1]] = height[:, [0, -1]] = 0
    first = (20 * x + y)[:-1, :-1].reshape(-1, 1)
    faces = torch.cat([first + torch.tensor([0, 20, 21]), first + torch.tensor([0, 21, 1])])
    sheet = Surface(torch.stack([x, y, height], -1).reshape(-1, 3).float(), faces)
    smoothed = smooth(sheet).vertices.view(20, 20, 3)
    assert smoothed[[0, -1], :, 2].abs().max() == 0
    assert smoothed[5:-5, 0, 1].abs().max() < 0.02
    assert smoothed[..., 2].std() < 0.5 * height.std()


def test_split_keeps_faces_whole_and_vertices_few() -> None:
    surface = extract_surface(ball, LOW, HIGH, 16, LEVEL)
    parts = torch.where(surface.vertices[surface.faces].mean(1)[:, 1] > 0, int(Part.HAIR), int(Part.CLOTH))
    coloured = Surface(surface.vertices, surface.faces, surface.vertices / 2 + 0.5, parts.to(torch.uint8))
    found = split(coloured)
    assert set(found) == {Part.HAIR, Part.CLOTH}
    assert sum(len(each.faces) for each in found.values()) == len(surface.faces)
    for part, each in found.items():
        assert each.colors is not None
        assert torch.equal(each.colors, each.vertices / 2 + 0.5)
        assert each.parts is not None
        assert (each.parts == part).all()
        assert len(each.faces.unique()) == len(each.vertices) < 0.6 * len(surface.vertices)
        whole = surface.vertices[surface.faces[parts == part]]
        assert torch.equal(each.vertices[each.faces], whole)
    with pytest.raises(ValueError, match="no parts"):
        split(surface)
