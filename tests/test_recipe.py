"""What a head was made from, read back strictly whatever the text holds."""

from __future__ import annotations

import json

import pytest

from pipeline.recipe import Origin, Recipe, Refinement

ORIGIN = Origin({"000.pth": "0" * 64, "decoder_512.ckpt": "1" * 64}, "quick", 240, {"parser": "owner/parser@abc"})
RIGGED = Recipe.rigged("a man", 3, "portrait3d", ORIGIN, ["no landmarks"])


def test_a_rigged_portrait_is_read_back():
    assert Recipe.from_json(RIGGED.to_json()) == RIGGED
    refined = RIGGED.refined(Refinement("animportrait3d", 1.0, 512, {"unet": "owner/model"}), ["softened"])
    assert refined.version == RIGGED.version
    assert refined.notes == ["no landmarks", "softened"]
    assert Recipe.from_json(refined.to_json()) == refined


def test_a_recipe_without_an_origin_says_nothing_of_one():
    plain = Recipe("a man", 3, {}, {}, [], [])
    assert "origin" not in json.loads(plain.to_json())
    assert Recipe.from_json(plain.to_json()).origin is None


@pytest.mark.parametrize(
    "change",
    [{"files": ["000.pth"]}, {"files": {"a": 1}}, {"steps": "240"}, {"models": None}, {"surprise": 1}],
)
def test_an_origin_of_another_form_is_no_recipe(change):
    values = json.loads(RIGGED.to_json())
    values["origin"] |= change
    with pytest.raises(ValueError, match="recipe"):
        Recipe.from_json(json.dumps(values))
