"""SplatAvatar: local and world agree, both posing paths agree, and a saved avatar comes back the same."""

import pytest
import torch

from pipeline.avatar import Layer, SplatAvatar
from pipeline.geometry import quaternion_to_matrix
from tests.synthetic import synthetic_avatar, synthetic_rig


def test_from_world_puts_splats_where_they_were():
    rig = synthetic_rig()
    count = 200
    face = torch.randint(0, len(rig.faces), (count,))
    means = torch.randn(count, 3) * 0.1
    quats = torch.nn.functional.normalize(torch.randn(count, 4), dim=-1)
    scales = torch.rand(count, 3) * 0.01 + 0.001
    opacities = torch.rand(count) * 0.9 + 0.05
    colors = torch.rand(count, 3)
    layer = torch.full((count,), int(Layer.HAIR), dtype=torch.uint8)
    avatar = SplatAvatar.from_world(
        rig, face=face, means=means, quats=quats, scales=scales, opacities=opacities, colors=colors, layer=layer
    )
    with torch.no_grad():
        posed = avatar.gaussians(rig.vertices)
    assert torch.allclose(posed.means, means, atol=1e-5)
    assert torch.allclose(posed.scales, scales, rtol=1e-3)
    assert torch.allclose(quaternion_to_matrix(posed.quats), quaternion_to_matrix(quats), atol=1e-4)
    assert torch.allclose(posed.opacities, opacities, atol=1e-4)
    assert torch.allclose(posed.colors, colors, atol=1e-5)


def test_fast_and_differentiable_paths_agree():
    avatar = synthetic_avatar()
    expression = torch.rand(1, len(avatar.rig.expression_names))
    vertices = avatar.rig.pose(expression, torch.randn(1, len(avatar.rig.joint_names), 3) * 0.3)[0]
    with torch.no_grad():
        fast = avatar.gaussians(vertices)
    slow = avatar.gaussians(vertices.clone().requires_grad_())
    for name in ("means", "scales", "opacities", "sh"):
        assert torch.allclose(getattr(fast, name), getattr(slow, name), atol=1e-6), name
    assert torch.allclose(quaternion_to_matrix(fast.quats), quaternion_to_matrix(slow.quats), atol=1e-5)


def test_gradients_reach_vertices_and_splats():
    avatar = synthetic_avatar()
    vertices = avatar.rig.vertices.clone().requires_grad_()
    posed = avatar.gaussians(vertices)
    (posed.means.square().sum() + posed.scales.sum() + posed.quats[:, 1].sum()).backward()
    assert vertices.grad is not None
    assert vertices.grad.abs().sum() > 0
    assert avatar.means.grad is not None
    assert avatar.log_scales.grad is not None


def test_saved_avatar_comes_back_the_same(tmp_path):
    avatar = synthetic_avatar()
    avatar.save_pretrained(tmp_path / "a")
    loaded = SplatAvatar.from_pretrained(tmp_path / "a")
    for name, value in avatar.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert loaded.rig.joint_names == avatar.rig.joint_names
    assert loaded.rig.drivers == avatar.rig.drivers
    assert loaded.rig.landmarks.names == avatar.rig.landmarks.names
    pose = avatar.rig.neutral()
    assert torch.equal(loaded.rig.pose(*pose), avatar.rig.pose(*pose))


def test_view_dependent_colour_in_the_rest_frame_is_refused():
    avatar = synthetic_avatar()
    with pytest.raises(ValueError, match="world frame"):
        SplatAvatar.from_parts(
            avatar.rig,
            face=avatar.face, means=avatar.means, quats=avatar.quats, log_scales=avatar.log_scales,
            opacity_logits=avatar.opacity_logits, sh=avatar.sh.repeat(1, 4, 1), layer=avatar.layer,
        )  # fmt: skip


def test_the_rig_moves_with_the_avatar():
    avatar = synthetic_avatar()
    assert avatar.rig.vertices.dtype == torch.float32
    rig = avatar.double().rig
    expression, rotations = rig.neutral()
    assert rig.pose(expression, rotations).dtype == expression.dtype == torch.float64
