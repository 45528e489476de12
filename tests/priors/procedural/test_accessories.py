"""Glasses and earrings: where they sit and what they hang on."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.accessories import make_accessories
from pipeline.priors.procedural.attributes import Attributes
from pipeline.priors.procedural.metal import polished
from pipeline.priors.procedural.palette import METAL_COLORS, linear_rgb
from pipeline.priors.procedural.surface import Surface

WOMAN = Attributes(seed=1, gender=1.0, age=30.0)
CHILD = Attributes(seed=2, gender=0.0, age=7.0)


@pytest.fixture(scope="module", params=[WOMAN, CHILD], ids=["woman", "child"])
def bare(request):
    return request.param, Surface(AnnyHead(request.param.phenotype(), request.param.local_changes))


def wear(bare, **worn):
    attributes, surface = bare
    return make_accessories(surface, replace(attributes, **worn), np.random.default_rng(0))


def test_nothing_worn_is_no_splats(bare):
    assert len(wear(bare)) == 0


@pytest.mark.parametrize("shape", ["round", "square"])
@pytest.mark.parametrize("color", ["black", "gold"])
def test_glasses_sit_on_the_face(bare, shape, color):
    _, surface = bare
    frame = wear(bare, glasses=shape, glasses_color=color)
    assert 500 < len(frame) < 4_000
    near = surface.nearest(frame.position)
    above = ((frame.position - near.position) * near.normal).sum(1)
    assert np.quantile(above, 0.005) > -2.5e-3
    rig = surface.rig
    for side in ("left", "right"):
        eye = rig.joints[rig.joint_index(f"{side}_eye")].numpy()
        rim = frame.position[(np.linalg.norm(frame.position[:, :2] - eye[:2], axis=1) < 0.035 * surface.size)]
        assert np.abs(rim[:, :2].mean(0) - eye[:2]).max() < 0.008
        assert rim[:, 2].max() > eye[2] + 0.012 * surface.size
        ear_top = surface.project_template([[0.0775 if side == "left" else -0.0775, 0.7345, 0.050]])[0]
        assert np.linalg.norm(frame.position - ear_top, axis=1).min() < 6e-3


def test_glasses_stay_still_while_the_face_moves(bare):
    _, surface = bare
    faces = np.unique(wear(bare, glasses="round").face)
    assert len(faces) == 1
    rig = surface.rig
    expression, rotations = rig.neutral()
    for name in ("browInnerUp", "browDownLeft", "jawOpen", "mouthSmileLeft", "cheekSquintLeft"):
        expression[0, rig.expression_index(name)] = 1.0
    moved = (rig.pose(expression, rotations)[0] - rig.vertices).norm(dim=1).numpy()
    assert moved[surface.faces[faces]].max() < 2e-4


@pytest.mark.parametrize("kind", ["hoops", "studs"])
def test_earrings_hang_on_both_lobes(bare, kind):
    _, surface = bare
    rings = wear(bare, earrings=kind)
    ears = surface.regions["ears"]
    assert ears[rings.face].all()
    for side in (1, -1):
        mine = rings.position[side * rings.position[:, 0] > 0]
        lobe = surface.attach([[side * 0.0738, 0.688, 0.0565]]).position[0]
        assert len(mine) == len(rings) / 2
        assert np.linalg.norm(mine - lobe, axis=1).min() < 5e-3
        assert np.linalg.norm(mine - lobe, axis=1).max() < 0.03


def test_metal_is_of_its_colour_and_mirrors_the_light_above():
    directions = np.array([[0, 0.6, 0.8], [0, -0.2, 0.98]], np.float32)
    gold, silver = (polished(directions, linear_rgb(name, METAL_COLORS)) for name in ("gold", "silver"))
    assert (gold[:, 0] > 2 * gold[:, 2]).all()
    assert (silver[:, 0] < 1.3 * silver[:, 2]).all()
    assert (gold[0] > gold[1]).all()
