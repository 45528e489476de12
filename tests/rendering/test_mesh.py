"""Meshes: known shapes, what hides what, and the two backends against each other."""

from __future__ import annotations

import math

import pytest
import torch
import trimesh
from torch import Tensor

from pipeline.camera import Framing, orbit_camera
from pipeline.heads.anny import AnnyHead
from pipeline.rendering import mesh
from pipeline.rendering.cpu import mesh_frame
from pipeline.rendering.cpu.workers import Workers
from pipeline.rendering.mesh import Fragments, interpolate, rasterize_mesh, vertex_normals
from pipeline.rendering.mesh_torch import rasterize_views

SIDE = 96
FRONT = torch.eye(4)[None]
QUAD = torch.tensor([[0, 1, 2], [0, 2, 3]])


def views(*yaws: float, side: int = SIDE, fov: float = 30.0, distance: float = 3.0) -> tuple[Tensor, Tensor, int, int]:
    cameras = [orbit_camera(Framing((0.0, 0.0, 0.0), distance, fov), yaw, 10.0, side, side) for yaw in yaws]
    return torch.stack([c.viewmat for c in cameras]), torch.stack([c.K for c in cameras]), side, side


def sphere(subdivisions: int = 4, radius: float = 0.6) -> tuple[Tensor, Tensor]:
    ball = trimesh.creation.icosphere(subdivisions, radius)
    return torch.tensor(ball.vertices, dtype=torch.float32), torch.tensor(ball.faces, dtype=torch.int64)


def square(z: float, half: float = 1.0) -> Tensor:
    """Corners of `QUAD`, facing the camera of `FRONT`."""
    return torch.tensor([[-half, -half, z], [-half, half, z], [half, half, z], [half, -half, z]])


