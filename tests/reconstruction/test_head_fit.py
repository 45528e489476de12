"""The free head finds a known one again: from noisy landmarks, with a surface, and from a surface alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead
from pipeline.reconstruction.head_fit import fit_head
from pipeline.reconstruction.multiview import Observed, Part, Surface
from pipeline.reconstruction.usual_place import usual_place
from tests.reconstruction.portraits import ORBIT, cameras_of_the_fit, portrait

LIMIT = 1.5e-3
"""Metres: the mean error on the face."""
CAMERAS = cameras_of_the_fit()


@pytest.fixture(scope="module")
def person():
    head = AnnyHead({"gender": 0.8, "age": 0.75, "asian": 0.9, "weight": 0.7}, {"nose-hump-incr": 0.5})
    return portrait(head.rig, mouthSmileLeft=0.3, mouthSmileRight=0.3, jawOpen=0.05)


@pytest.fixture(scope="module")
def by_landmarks(person):
    return fit_head("anny", person.observed(CAMERAS), CAMERAS, None, person.start())


def test_the_free_head_from_noisy_landmarks(person, by_landmarks):
    assert float(person.error(by_landmarks).mean()) < 0.9e-3
    assert float(person.error(by_landmarks).quantile(0.95)) < 2.5e-3
    assert "230 of which are seen" in by_landmarks.notes[0]


def test_the_same_comes_out_again_bit_for_bit(person, by_landmarks):
    again = fit_head("anny", person.observed(CAMERAS), CAMERAS, None, person.start())
    assert torch.equal(again.vertices(), by_landmarks.vertices())
    assert torch.equal(again.rig.vertices, by_landmarks.rig.vertices)
    assert torch.equal(again.expression, by_landmarks.expression)


def test_what_comes_out_is_a_head_like_any_other(by_landmarks):
    rig, plain = by_landmarks.rig, AnnyHead().rig
    assert rig.expression_names == plain.expression_names
    assert rig.drivers == plain.drivers
    assert by_landmarks.template_points.shape == rig.vertices.shape
    assert float(rig.joints[rig.joint_index("head")].norm()) < 1e-6
    assert float((rig.joints - plain.joints).norm(dim=1).max()) < 0.05
    opened = rig.neutral()[0]
    opened[0, rig.expression_index("jawOpen")] = 1.0
    assert float((rig.pose(opened, rig.neutral()[1])[0] - rig.vertices).norm(dim=1).max()) > 0.01


def test_a_smile_is_found_as_a_smile(by_landmarks):
    """The rest of it passes for the person's own mouth: a portrait is taken to be nearly neutral."""
    sides = [by_landmarks.rig.expression_index(f"mouthSmile{side}") for side in ("Left", "Right")]
    assert 0.05 < float(by_landmarks.expression[0, sides].mean()) < 0.4
    assert float(by_landmarks.expression.max()) < 0.3
    assert float(by_landmarks.rotations.abs().max()) == 0  # the turn of the whole is its place


def test_landmarks_and_surface_together_place_the_neck_too(person, by_landmarks):
    both = fit_head("anny", person.observed(CAMERAS), CAMERAS, person.surface())
    assert float(person.error(both).mean()) < float(person.error(by_landmarks).mean())
    assert float(person.error(both, "scalp").mean()) < 0.6 * float(person.error(by_landmarks, "scalp").mean())


def test_the_surface_alone_does(person):
    found = fit_head("anny", None, CAMERAS, person.surface(), person.start())
    assert float(person.error(found).mean()) < LIMIT
    assert "no landmarks" in found.notes[0]


def test_hair_and_clothes_do_not_push_the_head_out(person, by_landmarks):
    """A shell 2 cm off the scalp and the torso, said to be hair: the fit stays what landmarks make it."""
    bald, rig = person.surface(), person.rig
    covered = (rig.regions["scalp"] | rig.regions["torso"])[shown_faces(rig)]
    normals = torch.zeros_like(bald.vertices)
    corners = bald.vertices[bald.faces]
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals.index_add_(0, bald.faces.flatten(), across.repeat_interleave(3, 0))
    lifted = torch.zeros(len(bald.vertices), dtype=torch.bool)
    lifted[bald.faces[covered].unique()] = True
    off = 0.02 * person.place.scale * torch.nn.functional.normalize(normals, dim=1) * lifted[:, None]
    for parts in (None, torch.where(covered, int(Part.HAIR), int(Part.FACE)).to(torch.uint8)):
        haired = Surface(bald.vertices + off, bald.faces, parts=parts)
        fit = fit_head("anny", person.observed(CAMERAS), CAMERAS, haired)
        assert float(person.error(fit).mean()) < 1.2 * float(person.error(by_landmarks).mean())


def shown_faces(rig):
    return (rig.regions["skin"] | rig.regions["eye_left"] | rig.regions["eye_right"]) & ~rig.regions["inner_mouth"]


def test_cameras_of_any_world_tell_where_a_head_usually_is(person):
    """A world 3 times as large and elsewhere."""
    larger = replace(ORBIT, centre=torch.tensor([1.0, 2.0, 3.0]), target=torch.tensor([1.0, 2.684, 3.0]), radius=7.95)
    rig = person.rig
    found = usual_place(rig.landmarks, rig.vertices, rig.faces, [larger.camera(yaw, 80, 64) for yaw in (45, 90, 135)])
    pupil = rig.landmarks.positions(rig.vertices, rig.faces)[rig.landmarks.names.index("pupil_left")]
    assert found.scale == pytest.approx(3 * 2.778, rel=1e-3)
    assert found.to_source(pupil.double())[1:].tolist() == pytest.approx([2 + 3 * 0.394, 3 + 3 * 0.31], abs=0.02)


def test_nothing_to_fit_to_is_refused():
    with pytest.raises(UserError, match="there is neither"):
        fit_head("anny", None, CAMERAS, None)
    unknown = Observed(("ear_tip",), torch.zeros(9, 1, 2), torch.ones(9, 1))
    with pytest.raises(UserError, match="0 of the landmarks"):
        fit_head("anny", unknown, CAMERAS, None)
