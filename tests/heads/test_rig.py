"""Blendshapes and skinning against an explicit float64 loop."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.geometry import axis_angle_to_matrix
from tests.synthetic import synthetic_rig


def skin_by_hand(rig, expression, rotations):
    shaped = rig.vertices.double() + torch.einsum("e,evc->vc", expression.double(), rig.expressions.double())
    local = []
    for joint, parent in enumerate(rig.parents):
        transform = torch.eye(4, dtype=torch.float64)
        transform[:3, :3] = axis_angle_to_matrix(rotations[joint].double())
        at = rig.joints[joint].double()
        transform[:3, 3] = at - transform[:3, :3] @ at
        local.append(transform if parent < 0 else local[parent] @ transform)
    homogeneous = torch.cat([shaped, torch.ones(len(shaped), 1)], dim=1)
    return sum(rig.weights[:, j : j + 1].double() * (homogeneous @ local[j].T)[:, :3] for j in range(len(local)))


def test_pose_matches_skinning_by_hand():
    rig = synthetic_rig()
    expression = torch.rand(3, len(rig.expression_names))
    rotations = torch.randn(3, len(rig.joint_names), 3) * 0.4
    posed = rig.pose(expression, rotations)
    for t in range(3):
        assert torch.allclose(posed[t].double(), skin_by_hand(rig, expression[t], rotations[t]), atol=1e-6)


def test_neutral_pose_is_the_rest_mesh():
    rig = synthetic_rig()
    assert torch.allclose(rig.pose(*rig.neutral())[0], rig.vertices, atol=1e-7)


def test_pose_is_differentiable():
    rig = synthetic_rig()
    expression, rotations = (value.requires_grad_() for value in rig.neutral())
    rig.pose(expression, rotations)[0, :, 1].sum().backward()
    assert expression.grad.abs().sum() > 0
    assert torch.isfinite(rotations.grad).all()


def test_drivers_turn_their_joint():
    rig = synthetic_rig()
    expression = torch.zeros(1, len(rig.expression_names))
    expression[0, rig.expression_index("eyeLookUpLeft")] = 0.5
    turned = rig.driven_rotations(expression)
    assert torch.allclose(turned[0, rig.joint_index("left_eye")], torch.tensor([-0.2, 0, 0]))
    assert turned[0, rig.joint_index("right_eye")].abs().sum() == 0


def test_wrong_shapes_and_names_say_what_would_be_right():
    rig = synthetic_rig()
    with pytest.raises(UserError, match=r"expression has shape \(1, 9\); this rig takes \(frames, 4\)"):
        rig.pose(torch.zeros(1, 9), rig.neutral()[1])
    with pytest.raises(UserError, match=r"rotations have shape \(2, 7, 3\)"):
        rig.pose(rig.neutral()[0], torch.zeros(2, 7, 3))
    with pytest.raises(UserError, match="no joint 'tail'"):
        rig.joint_index("tail")