def pinhole(focal: float, side: int) -> Tensor:
    return torch.tensor([[[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]])


def random_triangles(count: int = 300) -> tuple[Tensor, Tensor]:
    """Triangles of all sizes that pierce each other, some of them outside the picture or behind the camera."""
    middles = torch.randn(count, 1, 3) * 0.8
    corners = middles + torch.randn(count, 3, 3) * torch.rand(count, 1, 1) ** 3
    return corners.reshape(-1, 3), torch.arange(3 * count).reshape(-1, 3)


def in_torch(vertices: Tensor, faces: Tensor, viewmats: Tensor, Ks: Tensor, width: int, height: int) -> Fragments:
    """What CUDA tensors go to, on the CPU."""
    return Fragments(*rasterize_views(mesh._screen(vertices, viewmats, Ks), faces, width, height, 0.01))


def test_normals_of_a_sphere_are_those_of_the_formula() -> None:
    vertices, faces = sphere()
    normals = vertex_normals(vertices, faces)
    torch.testing.assert_close(normals, vertices / 0.6, atol=8e-3, rtol=0)
    camera = views(0.0, 130.0)
    fragments = rasterize_mesh(vertices, faces, *camera)
    drawn = interpolate(fragments, faces, normals, 0.0)
    for number in range(2):
        expected, inside = sphere_normals(camera[0][number], camera[1][number])
        assert inside.sum() > 1000
        assert (fragments.face[number] >= 0)[inside].all()
        assert (drawn[number] - expected)[inside].abs().max() < 1e-2


def sphere_normals(viewmat: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Normals (H, W, 3) where the ray of a pixel meets the sphere of radius 0.6, and where it does so well inside."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    rays = torch.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], torch.ones_like(x)], -1)
    rays = rays / rays.norm(dim=-1, keepdim=True)
    middle = viewmat[:3, 3]
    along = rays @ middle
    room = 0.36 - (middle.square().sum() - along.square())
    hits = rays * (along - room.clamp_min(0).sqrt())[..., None]
    return (hits - middle) / 0.6 @ viewmat[:3, :3], room > 0.02


def test_depth_and_attributes_are_straight_in_space_and_not_on_the_screen() -> None:
    slanted = torch.tensor([[-1.0, -1, 2], [-1, 1, 2], [1, 1, 6], [1, -1, 6]])
    fragments = rasterize_mesh(slanted, QUAD, FRONT, pinhole(60, SIDE), SIDE, SIDE)
    inside = fragments.face[0] >= 0
    column = (torch.arange(SIDE) + 0.5 - SIDE / 2).expand(SIDE, SIDE) / 60
    depth = 4 / (1 - 2 * column)  # x = depth · column on the plane z = 4 + 2x
    assert inside.float().mean() > 0.1
    torch.testing.assert_close(fragments.depth[0][inside], depth[inside], rtol=1e-5, atol=0)
    x = interpolate(fragments, QUAD, slanted[:, :1], -9.0)[0, ..., 0]
    torch.testing.assert_close(x[inside], (depth * column)[inside], rtol=1e-4, atol=1e-5)
    assert (x[~inside] == -9).all()
    assert fragments.depth[0][~inside].isinf().all()
    assert (fragments.barycentrics[0][~inside] == 0).all()


def test_pixel_centres_decide_and_a_common_edge_leaves_no_gap() -> None:
    """A square from 10.2 to 20.7 pixels covers the centres 10.5 … 20.5."""
    corners = torch.tensor([[10.2, 10.2], [10.2, 20.7], [20.7, 20.7], [20.7, 10.2]])
    vertices = torch.cat([(corners - 16) / 32 * 2, torch.full((4, 1), 2.0)], 1)
    fragments = rasterize_mesh(vertices, QUAD, FRONT, pinhole(32, 32), 32, 32)
    rows, columns = (fragments.face[0] >= 0).nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (10, 20, 10, 20)
    assert len(rows) == 11 * 11


def test_the_nearer_face_wins_and_the_first_of_equals() -> None:
    vertices = torch.cat([square(3.0), square(2.0, 0.3), square(3.0)])
    faces = torch.cat([QUAD, QUAD + 4, QUAD + 8])
    face = rasterize_mesh(vertices, faces, FRONT, pinhole(60, SIDE), SIDE, SIDE).face[0]
    assert set(face.unique().tolist()) == {-1, 0, 1, 2, 3}
    assert face[SIDE // 2, SIDE // 2] in (2, 3)


def test_nothing_comes_of_faces_behind_the_camera_without_area_or_not_finite() -> None:
    crossing = square(1.0)
    crossing[0, 2] = -0.5
    line = torch.tensor([[0.0, 0, 2], [1, 0, 2], [2, 0, 2]])
    vertices = torch.cat([square(-2.0), crossing, line, torch.full((3, 3), math.nan)])
    faces = torch.cat([QUAD, QUAD[:1] + 4, torch.tensor([[8, 9, 10], [11, 12, 13], [0, 0, 0]])])
    for draw in (rasterize_mesh, in_torch):
        fragments = draw(vertices, faces, FRONT, pinhole(60, SIDE), SIDE, SIDE)
        assert (fragments.face == -1).all(), draw
    nothing = rasterize_mesh(vertices, faces[:0], FRONT, pinhole(60, SIDE), SIDE, SIDE)
    assert (nothing.face == -1).all()


@pytest.mark.parametrize("shape", ["head", "triangles"])
def test_both_backends_draw_the_same(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.rendering.mesh_torch.CANDIDATES", 5000)  # several chunks
    if shape == "head":
        rig = AnnyHead().rig
        vertices, faces, camera = rig.vertices, rig.faces, views(0.0, 70.0, side=160, fov=8.0)
    else:
        (vertices, faces), camera = random_triangles(), views(0.0, 160.0)
    ours, other = rasterize_mesh(vertices, faces, *camera), in_torch(vertices, faces, *camera)
    same = ours.face == other.face
    assert (ours.face >= 0).float().mean() > 0.2
    assert same.float().mean() > 0.999  # the others lie on edges
    hit = same & (ours.face >= 0)
    torch.testing.assert_close(ours.depth[hit], other.depth[hit], rtol=1e-4, atol=0)
    torch.testing.assert_close(ours.barycentrics[hit], other.barycentrics[hit], rtol=0, atol=1e-3)
    attributes = torch.rand(2, len(vertices), 3)
    corners, behind = torch.stack([faces, faces.flip(0)]), torch.tensor([1.0, 2.0, 3.0])
    expected = mesh._interpolate_torch(ours, corners, attributes, behind)
    torch.testing.assert_close(interpolate(ours, corners, attributes, behind), expected)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = random_triangles()
    camera = views(0.0, 90.0)

    def drawn(threads: int) -> list[Tensor]:
        monkeypatch.setattr(mesh_frame, "WORKERS", Workers(threads))
        fragments = rasterize_mesh(vertices, faces, *camera)
        return [*fragments, interpolate(fragments, faces, vertices, 1.0)]

    one = drawn(1)
    for threads in (2, 5):
        assert all(torch.equal(a, b) for a, b in zip(one, drawn(threads), strict=True))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vertices": torch.zeros(4, 2)}, r"vertices has shape \(4, 2\)"),
        ({"faces": QUAD.int()}, "faces is torch.int32"),
        ({"faces": QUAD + 1}, "faces names vertices 1 to 4; there are 4"),
        ({"Ks": pinhole(60, SIDE)[:0]}, r"Ks \(0, 3, 3\)"),
        ({"width": 0}, "0 × 96 pixels"),
        ({"near_plane": 0.0}, "near_plane is 0.0"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict, said: str) -> None:
    given = {"vertices": square(2.0), "faces": QUAD, "viewmats": FRONT, "Ks": pinhole(60, SIDE)}
    with pytest.raises(ValueError, match=said):
        rasterize_mesh(**(given | {"width": SIDE, "height": SIDE} | changed))
