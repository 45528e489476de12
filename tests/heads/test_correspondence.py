"""Where foreign heads are laid on the free head, against the truth that synthetic ones come with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.geometry import axis_angle_to_matrix
from pipeline.heads.anny_file import read_head_file
from pipeline.heads.correspondence import correspond
from pipeline.heads.registration import lower_share
from tests.heads.models import SMPLX_PARENTS, flame_arrays, smplx_arrays
from tests.heads.topology import FLAME_SKIN, topology

FLAME_JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
SMPLX_JOINTS = tuple(
    {22: "jaw", 23: "left_eye", 24: "right_eye"}.get(j, f"joint_{j}") for j in range(len(SMPLX_PARENTS))
)
KINDS = ("flame2020", "flame2023", "flame2023_open", "smplx")


@lru_cache(maxsize=8)
def model(kind):
    """Vertices, faces, weights and joint names."""
    arrays = smplx_arrays() if kind == "smplx" else flame_arrays(kind)
    names = SMPLX_JOINTS if kind == "smplx" else FLAME_JOINTS
    return np.array(arrays["v_template"]), arrays["f"].astype(np.int64), np.array(arrays["weights"]), names


@lru_cache(maxsize=8)
def found(kind):
    return correspond(*model(kind))


@lru_cache(maxsize=1)
def true_places():
    """(FLAME_SKIN, 3) template coordinates of the skin that both synthetic models share."""
    return topology().head_mixture @ read_head_file().template.astype(np.float64)


def errors(correspondence):
    """Metres, at every vertex of the head's skin that has a partner."""
    trusted = correspondence.vertices.numpy()
    trusted = trusted[trusted < FLAME_SKIN]
    return np.linalg.norm(correspondence.template_points.numpy()[trusted] - true_places()[trusted], axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_found(kind):
    off = errors(found(kind))
    assert len(off) > 0.75 * FLAME_SKIN
    assert np.median(off) < 0.001
    assert np.quantile(off, 0.95) < 0.003


@pytest.mark.parametrize("kind", KINDS)
def test_no_lip_is_taken_for_the_other(kind):
    head = read_head_file()
    correspondence, weights = found(kind), model(kind)[2]
    jaw = weights[correspondence.vertices, model(kind)[3].index("jaw")]
    corners = head.faces[correspondence.faces]
    lips = head.regions["lips"][correspondence.faces]
    side = (lower_share(head)[corners] * correspondence.barycentrics.numpy()).sum(1)
    assert lips.sum() > 100
    assert (side[lips & (jaw > 0.9)] > 0.5).all()
    assert (side[lips & (jaw < 0.1)] < 0.5).all()


@pytest.mark.parametrize("kind", ["flame2023", "smplx"])
def test_partners_and_template_points_agree(kind):
    head, correspondence = read_head_file(), found(kind)
    corners = head.template[head.faces[correspondence.faces]]
    partners = (corners * correspondence.barycentrics.numpy()[..., None]).sum(1)
    assert np.allclose(correspondence.barycentrics.sum(1), 1, atol=1e-5)
    assert np.abs(partners - correspondence.template_points.numpy()[correspondence.vertices]).max() < 2e-4


def test_eyeballs_lie_on_eyeballs():
    head, correspondence = read_head_file(), found("flame2023")
    ball = model("flame2023")[2][:, 3] == 1
    own = head.template[np.unique(head.faces[head.regions["eye_left"]])]
    middle = correspondence.template_points.numpy()[ball].mean(0)
    assert np.linalg.norm(middle - own.mean(0)) < 0.002


def test_a_head_of_another_size_place_and_tilt_is_found_as_well():
    vertices, faces, weights, names = model("flame2023")
    tilt = axis_angle_to_matrix(torch.tensor([[0.08, 0.04, -0.03]]))[0].numpy()
    moved = 1.2 * vertices @ tilt.T + (0.4, -0.2, 1.0)
    off = errors(correspond(moved, faces, weights, names))
    assert np.median(off) < 0.0015
    assert np.quantile(off, 0.95) < 0.004


def test_a_weak_jaw_and_landmarks_do_no_harm():
    vertices, faces, weights, names = model("flame2020")
    soft = weights.copy()
    soft[:, 2] = weights[:, 2] ** 2
    soft[:, 1] += weights[:, 2] - soft[:, 2]
    head = read_head_file()
    rows = [row for row, name in enumerate(head.landmark_names) if name.startswith("ibug_")]
    laid = found("flame2020").laid.numpy()
    corners = laid[head.faces[head.landmark_faces[rows]]]
    points = (corners * head.landmark_barycentrics[rows][..., None]).sum(1)
    marks = {head.landmark_names[row]: point for row, point in zip(rows, points, strict=True)}
    assert np.median(errors(correspond(vertices, faces, soft, names, marks))) < 0.001


def test_a_jaw_that_is_no_joint_leaves_the_lips_to_their_normals():
    off = errors(correspond(*model("flame2023_no_jaw")))
    assert np.median(off) < 0.0015


def test_the_same_model_gives_the_same_result():
    again = correspond(*model("flame2023"))
    assert torch.equal(again.template_points, found("flame2023").template_points)
    assert torch.equal(again.faces, found("flame2023").faces)


def test_the_laid_head_follows_another_person_of_the_model():
    correspondence = found("flame2023")
    moved = correspondence.registered * 1.1 + torch.tensor([0.0, 0.3, 0.0])
    expected = correspondence.laid * 1.1 + torch.tensor([0.0, 0.3, 0.0])
    inside = correspondence.laid[:, 1] > correspondence.registered[:, 1].min()
    assert (correspondence.laid_on(moved) - expected)[inside].norm(dim=1).quantile(0.95) < 0.003
    assert torch.allclose(correspondence.laid_on(correspondence.registered), correspondence.laid, atol=1e-6)


def test_a_model_without_eyes_is_refused():
    vertices, faces, weights, names = model("flame2023")
    blind = weights.copy()
    blind[:, 1] += blind[:, 3]
    blind[:, 3] = 0
    with pytest.raises(UserError, match="no eyeball that turns with left_eye"):
        correspond(vertices, faces, blind, names)
    with pytest.raises(UserError, match="no joint left_eye"):
        correspond(vertices, faces, weights[:, :3], names[:3])
