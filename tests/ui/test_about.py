"""What the page says of an avatar."""

from dataclasses import replace

import pytest

from pipeline.priors.procedural import understand
from pipeline.recipe import Origin, Recipe
from ui.about import about, person


def recipe(prompt, **changes):
    understanding = understand("a bald man", 0)
    return replace(Recipe.of(prompt, 7, {}, understanding.attributes, understanding), **changes)


@pytest.mark.parametrize(
    ("prompt", "features"),
    [
        ("an elderly asian woman with a grey bun and round glasses", ["grey bun", "round black glasses"]),
        ("a bald man with a full grey beard in a navy suit", ["bald", "full grey beard", "navy suit"]),
        ("an 8-year-old boy with short blonde hair", ["boy of about 8", "short blonde hair"]),
        ("a woman with an afro, green eyes and gold hoops", ["green eyes", "gold hoops"]),
    ],
)
def test_the_person_in_words(prompt, features):
    said = person(understand(prompt, 3).attributes.to_dict())
    for feature in features:
        assert any(feature in part for part in said), said


def test_every_prompt_can_be_told():
    for prompt in ("a man", "a woman", "a child", "a person"):
        for seed in range(40):
            assert all(person(understand(prompt, seed).attributes.to_dict()))


def test_what_was_not_understood_is_told_and_never_markup():
    text = about(recipe("<b>*man*</b>", unused_words=["<script>", "zorgly"], notes=["no hats yet"]), 81234)
    assert "<b>" not in text
    assert "<script>" not in text
    assert "zorgly" in text
    assert "No hats yet" in text
    assert "Seed 7 · 81,234 splats" in text


def test_a_prompt_from_elsewhere_stays_one_bold_line():
    told = about(recipe(" a man\n\nwith \u202eglasses "), 5)
    assert told.startswith("**a man with glasses**\n")


def test_a_portrait_on_a_rig_says_what_it_is_also_without_a_sentence():
    rigged = Recipe.rigged("", 0, "portrait3d", Origin({"000.pth": "0" * 64}, "quick", 240, {}), ["no landmarks"])
    told = about(rigged, 5000)
    assert told.startswith("**A portrait**\n")
    assert "No landmarks" in told
    assert told.endswith("A portrait of Portrait3D on a rig · 5,000 splats")
