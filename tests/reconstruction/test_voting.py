"""Parts of surfaces, voted for by labels that are known in closed form, and told from a head that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import trimesh
from torch import Tensor

from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Part, Surface
from pipeline.reconstruction.voting import vote
from pipeline.stages.cameras import Orbit

ORBIT = Orbit(torch.zeros(3), torch.zeros(3), 4.0, 35.0, 4.0)
CAMERAS = [ORBIT.camera(yaw, polar, 96) for polar in (60.0, 95.0) for yaw in range(0, 360, 60)]


def sphere() -> Surface:
    found = trimesh.creation.icosphere(3, 1.0)
    return Surface(torch.tensor(found.vertices).float(), torch.tensor(found.faces).long())


def truth(points: Tensor) -> Tensor:
    """`Part` of points (..., 3) on the sphere: hair above, a face in front, a collar below."""
    part = torch.where(points[..., 2] > 0.3, int(Part.FACE), int(Part.SKIN))
    part = torch.where(points[..., 1] > 0.5, int(Part.HAIR), part)
    return torch.where(points[..., 1] < -0.5, int(Part.CLOTH), part)


def labels_of(camera: Camera) -> Tensor:
    """What every pixel shows of the unit sphere, by its ray."""
    rows, columns = torch.meshgrid(*(torch.arange(size) + 0.5 for size in (camera.height, camera.width)), indexing="ij")
    rays = (
        torch.stack([columns, rows, torch.ones_like(rows)], -1) @ torch.linalg.inv(camera.K).T @ camera.viewmat[:3, :3]
    )
    rays = torch.nn.functional.normalize(rays, dim=-1)
    along = -(rays @ camera.position)
    beside = along.square() - camera.position.square().sum() + 1
    points = camera.position + (along - beside.clamp_min(0).sqrt())[..., None] * rays
    return torch.where(beside > 0, truth(points), int(Part.BACKGROUND)).to(torch.uint8)


def inner(surface: Surface) -> Tensor:
    """(F,) triangles with one part in truth, and away from the hair, which grows."""
    corners = truth(surface.vertices[surface.faces])
    near_hair = (surface.vertices[surface.faces][..., 1] > 0.3).any(1) & (corners != Part.HAIR).any(1)
    return (corners == corners[:, :1]).all(1) & ~near_hair


def test_every_triangle_is_what_its_pixels_show() -> None:
    surface = sphere()
    found = vote(surface, CAMERAS, torch.stack([labels_of(camera) for camera in CAMERAS]))
    certain = inner(surface)
    expected = truth(surface.vertices[surface.faces].mean(1))
    assert certain.float().mean() > 0.7
    assert found.parts is not None
    assert found.parts.dtype == torch.uint8
    assert (found.parts[certain] == expected[certain]).all()


def test_hair_grows_by_one_ring() -> None:
    surface = sphere()
    parts = vote(surface, CAMERAS, torch.stack([labels_of(camera) for camera in CAMERAS])).parts
    middles = surface.vertices[surface.faces].mean(1)
    edge = middles[parts == Part.HAIR][:, 1].amin()
    assert 0.3 < edge < 0.45  # a triangle is 0.13 high; the labels end at 0.5


def test_one_wrong_view_is_outvoted_and_background_does_not_vote() -> None:
    surface = sphere()
    labels = torch.stack([labels_of(camera) for camera in CAMERAS])
    spoiled = labels.clone()
    spoiled[3] = torch.where(labels[3] > 0, int(Part.CLOTH), 0).to(torch.uint8)
    spoiled[0, ::2] = Part.BACKGROUND
    certain = inner(surface)
    expected = vote(surface, CAMERAS, labels).parts
    found = vote(surface, CAMERAS, spoiled).parts
    assert expected is not None
    assert found is not None
    assert (found == expected)[certain].float().mean() > 0.97


def test_pixels_beside_the_surface_do_not_vote_for_its_last_triangle() -> None:
    surface = sphere()
    last = surface.vertices[surface.faces[-1]].mean(0)
    labels = torch.stack([labels_of(camera) for camera in CAMERAS])
    labels[labels == Part.BACKGROUND] = Part.CLOTH  # a parser that takes the wall for a shirt
    found = vote(surface, CAMERAS, labels).parts
    assert found is not None
    assert truth(last) != Part.CLOTH
    assert found[-1] == truth(last)


def test_what_no_view_sees_is_what_lies_nearest() -> None:
    front = [camera for camera in CAMERAS if camera.position[2] > 2]
    found = vote(sphere(), front, torch.stack([labels_of(camera) for camera in front]))
    behind = found.vertices[found.faces].mean(1)[:, 2] < -0.8
    assert found.parts is not None
    assert (found.parts > 0).all()
    assert set(found.parts[behind].tolist()) <= {Part.SKIN, Part.HAIR, Part.CLOTH}


def test_labels_of_another_scene_or_size_are_refused() -> None:
    nothing = torch.zeros(len(CAMERAS), 96, 96, dtype=torch.uint8)
    with pytest.raises(UserError, match="no view shows a labelled part"):
        vote(sphere(), CAMERAS, nothing)
    with pytest.raises(ValueError, match="do not fit a camera"):
        vote(sphere(), CAMERAS, nothing[:, :50])


def test_the_order_of_the_views_makes_no_difference() -> None:
    labels = torch.stack([labels_of(camera) for camera in CAMERAS])
    one = vote(sphere(), CAMERAS, labels).parts
    other = vote(replace(sphere()), CAMERAS[::-1], labels.flip(0)).parts
    assert one is not None
    assert other is not None
    assert (one == other).float().mean() > 0.999  # sums of floats in another order
