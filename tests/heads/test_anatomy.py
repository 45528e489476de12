"""Regions, landmarks and eyelids that are carried over to foreign heads."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pipeline.heads.anatomy import anatomy
from pipeline.heads.anny_corrections import lid_gap
from pipeline.heads.anny_file import read_head_file
from pipeline.heads.rig import Landmarks
from pipeline.heads.surface_match import Surface3D, match, vertex_normals
from tests.heads.test_correspondence import FLAME_SKIN, found, model, true_places

KINDS = ("flame2023", "smplx")


@lru_cache(maxsize=4)
def anatomy_of(kind):
    return anatomy(*model(kind), found(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_landmarks_lie_where_they_lie_on_the_free_head(kind):
    head, landmarks = read_head_file(), anatomy_of(kind).landmarks
    truth = found(kind).template_points.clone()
    truth[:FLAME_SKIN] = torch.from_numpy(true_places()).float()
    places = landmarks.positions(truth, torch.from_numpy(model(kind)[1])).numpy()
    wanted = (head.template[head.faces[head.landmark_faces]] * head.landmark_barycentrics[..., None]).sum(1)
    off = dict(zip(landmarks.names, np.linalg.norm(places - wanted, axis=1), strict=True))
    assert landmarks.names == head.landmark_names
    assert max(off[f"ibug_{index}"] for index in range(68)) < 0.004
    assert np.median(list(off.values())) < 0.001
    assert off["pupil_left"] < 0.004
    assert off["pupil_right"] < 0.004


@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_those_of_the_free_head(kind):
    head, regions, faces = read_head_file(), anatomy_of(kind).regions, model(kind)[1]
    own = (faces < FLAME_SKIN).all(1)
    skin = np.flatnonzero(head.regions["skin"])
    nearest = skin[cKDTree(head.template[head.faces[skin]].mean(1)).query(true_places()[faces[own]].mean(1))[1]]
    outside = regions["skin"].numpy()[own]
    for name in ("lips", "eyelids", "ears", "face", "scalp", "neck"):
        wanted, labelled = head.regions[name][nearest] & outside, regions[name].numpy()[own]
        assert (wanted & labelled).sum() > 0.75 * (wanted | labelled).sum(), name
    assert regions["skin"].numpy()[own].mean() > 0.75
    assert not (regions["skin"] & regions["eye_left"]).any()
    assert (regions["iris_left"] & ~regions["eye_left"]).sum() == 0
    assert regions["iris_left"].any()


@pytest.mark.parametrize("kind", KINDS)
def test_eyelids_close_and_move_nothing_else(kind):
    vertices, _, weights, names = model(kind)
    eyelids = anatomy_of(kind).eyelids
    assert eyelids.shape == (2, len(vertices), 3)
    for side, lid in zip(("left", "right"), eyelids, strict=True):
        ball = weights[:, names.index(f"{side}_eye")] > 0.9
        moving = lid.norm(dim=1).numpy() > 1e-4
        middle = vertices[ball].mean(0)
        assert 30 < moving.sum() < 900
        assert not moving[ball].any()
        assert np.linalg.norm(vertices[moving] - middle, axis=1).max() < 0.045
        assert lid.norm(dim=1).max() < 0.016


def test_closed_lids_meet():
    head, (vertices, faces, _, _) = read_head_file(), model("flame2023")
    lids = anatomy_of("flame2023").eyelids.sum(0).numpy()
    laid = found("flame2023").laid.numpy().astype(np.float64)
    rims = np.concatenate(list(head.lid_rims.values()))
    skin = np.flatnonzero(anatomy_of("flame2023").regions["skin"].numpy())
    surface = Surface3D(vertices, faces, np.zeros(len(vertices)), skin)
    at = match(laid[rims], vertex_normals(laid, head.faces)[rims], np.zeros(len(rims)), surface)
    closing = laid.copy()
    closing[rims] += (lids[faces[at.faces]] * at.barycentrics[..., None]).sum(1)
    for side in ("left", "right"):
        opened, closed = lid_gap(head, laid, side), lid_gap(head, closing, side)
        assert opened.max() > 0.006
        assert np.abs(closed).max() < 0.0015


def test_official_landmarks_win():
    vertices, faces, weights, names = model("flame2023")
    official = Landmarks(("ibug_30", "unknown"), torch.tensor([5, 6]), torch.full((2, 3), 1 / 3))
    found_now = anatomy(vertices, faces, weights, names, found("flame2023"), official).landmarks
    plain = anatomy_of("flame2023").landmarks
    row = found_now.names.index("ibug_30")
    assert found_now.faces[row] == 5
    others = torch.arange(len(plain.names)) != row
    assert torch.equal(found_now.faces[others], plain.faces[others])


def test_another_person_of_the_model_has_its_lids_closed_too():
    vertices, faces, weights, names = model("flame2023")
    correspondence = found("flame2023")
    small = anatomy(vertices * 0.8, faces, weights, names, correspondence)
    ratio = small.eyelids.norm(dim=-1).max() / anatomy_of("flame2023").eyelids.norm(dim=-1).max()
    assert 0.7 < ratio < 0.9
    assert torch.equal(small.regions["lips"], anatomy_of("flame2023").regions["lips"])
