"""Beards: where they grow and how thick they are."""

import numpy as np
import pytest

from pipeline.avatar import Layer
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.attributes import Attributes, HairAttributes
from pipeline.priors.procedural.beard import beard_inside, beard_tint
from pipeline.priors.procedural.head_hair import make_hair
from pipeline.priors.procedural.surface import Surface

CHIN, MOUSTACHE, JAW, FOREHEAD, LIPS, NOSE = np.float32(
    [
        [0, 0.632, 0.15],
        [0.012, 0.6745, 0.156],
        [0.06, 0.66, 0.08],
        [0, 0.79, 0.14],
        [0, 0.6605, 0.157],
        [0, 0.69, 0.168],
    ]
)


def man(beard, **changes):
    return Attributes(seed=2, gender=0.0, age=40.0, beard=beard, hair=HairAttributes(style="bald"), **changes)


@pytest.fixture(scope="module")
def surface():
    return Surface(AnnyHead(man("none").phenotype()))


@pytest.fixture(scope="module")
def beards(surface):
    return {beard: make_hair(surface, man(beard), np.random.default_rng(1)) for beard in ("none", "stubble", "full")}


def test_a_beard_grows_on_chin_lip_and_jaw_only():
    inside = beard_inside(np.stack([CHIN, MOUSTACHE, JAW, FOREHEAD, LIPS, NOSE]))
    assert (inside[:3] > 0.002).all()
    assert (inside[3:] < 0).all()


def test_counts_and_lengths(beards):
    assert len(beards["none"].splats) == 0
    assert 3_000 < len(beards["stubble"].splats) < 6_000
    assert 10_000 < len(beards["full"].splats) < 20_000
    assert beards["stubble"].splats.scale.max() < 0.002
    for beard in ("stubble", "full"):
        assert set(np.unique(beards[beard].splats.layer)) == {Layer.BEARD}
        assert np.isfinite(beards[beard].splats.position).all()


def test_hairs_hang_on_the_skin_that_they_grow_from(beards, surface):
    """A jaw that opens must take its beard with it."""
    splats = beards["full"].splats
    middles = surface.vertices[surface.faces[splats.face]].mean(1)
    assert np.linalg.norm(splats.position - middles, axis=1).max() < 0.05
    assert not surface.regions["lips"][splats.face].any()


def test_the_skin_under_a_beard_takes_its_colour():
    chin, forehead = CHIN[None], FOREHEAD[None]
    shares = [beard_tint(chin, man(beard))[0][0] for beard in ("none", "stubble", "full")]
    assert 0 <= shares[0] < shares[1] < shares[2] <= 1
    assert beard_tint(forehead, man("full"))[0][0] == 0
    dark = beard_tint(chin, man("full", beard_color="black"))[1]
    grey = beard_tint(chin, man("full", beard_color="black", beard_gray=1.0))[1]
    assert grey.mean() > dark.mean()


def test_the_same_stream_gives_the_same_beard(beards, surface):
    again = make_hair(surface, man("full"), np.random.default_rng(1))
    assert np.array_equal(again.splats.position, beards["full"].splats.position)
