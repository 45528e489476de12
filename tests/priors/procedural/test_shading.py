"""Light and the colour of skin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import Layer
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.attributes import Ancestry, Attributes, HairAttributes
from pipeline.priors.procedural.brows import brow_color
from pipeline.priors.procedural.complexion import Parts, base_tone, skin_albedo
from pipeline.priors.procedural.creases import Creases
from pipeline.priors.procedural.shading import KEY, shade, to_display
from pipeline.priors.procedural.splats import Shading, Splats, unit
from pipeline.priors.procedural.surface import Surface


def patch(shading, normal, **values):
    normal = unit(np.atleast_2d(normal))
    position = np.arange(3 * len(normal)).reshape(-1, 3)
    return Splats.of(
        Layer.SKIN, shading, face=0, position=position, rotation=np.eye(3), scale=1e-3, opacity=1,
        normal=normal, **{"albedo": 0.5, **values},
    )  # fmt: skip


@pytest.mark.parametrize("shading", [Shading.SKIN, Shading.CLOTH, Shading.EYE])
def test_what_faces_the_key_light_is_brightest(shading):
    toward, aside, away = shade(patch(shading, [KEY, [-KEY[2], 0, KEY[0]], -KEY])).mean(1)
    assert toward > aside > away > 0


def test_shadow_and_occlusion_darken():
    lit, shadowed, buried = shade(patch(Shading.SKIN, [KEY] * 3, shadow=[1, 0, 0], ambient=[1, 1, 0.1])).mean(1)
    assert lit > shadowed > buried


def test_shadows_on_skin_turn_red_at_their_border():
    across = unit(np.cross(KEY, [0, 1, 0]))
    grazing = shade(patch(Shading.SKIN, across - 0.12 * KEY, subsurface=1.0))[0]
    plain = shade(patch(Shading.SKIN, across - 0.12 * KEY, subsurface=0.0))[0]
    assert grazing[0] / grazing[2] > 1.05 * plain[0] / plain[2]


def test_unlit_splats_keep_their_colour():
    shown = shade(patch(Shading.UNLIT, [[0, 0, -1]], albedo=(1.0, 0.25, 0.0)))
    np.testing.assert_allclose(shown[0], np.power([1.0, 0.25, 0.0], 1 / 2.2), atol=1e-6)


def test_highlights_show_on_glossy_splats_only():
    half = unit(KEY + np.float32([0, 0, 1]))
    dull, glossy = shade(patch(Shading.CLOTH, [half, half], specular=[0.0, 0.6], gloss=40.0)).mean(1)
    assert glossy > dull + 0.05


@given(st.floats(0, 4), st.floats(0, 4))
def test_tone_curve_keeps_order_and_range(a, b):
    low, high = to_display(np.float32([min(a, b), max(a, b)]))
    assert 0 <= low <= high <= 1


@given(st.floats(0, 1), st.floats(0, 1))
def test_skin_tones_darken_and_stay_warm(a, b):
    light, dark = base_tone(min(a, b)), base_tone(max(a, b))
    assert (light >= dark - 1e-6).all()
    for tone in (light, dark):
        assert tone[0] > tone[1] > tone[2] > 0


def test_lips_are_redder_than_cheeks_and_lipstick_redder_still():
    place = np.float32([[0.0, 0.655, 0.157], [0.045, 0.70, 0.12]])
    zero = np.zeros(2, np.float32)
    parts = Parts(np.float32([1, 0]), zero, zero, zero, zero)

    def lip_and_cheek(**changes):
        albedo, hidden = skin_albedo(place, parts, Attributes(seed=1, gender=1.0, age=30.0, **changes))
        assert hidden.max() < 0.05
        return albedo[:, 0] / albedo[:, 1:].mean(1)

    natural, painted = lip_and_cheek(), lip_and_cheek(lip_color="red")
    assert natural[0] > 1.15 * natural[1]
    assert painted[0] > 1.5 * natural[0]


def test_brows_follow_the_hair_and_turn_grey():
    def brightness(**hair):
        return brow_color(Attributes(seed=1, gender=1.0, age=30.0, hair=HairAttributes(**hair))).mean()

    assert brightness(color="black") < brightness(color="blonde") < brightness(color="white")
    assert brightness(color="black") < brightness(color="black", gray=1.0)


def test_wrinkles_come_with_age_and_darken_the_forehead_lines():
    surface = Surface(AnnyHead({}))

    def creases(**changes):
        attributes = Attributes(seed=1, gender=0.0, **changes)
        return Creases(surface, attributes, np.random.default_rng(0))

    child = creases(age=6.0, ancestry=Ancestry(asian=1.0, caucasian=0.0))
    young, old = creases(age=25.0), creases(age=80.0, wrinkles=1.0)
    assert len(child.folds) <= len(young.folds) < len(old.folds)
    line, smooth = surface.front(np.float32([[0.0, 0.781]])), surface.front(np.float32([[0.0, 0.7625]]))
    for place, least, most in ((line, 0.4, 1.0), (smooth, 0.0, 0.2)):
        normal, depth = old.bend(place.position, place.normal)
        assert least <= depth[0] <= most
        np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    assert len(old.strokes(base_tone(0.2))) > len(young.strokes(base_tone(0.2)))
