"""HeadStudio's start, and the splats that a phase moves."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from pipeline.avatar import Layer, SplatAvatar
from pipeline.heads.anny import AnnyHead
from pipeline.heads.rig_tools import append_mesh
from pipeline.stages.super_dense import super_dense, trained_mask
from tests.stages.small import small_avatar
from tests.synthetic import synthetic_rig

RIG = AnnyHead().rig


@torch.no_grad()
def test_each_triangle_has_as_many_splats_and_they_lie_on_it():
    rig = synthetic_rig()
    avatar = super_dense(rig, per_triangle=7)
    assert torch.bincount(avatar.face.long()).tolist() == [7] * len(rig.faces)
    splats = avatar.gaussians(rig.vertices)
    corners = rig.vertices[rig.faces[avatar.face.long()]]
    normals = normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)
    off = ((splats.means - corners[:, 0]) * normals).sum(1)
    assert float(off.abs().max()) < 1e-6
    weights = torch.linalg.solve(corners.transpose(1, 2), splats.means[..., None])[..., 0]
    assert float(weights.min()) > -1e-3
    assert float(weights.max()) < 1 + 1e-3
    assert torch.allclose(weights.mean(0), torch.full((3,), 1 / 3), atol=0.02)
    assert torch.allclose(splats.opacities, torch.tensor(0.1))
    assert torch.allclose(splats.colors, torch.tensor(0.641), atol=1e-3)


def test_splats_are_as_large_as_their_neighbours_are_far():
    rig = synthetic_rig()
    splats = super_dense(rig, per_triangle=4).gaussians(rig.vertices)
    distances = torch.cdist(splats.means.double(), splats.means.double()).sort(dim=1).values[:, 1:4]
    expected = distances.square().mean(1).sqrt().float()[:, None].expand(-1, 3)
    assert torch.allclose(splats.scales, expected, rtol=1e-3)


def test_units_are_converted_without_moving_anything():
    """HeadStudio's own values, local to frame and √area of the triangle, place the same splats in the world."""
    rig = synthetic_rig()
    avatar = super_dense(rig, per_triangle=3)
    splats = avatar.gaussians(rig.vertices)
    corners = rig.vertices[rig.faces[avatar.face.long()]]
    edge = corners[:, 1] - corners[:, 0]
    normal = torch.linalg.cross(edge, corners[:, 2] - corners[:, 0])
    root = (normal.norm(dim=1) / 2).sqrt()[:, None]
    n, z = normalize(normal, dim=1), normalize(edge, dim=1)
    x = torch.linalg.cross(z, n)
    frame = torch.stack([x, torch.linalg.cross(z, x), z], dim=2)
    theirs = (frame.transpose(1, 2) @ (splats.means - corners.mean(1))[..., None])[..., 0] / root
    world = root * (frame @ theirs[..., None])[..., 0] + corners.mean(1)
    assert torch.allclose(world, splats.means, atol=1e-6)
    ours = avatar.means.detach()
    assert torch.allclose(ours[:, 0].abs() > 0, theirs[:, 2].abs() > 0)
    unit = ours[:, 0] / theirs[:, 2]  # the shared axis, the first edge: only the unit differs
    sides = edge.norm(dim=1), normal.norm(dim=1) / edge.norm(dim=1)
    assert torch.allclose(unit, root[:, 0] / ((sides[0] + sides[1]) / 2), rtol=1e-3)


def test_the_same_seed_gives_the_same_splats():
    rig = synthetic_rig()
    assert torch.equal(super_dense(rig, 3).means, super_dense(rig, 3).means)
    assert not torch.equal(super_dense(rig, 3).means, super_dense(rig, 3, seed=1).means)


def test_parts_of_the_free_head_have_their_layers():
    avatar = super_dense(RIG, per_triangle=2)
    face = avatar.face.long()
    for layer, names in ((Layer.EYE, ("eye_left", "iris_right")), (Layer.MOUTH, ("teeth", "tongue", "inner_mouth"))):
        for name in names:
            assert set(avatar.layer[RIG.regions[name][face]].tolist()) == {layer}
    assert set(avatar.layer[RIG.regions["neck"][face]].tolist()) == {Layer.SKIN}
    assert len(face) == 2 * len(RIG.faces)


def test_what_hair_hangs_on_gets_no_splats():
    rig = synthetic_rig()
    weights = torch.zeros(3, len(rig.joint_names))
    weights[:, 4] = 1
    caged = append_mesh(rig, torch.rand(3, 3), torch.tensor([[0, 1, 2]]), weights, "hair_cage")
    avatar = super_dense(caged, per_triangle=2)
    assert len(avatar.face) == 2 * len(rig.faces)
    assert int(avatar.face.max()) < len(rig.faces)


def test_a_phase_of_the_eyes_moves_eyes_and_what_is_round_them():
    avatar = small_avatar()
    mask = trained_mask(avatar, "eyes")
    assert bool(mask[avatar.layer == Layer.EYE].all())
    assert not bool(mask[torch.isin(avatar.layer, torch.tensor([Layer.HAIR, Layer.CLOTH, Layer.MOUTH]))].any())
    skin = avatar.layer == Layer.SKIN
    lids = avatar.rig.regions["eyelids"][avatar.face.long()]
    assert bool(mask[skin & lids].all())
    assert bool((skin & lids).any())
    assert not bool(mask[avatar.rig.regions["neck"][avatar.face.long()]].any())


def test_a_phase_of_the_mouth_moves_what_is_inside():
    avatar = small_avatar()
    mask = trained_mask(avatar, "mouth")
    inside = avatar.rig.regions["inner_mouth"][avatar.face.long()] & (avatar.layer == Layer.SKIN)
    assert torch.equal(mask & (avatar.layer == Layer.SKIN), inside)
    assert bool(mask[avatar.layer == Layer.MOUTH].all())
    assert not bool(mask[avatar.layer == Layer.EYE].any())
    assert bool(trained_mask(avatar, "all").all())


def test_glasses_and_hair_before_the_eyes_stay():
    lids = torch.nonzero(RIG.regions["eyelids"])[:4, 0]
    layers = torch.tensor([Layer.SKIN, Layer.HAIR, Layer.ACCESSORY, Layer.BROW], dtype=torch.uint8)
    avatar = SplatAvatar.from_parts(
        RIG, face=lids, means=torch.zeros(4, 3), quats=torch.ones(4, 4), log_scales=torch.zeros(4, 3),
        opacity_logits=torch.zeros(4), sh=torch.zeros(4, 1, 3), layer=layers,
    )  # fmt: skip
    assert trained_mask(avatar, "eyes").tolist() == [True, False, False, True]
