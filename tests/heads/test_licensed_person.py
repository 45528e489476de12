"""Persons of the free head on licensed models, and the same persons again."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads import AnnyHead, load_head
from pipeline.heads.licensed_person import licensed_person, stored_person
from pipeline.heads.resemblance import LARGEST, resemble
from pipeline.stages.learnable_shape import learnable_shape

PERSON = AnnyHead({"gender": 0.9, "age": 0.8, "asian": 0.9, "caucasian": 0.1}, {"nose-hump-incr": 0.6})


def distance(rig, correspondence, person):
    """Metres (M,) between partners after the best rigid fit."""
    rows = correspondence.vertices
    here = rig.vertices[rows].double().numpy()
    corners = person.vertices[person.faces[correspondence.faces]]
    there = (corners * correspondence.barycentrics[..., None]).sum(1).double().numpy()
    here, there = here - here.mean(0), there - there.mean(0)
    left, _, right = np.linalg.svd(there.T @ here)
    return np.linalg.norm(here @ (left @ right).T - there, axis=1)


@pytest.mark.parametrize("kind", ["flame", "smplx"])
def test_a_model_takes_on_the_person(models, kind):
    head = load_head(kind)
    complete = licensed_person(kind, PERSON)
    before = distance(head.rig, head.correspondence, PERSON.rig)
    after = distance(complete.rig, head.correspondence, PERSON.rig)
    assert np.median(after) < 0.35 * np.median(before)
    assert np.median(after) < 0.0025
    assert max(map(abs, complete.rig.model.shape)) <= LARGEST + 1e-3
    assert (complete.rig.model.kind, complete.rig.model.release) == (kind, head.release)


def test_coefficients_stay_small_for_whom_the_model_cannot_be(models):
    head = load_head("flame")
    child = AnnyHead({"age": 0.0, "weight": 1.0})
    place = head.correspondence
    found = resemble(place.registered.numpy(), head.shape_dirs.numpy(), place, child.rig)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= LARGEST


def test_the_same_person_comes_back_from_its_identity(models):
    made = licensed_person("flame2023", PERSON)
    again = stored_person(made.rig.model)
    assert torch.equal(again.rig.vertices, made.rig.vertices)
    assert torch.equal(again.rig.faces, made.rig.faces)


def test_another_release_in_the_same_archive_is_another_model(models, flame_file, monkeypatch, tmp_path):
    """Of one archive with two models the one that was asked for is taken, not the preferred one."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(flame_file("flame2023"), "flame2023.pkl")
        archive.write(flame_file("flame2023_open"), "flame2023_Open.pkl")
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    made = licensed_person("flame2023_open", PERSON)
    assert made.rig.basis == made.rig.model.release == "flame2023_open"
    assert torch.equal(stored_person(made.rig.model).rig.vertices, made.rig.vertices)


def test_a_model_file_that_was_replaced_is_read_again(flame_file, monkeypatch, tmp_path):
    def person_in(folder):
        monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(folder))
        return licensed_person("flame", PERSON).rig.vertices

    shutil.copy(flame_file("flame2023"), tmp_path / "model.pkl")
    before = person_in(tmp_path)
    shutil.copy(flame_file("flame2020"), tmp_path / "model.pkl")
    after = person_in(tmp_path)
    assert not torch.equal(after, before)
    assert torch.equal(after, person_in(flame_file("flame2020").parent))


def test_without_the_file_there_is_a_sentence(models, monkeypatch, tmp_path):
    identity = licensed_person("flame", PERSON).rig.model
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path))
    with pytest.raises(UserError, match=r"'flame' needs a model file of your own"):
        licensed_person("flame", PERSON)
    with pytest.raises(UserError, match="stands on FLAME 2023, whose file is not stored with it"):
        stored_person(replace(identity, content="0" * 64))


@pytest.mark.parametrize("kind", ["flame", "smplx"])
def test_a_shape_that_is_learned_is_the_model_s_own_person(models, kind):
    """The rig is moved along the model's directions; at the end the model makes the same person."""
    rig = licensed_person(kind, PERSON).rig
    shape = learnable_shape(rig)
    coefficients = torch.zeros(shape.count)
    coefficients[:4] = torch.tensor([0.5, -0.3, 0.2, 0.4])
    moved, baked = shape.rig(coefficients), shape.baked(coefficients)
    own = load_head(kind).shape_dirs.shape[1]
    assert float((moved.vertices[:own] - rig.vertices[:own]).norm(dim=1).max()) > 1e-3
    assert torch.allclose(moved.vertices[:own], baked.vertices[:own], atol=1e-4)
    assert torch.allclose(moved.joints, baked.joints, atol=1e-4)
    assert torch.equal(moved.faces, baked.faces)
    borrowed = (moved.vertices - baked.vertices)[own:].norm(dim=1)
    assert float(borrowed.median()) < 0.002  # teeth and neck: moved like the nearest skin
    learned = torch.tensor(rig.model.shape[:4]) + coefficients[:4]
    assert baked.model.shape[:4] == pytest.approx(learned.tolist(), abs=1e-4)
