"""What the free head lends to a model, and how it moves there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.heads import load_head
from pipeline.heads.borrowed_parts import complete_head
from pipeline.heads.skeleton import neck_joint, skull_joint, trunk_joint, trunk_share
from pipeline.heads.surface_match import border_vertices

LENT = ("teeth_upper", "teeth_lower", "tongue", "lashes_left", "lashes_right")


@pytest.fixture(scope="module", params=["flame", "smplx"])
def heads(request, model_folder):
    """The model's own head, and the complete one."""
    head = load_head(request.param, path=next(model_folder.glob("SMPLX*" if request.param == "smplx" else "flame*")))
    return head, complete_head(head.rig, head.correspondence)


def vertices_of(rig, region):
    return rig.faces[rig.regions[region]].unique()


def posed(rig, rotations=None, expression=None):
    values, turns = rig.neutral()
    for name, turn in (rotations or {}).items():
        turns[0, rig.joint_index(name)] = torch.tensor(turn)
    for index, value in (expression or {}).items():
        values[0, index] = value
    return rig.pose(values, turns)[0]


def test_the_model_itself_stays_as_it_was(heads):
    head, complete = heads
    count, faces = len(head.rig.vertices), len(head.rig.faces)
    assert torch.equal(complete.rig.vertices[:count], head.rig.vertices)
    assert torch.equal(complete.rig.faces[:faces], head.rig.faces)
    assert torch.equal(complete.rig.expressions[:, :count], head.rig.expressions)
    assert torch.equal(complete.rig.weights[:count], head.rig.weights)
    assert len(complete.template_points) == len(complete.rig.vertices) > count
    assert all(complete.rig.regions[name].any() for name in LENT)
    assert torch.allclose(complete.rig.weights.sum(1), torch.ones(len(complete.rig.vertices)), atol=1e-5)


def test_teeth_ride_on_skull_and_jaw_in_their_own_shape(heads):
    _, complete = heads
    rig = complete.rig
    moved = posed(rig, {"jaw": [0.3, 0.0, 0.0]})
    upper, lower = vertices_of(rig, "teeth_upper"), vertices_of(rig, "teeth_lower")
    assert torch.allclose(moved[upper], rig.vertices[upper], atol=1e-6)
    assert (moved[lower] - rig.vertices[lower]).norm(dim=1).min() > 0.005
    spread = torch.pdist(rig.vertices[upper]) / torch.pdist(complete.template_points[upper]).clamp_min(1e-6)
    far = torch.pdist(rig.vertices[upper]) > 0.02
    assert spread[far].std() / spread[far].mean() < 0.05


def test_teeth_stand_behind_closed_lips(heads):
    _, complete = heads
    rig = complete.rig
    teeth = rig.vertices[vertices_of(rig, "teeth")]
    lips = rig.vertices[vertices_of(rig, "lips")]
    front = teeth[teeth[:, 2] > teeth[:, 2].max() - 0.01]
    assert front[:, 2].max() < lips[:, 2].max() - 0.003
    assert lips[:, 0].min() - 0.015 < front[:, 0].min() < front[:, 0].max() < lips[:, 0].max() + 0.015


def test_the_lining_follows_lips_and_expressions(heads):
    head, complete = heads
    rig, own = complete.rig, len(head.rig.vertices)
    lent = vertices_of(rig, "inner_mouth")
    lent = lent[lent >= own]
    lips = vertices_of(rig, "lips")
    distance, nearest = torch.cdist(rig.vertices[lent], rig.vertices[lips]).min(1)
    close = distance < 0.002
    assert close.sum() >= 3
    for component in range(5):
        moved = posed(rig, expression={component: 2.0}) - rig.vertices
        assert (moved[lent[close]] - moved[lips[nearest[close]]]).norm(dim=1).median() < 0.0015


def test_lashes_close_with_the_lids(heads):
    _, complete = heads
    rig = complete.rig
    moved = posed(rig, expression={rig.expression_index("eyelid_left"): 1.0}) - rig.vertices
    assert moved[vertices_of(rig, "lashes_left")].norm(dim=1).max() > 0.005
    assert moved[vertices_of(rig, "lashes_right")].norm(dim=1).max() < 1e-6


def test_a_torso_to_dress_is_there_and_stays_when_the_head_turns(heads):
    head, complete = heads
    rig = complete.rig
    low = rig.vertices[vertices_of(rig, "torso")][:, 1].min()
    assert low < rig.joints[trunk_joint(rig), 1] + 0.05
    assert np.ptp(rig.vertices[vertices_of(rig, "torso"), 0].numpy()) > 0.3
    moved = posed(rig, {rig.joint_names[skull_joint(rig)]: [0.0, 0.5, 0.0]})
    steady = trunk_share(rig) > 0.99
    assert steady.sum() > 300
    assert torch.allclose(moved[steady], rig.vertices[steady], atol=0.004)
    ends = border_vertices(head.rig.faces.numpy())
    lent = rig.vertices[len(head.rig.vertices) :]
    lowest = ends[head.rig.vertices[ends, 1] < head.rig.vertices[ends, 1].min() + 0.01]
    gaps = torch.cdist(head.rig.vertices[lowest], lent).min(1).values
    assert head.rig.vertices[:, 1].min() < low + 0.02 or gaps.max() < 0.012


def test_joints_are_known_by_what_they_do(heads):
    head, _ = heads
    rig = head.rig
    names = [rig.joint_names[joint(rig)] for joint in (skull_joint, neck_joint, trunk_joint)]
    assert names in (["neck", "root", "root"], ["head", "neck", rig.joint_names[trunk_joint(rig)]])
    free = load_head("anny").rig
    assert [free.joint_names[j(free)] for j in (skull_joint, neck_joint, trunk_joint)] == ["head", "neck02", "torso"]
    assert torch.equal(trunk_share(free), free.weights[:, 0])
