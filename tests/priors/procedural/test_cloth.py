"""Clothes: they cover the torso without holes, hang on it, and leave the head alone."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from pipeline.avatar import Layer
from pipeline.camera import portrait_camera
from pipeline.geometry import matrix_to_quaternion
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.cloth import covered, make_cloth, neckline
from pipeline.priors.procedural.surface import Surface
from pipeline.rendering.rasterize import rasterize

PEOPLE = {
    "man in a t-shirt": Attributes(seed=1, gender=0.0, age=30.0),
    "woman in a suit": Attributes(seed=2, gender=1.0, age=50.0, clothing="suit"),
    "girl in a t-shirt": Attributes(seed=3, gender=1.0, age=8.0),
    "heavy man in a suit": Attributes(seed=4, gender=0.0, age=70.0, weight=0.9, clothing="suit"),
}


@pytest.fixture(scope="module", params=list(PEOPLE))
def dressed(request):
    attributes = PEOPLE[request.param]
    surface = Surface(AnnyHead(attributes.phenotype(), attributes.local_changes))
    return attributes, surface, make_cloth(surface, attributes, np.random.default_rng(0))


def test_the_same_person_is_dressed_in_the_same_bytes(dressed):
    attributes, surface, cloth = dressed
    again = make_cloth(surface, attributes, np.random.default_rng(0))
    assert all(getattr(cloth, f.name).tobytes() == getattr(again, f.name).tobytes() for f in fields(cloth))


def test_few_and_sound_splats(dressed):
    _, surface, cloth = dressed
    assert 4_000 < len(cloth) <= 18_500
    assert (cloth.layer == Layer.CLOTH).all()
    assert np.isfinite(cloth.position).all()
    assert cloth.scale.min() > 0
    assert cloth.scale.max() < 0.02
    assert ((cloth.opacity >= 0) & (cloth.opacity <= 1)).all()
    assert ((cloth.face >= 0) & (cloth.face < len(surface.faces))).all()
    assert np.allclose(np.linalg.norm(cloth.normal, axis=1), 1, atol=1e-4)


def test_cloth_lies_outside_of_the_skin(dressed):
    _, surface, cloth = dressed
    near = surface.nearest(cloth.position)
    above = ((cloth.position - near.position) * near.normal).sum(1)
    assert np.quantile(above, 0.01) > -1e-3


def test_cloth_does_not_turn_with_the_head(dressed):
    _, surface, cloth = dressed
    rig = surface.rig
    expression, rotations = rig.neutral()
    rotations[0, rig.joint_index("head"), 1] = 0.5
    moved = (rig.pose(expression, rotations)[0] - rig.vertices).norm(dim=1).numpy()
    assert moved[surface.faces[cloth.face]].max() < 1e-3


def test_skin_is_hidden_below_the_neckline_only(dressed):
    attributes, surface, _ = dressed
    hidden = covered(attributes, surface.template)
    for region in ("face", "scalp", "ears", "lips"):
        assert not hidden[np.unique(surface.faces[surface.regions[region]])].any()
    below = surface.template[:, 1] < neckline(attributes).height(np.array([0.0])) - 0.01
    assert hidden[below].all()


def test_no_hole_in_front_and_behind(dressed):
    _, surface, cloth = dressed
    for yaw in (0.0, 180.0):
        camera = portrait_camera(surface.rig, 96, 96, yaw=yaw)
        _, alphas, _ = rasterize(
            torch.from_numpy(cloth.position),
            matrix_to_quaternion(torch.from_numpy(cloth.rotation)),
            torch.from_numpy(cloth.scale),
            torch.from_numpy(cloth.opacity),
            torch.from_numpy(cloth.albedo),
            camera.viewmat[None],
            camera.K[None],
            96,
            96,
            rasterize_mode="antialiased",
        )
        lowest_rows = alphas[0, -8:, 24:72, 0]
        assert lowest_rows.min() > 0.97


def test_a_suit_shows_jacket_shirt_and_tie():
    attributes = Attributes(
        seed=5, gender=0.0, age=40.0, clothing="suit", clothing_color="navy", shirt_color="white", tie_color="red"
    )
    surface = Surface(AnnyHead(attributes.phenotype()))
    red, green, blue = make_cloth(surface, attributes, np.random.default_rng(0)).albedo.T
    assert (blue > 1.5 * red).sum() > 5_000
    assert (np.minimum(red, blue) > 0.4).sum() > 2_000
    assert (red > 4 * green).sum() > 600
