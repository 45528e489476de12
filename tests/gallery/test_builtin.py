"""The built-in gallery: recipes that the prior understands in full, and pictures that show what it makes today."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from examples.make_gallery import BACKDROPS, SIDE, draw_preview
from pipeline import AnimPortrait3DPipeline
from pipeline.errors import UserError
from pipeline.gallery import builtin
from pipeline.priors.procedural import understand

LISTED = json.loads((builtin.FOLDER / "recipes.json").read_text(encoding="utf-8"))
NAMES = [one["name"] for one in LISTED]


def test_there_are_enough_heads_and_no_two_alike():
    ids = [entry.id for entry in builtin.entries()]
    assert len(ids) >= 30
    assert ids == [f"builtin/{name}" for name in NAMES]
    assert len(set(NAMES)) == len({one["prompt"] for one in LISTED}) == len(LISTED)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in NAMES)
    assert all(one["backdrop"] in BACKDROPS for one in LISTED)


def test_a_card_says_what_a_click_needs():
    entry = builtin.entries()[0]
    recipe = builtin.recipe(entry.id)
    assert (entry.source, entry.prompt, entry.seed) == ("builtin", recipe.prompt, recipe.seed)
    assert (entry.licence, entry.missing) == ("CC0-1.0", "")
    assert entry.preview is not None
    assert entry.preview.is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_understood_in_full(name):
    recipe = builtin.recipe(f"builtin/{name}")
    understanding = understand(recipe.prompt, recipe.seed)
    assert understanding.unused_words == ()
    assert understanding.notes == ()
    understanding.attributes.with_overrides(recipe.attributes)


def test_the_gallery_is_varied():
    people = [understand(one["prompt"], one["seed"]).attributes for one in LISTED]
    assert {person.hair.style for person in people} == {"bald", "short", "bob", "long", "afro", "bun"}
    assert {person.beard for person in people} == {"none", "stubble", "full"}
    assert {person.glasses for person in people} == {"none", "round", "square"}
    assert {person.earrings for person in people} == {"none", "studs", "hoops"}
    assert len({person.hair.color for person in people}) >= 12
    assert len({person.clothing_color for person in people}) >= 14
    assert 0.4 <= np.mean([person.gender > 0.5 for person in people]) <= 0.6
    assert {int(person.skin_tone * 4) for person in people} == {0, 1, 2, 3}
    ages = [person.age for person in people]
    assert min(ages) < 26
    assert max(ages) > 72


def test_previews_are_small_squares_and_none_is_left_over():
    files = sorted((builtin.FOLDER / "previews").iterdir())
    assert [file.stem for file in files] == sorted(NAMES)
    for file in files:
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == ("WEBP", (SIDE, SIDE))
        assert file.stat().st_size <= 12_000
    assert sum(file.stat().st_size for file in files) <= 400_000


def test_a_preview_shows_what_the_prior_makes_today():
    """When the prior or the rasteriser changes its looks: python -m examples.make_gallery."""
    one = LISTED[0]
    avatar = AnimPortrait3DPipeline()(one["prompt"], seed=one["seed"]).avatars[0]
    drawn = np.asarray(draw_preview(avatar, one["backdrop"]), dtype=float)
    with Image.open(builtin.preview_path(one["name"])) as picture:
        stored = np.asarray(picture.convert("RGB"), dtype=float)
    error = np.abs(drawn - stored)
    assert error.mean() < 2.0  # of 255: what WebP costs
    assert np.quantile(error, 0.99) < 16


@pytest.mark.parametrize(
    "entry_id", ["", "builtin/", "builtin/nobody", "mine/copper-hair", "copper-hair", "builtin/../x"]
)
def test_an_unknown_head_is_named(entry_id):
    with pytest.raises(UserError, match=re.escape(repr(entry_id))):
        builtin.recipe(entry_id)
