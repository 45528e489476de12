"""A mesh added to a rig follows its own weights and leaves the rig as it was."""

import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.rig_tools import append_mesh, without_expressions
from tests.synthetic import synthetic_rig

TRIANGLE = torch.tensor([[0.1, -0.1, 0.0], [0.1, -0.12, 0.0], [0.12, -0.1, 0.02]])
FACE = torch.tensor([[0, 1, 2]])


def weights(rig, **shares):
    out = torch.zeros(3, len(rig.joint_names))
    for name, share in shares.items():
        out[:, rig.joint_index(name)] = share
    return out


def test_the_rig_itself_is_unchanged():
    rig = synthetic_rig()
    longer = append_mesh(rig, TRIANGLE, FACE, weights(rig, head=1.0), "hair_cage")
    expression = torch.rand(2, len(rig.expression_names))
    rotations = torch.randn(2, len(rig.joint_names), 3) * 0.3
    assert torch.equal(longer.faces[:-1], rig.faces)
    assert torch.allclose(longer.pose(expression, rotations)[:, :-3], rig.pose(expression, rotations), atol=1e-6)
    for name, mask in rig.regions.items():
        assert torch.equal(longer.regions[name][:-1], mask)
        assert not longer.regions[name][-1]


def test_the_added_mesh_moves_with_its_joints_and_not_with_expressions():
    rig = synthetic_rig()
    longer = append_mesh(rig, TRIANGLE, FACE, weights(rig, torso=1.0), "hair_cage")
    expression, rotations = longer.neutral()
    expression = expression + 1
    rotations[0, rig.joint_index("head")] = torch.tensor([0.3, 0.5, 0.1])
    assert torch.allclose(longer.pose(expression, rotations)[0, -3:], TRIANGLE, atol=1e-7)
    assert longer.faces[-1].tolist() == [len(rig.vertices) + i for i in range(3)]
    assert longer.regions["hair_cage"].nonzero().flatten().tolist() == [len(rig.faces)]


def test_a_second_mesh_joins_the_same_region():
    rig = synthetic_rig()
    share = weights(rig, head=0.5, torso=0.5)
    twice = append_mesh(append_mesh(rig, TRIANGLE, FACE, share, "hair_cage"), TRIANGLE, FACE, share, "hair_cage")
    assert int(twice.regions["hair_cage"].sum()) == 2
    assert all(len(mask) == len(twice.faces) for mask in twice.regions.values())


@pytest.mark.parametrize(
    ("vertices", "faces", "change", "message"),
    [
        (TRIANGLE[:, :2], FACE, 1.0, "vertices"),
        (TRIANGLE, torch.tensor([[0, 1, 3]]), 1.0, "indices"),
        (TRIANGLE, FACE, 0.5, "sum to 1"),
    ],
)
def test_what_does_not_fit_is_named(vertices, faces, change, message):
    rig = synthetic_rig()
    with pytest.raises(UserError, match=message):
        append_mesh(rig, vertices, faces, weights(rig, head=1.0) * change, "hair_cage")


def test_too_many_joints_are_refused():
    rig = synthetic_rig()
    spread = torch.zeros(3, len(rig.joint_names))
    spread[:, :5] = 0.2
    with pytest.raises(UserError, match="more than 4"):
        append_mesh(rig, TRIANGLE, FACE, spread, "hair_cage")


def test_a_channel_taken_out_leaves_the_others_and_their_drivers():
    rig = synthetic_rig()
    fewer = without_expressions(rig, ("eyeLookUpLeft", "not there"))
    assert fewer.expression_names == ("eyeLookUpRight", "jawOpen", "mouthSmileLeft")
    weights = torch.tensor([[0.4, 0.6, 0.8]])
    full = torch.cat([torch.zeros(1, 1), weights], dim=1)
    torch.testing.assert_close(fewer.driven_rotations(weights), rig.driven_rotations(full))
    still = torch.zeros(1, len(rig.joint_names), 3)
    torch.testing.assert_close(fewer.pose(weights, still), rig.pose(full, still))
