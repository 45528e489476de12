import pytest
import torch

from pipeline.avatar import Layer, SplatAvatar
from pipeline.geometry import triangle_frames
from pipeline.heads.anny import AnnyHead
from pipeline.stages.regularizers import (
    Start,
    adaptive_penalties,
    headstudio_unit,
    position_penalty,
    scale_penalty,
)
from tests.synthetic import synthetic_rig

RIG = synthetic_rig(1)


def placed(means: list[list[float]], scales: list[list[float]]) -> SplatAvatar:
    count = len(means)
    return SplatAvatar.from_parts(
        RIG,
        face=torch.arange(count),
        means=torch.tensor(means),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        log_scales=torch.tensor(scales).log(),
        opacity_logits=torch.zeros(count),
        sh=torch.zeros(count, 1, 3),
        layer=torch.full((count,), int(Layer.HAIR)),
    )


def as_started(avatar: SplatAvatar) -> Start:
    return Start(avatar.means.detach().clone(), avatar.log_scales.detach().clone())


def test_hair_that_begins_far_away_and_large_costs_nothing():
    avatar = placed([[30.0, 2.0, -7.0], [0.0, 0.0, 0.0]], [[5.0, 0.1, 3.0], [0.1, 0.1, 0.1]])
    start = as_started(avatar)
    assert position_penalty(avatar, start) == 0
    assert scale_penalty(avatar, start) == 0
    (position_penalty(avatar, start) + scale_penalty(avatar, start)).backward()
    assert avatar.means.grad.isfinite().all()  # also at the centroid, where the distance has no derivative
    assert not avatar.means.grad.any()
    assert not avatar.log_scales.grad.any()


def test_position_penalty_is_the_distance_beyond_one_triangle():
    avatar = placed([[30.0, 0, 0], [0.0, 2.5, 0]], [[0.1] * 3] * 2)
    start = Start(torch.tensor([[27.0, 0, 0], [0.0, 0, 0]]), avatar.log_scales.detach())
    torch.testing.assert_close(position_penalty(avatar, start), torch.tensor((2.0 + 1.5) / 2))


def test_scale_penalty_sums_what_exceeds_a_fifth_or_the_start():
    avatar = placed([[0.0] * 3] * 3, [[0.5, 0.6, 0.1], [0.3, 0.2, 0.2], [0.9, 0.1, 0.1]])
    start = Start(avatar.means.detach(), torch.tensor([[0.1] * 3, [0.1] * 3, [0.8, 0.1, 0.1]]).log())
    torch.testing.assert_close(scale_penalty(avatar, start), torch.tensor(0.5 + 0.1 + 0.1))


def test_adaptive_penalties_equal_the_formula_splat_by_splat():
    draws = torch.Generator().manual_seed(3)
    count = len(RIG.faces)
    avatar = placed(
        (torch.randn(count, 3, generator=draws) * 0.5).tolist(), (torch.rand(count, 3, generator=draws) + 0.1).tolist()
    )
    unit, corners = 6.0, RIG.vertices[RIG.faces]
    gaussians = avatar.gaussians(RIG.vertices)
    place, size = adaptive_penalties(gaussians, avatar.face.long(), corners, unit)
    origin = triangle_frames(RIG.vertices, RIG.faces).origin
    places, sizes = [], []
    for n in range(count):
        a, b, c = corners[n] * unit
        reach = 0.5 * max(float((corner - origin[n] * unit).norm()) for corner in (a, b, c))
        root = float(0.5 * torch.linalg.cross(b - a, c - a).norm()) ** 0.5
        offset = (gaussians.means[n].detach() - origin[n]) * unit
        if float(offset.norm()) > reach:
            places.append(sum(0.5 * float(x) ** 2 for x in offset) / 3 / root)
        sizes += [float(s) * unit / root for s in gaussians.scales[n].detach() if float(s) * unit > reach]
    assert 0 < len(places) < count
    assert 0 < len(sizes) < 3 * count
    torch.testing.assert_close(place.detach(), torch.tensor(sum(places) / len(places)), rtol=1e-4, atol=0)
    torch.testing.assert_close(size.detach(), torch.tensor(sum(sizes) / len(sizes)), rtol=1e-4, atol=0)


def test_headstudios_units_are_those_of_its_flame():
    rig = AnnyHead().rig
    names = rig.landmarks.names
    points = rig.landmarks.positions(rig.vertices, rig.faces)
    eyes = (points[names.index("pupil_left"), 1] + points[names.index("pupil_right"), 1]) / 2
    face = float(eyes - points[names.index("ibug_8"), 1])
    assert headstudio_unit(rig) * face == pytest.approx(1.556 / 2.6, rel=1e-4)


def test_adaptive_penalties_of_small_splats_at_home_are_zero():
    avatar = placed([[0.0] * 3] * 5, [[0.01] * 3] * 5)
    corners = RIG.vertices[RIG.faces]
    place, size = adaptive_penalties(avatar.gaussians(RIG.vertices), avatar.face.long(), corners, 10.0)
    (place + size).backward()
    assert place == 0
    assert size == 0
    assert not avatar.means.grad.any()
