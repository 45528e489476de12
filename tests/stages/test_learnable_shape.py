"""Heads whose shape is learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.heads.anny import AnnyHead
from pipeline.heads.anny_corrections import LID_OVERLAP, lid_gap
from pipeline.heads.anny_file import read_head_file
from pipeline.heads.rig import Fit, ModelIdentity
from pipeline.heads.rig_tools import append_mesh
from pipeline.stages.learnable_shape import learnable_shape
from tests.synthetic import synthetic_rig

RIG = AnnyHead({"age": 0.7, "gender": 1.0}).rig


@pytest.fixture(scope="module")
def shape():
    return learnable_shape(RIG)


def test_nothing_moves_at_the_start(shape):
    zero = torch.zeros(shape.count)
    for rig in (shape.rig(zero), shape.baked(zero)):
        assert torch.equal(rig.vertices, RIG.vertices)
        assert torch.equal(rig.joints, RIG.joints)
        assert torch.allclose(rig.expressions, RIG.expressions, atol=1e-6)


def test_the_widest_directions_come_first_and_are_people(shape):
    sizes = shape.vertex_dirs.flatten(1).norm(dim=1)
    assert torch.equal(sizes, sizes.sort(descending=True).values)
    head = RIG.joint_index("head")
    assert float(shape.joint_dirs[:, head].norm()) < 1e-6  # the origin stays
    across = shape.vertex_dirs.flatten(1) @ shape.vertex_dirs.flatten(1).T
    assert float((across - torch.diag(across.diagonal())).abs().max()) < 0.1 * float(sizes[0] ** 2)
    moved = shape.rig(2 * torch.eye(shape.count)[1])
    eyes = [moved.landmarks.names.index(name) for name in ("pupil_left", "pupil_right")]
    points = moved.landmarks.positions(moved.vertices, moved.faces)[eyes]
    assert float((points[0] * torch.tensor([-1.0, 1, 1]) - points[1]).norm()) < 2e-3  # both sides alike
    balls = moved.joints[[RIG.joint_index("left_eye"), RIG.joint_index("right_eye")]]
    assert float((points - balls).norm(dim=1).max()) < 0.025  # the eye joints went with the eyes


def test_coefficients_are_learned_by_gradient(shape):
    """A known face is found again from its vertices."""
    wanted = torch.zeros(shape.count)
    wanted[:5] = torch.tensor([1.0, -1.0, 0.5, 0.8, -0.4])
    target = shape.rig(wanted).pose(*RIG.neutral())
    found = torch.zeros(shape.count, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=40, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        error = 1e3 * (shape.rig(found).pose(*RIG.neutral()) - target).square().sum()
        error.backward()
        return error

    optimizer.step(loss)
    assert torch.allclose(found.detach(), wanted, atol=0.05)


def test_lids_close_on_a_baked_face(shape):
    head = read_head_file()
    coefficients = torch.zeros(shape.count)
    coefficients[2:12] = 1.0
    moved, baked = shape.rig(coefficients), shape.baked(coefficients)
    assert torch.equal(moved.vertices, baked.vertices)
    for side in ("Left", "Right"):
        blink = baked.expressions[baked.expression_index(f"eyeBlink{side}")]
        gap = lid_gap(head, (baked.vertices + blink).numpy(), side.lower())
        assert abs(gap + LID_OVERLAP).max() < 3e-4


def test_hair_goes_along(shape):
    weights = torch.zeros(3, len(RIG.joint_names))
    weights[:, RIG.joint_index("head")] = 1
    top = RIG.vertices[RIG.vertices[:, 1].argmax()]
    caged = append_mesh(RIG, top + 1e-4 * torch.eye(3), torch.tensor([[0, 1, 2]]), weights, "hair_cage")
    whole = learnable_shape(caged)
    coefficients = torch.eye(whole.count)[0]
    moved = whole.baked(coefficients)
    crown = shape.vertex_dirs[0, int(RIG.vertices[:, 1].argmax())]
    assert torch.allclose(moved.vertices[-3:] - caged.vertices[-3:], crown.expand(3, 3), atol=2e-4)
    assert len(moved.faces) == len(caged.faces)


def test_heads_of_unknown_make_keep_their_shape():
    assert learnable_shape(synthetic_rig()) is None
    fit = Fit((), (), (), (), (), (), (2.78,), (0.0, 0.0))
    assert learnable_shape(replace(RIG, model=ModelIdentity("smplx", "smplx2020", "", (), "assets", fit))) is None
