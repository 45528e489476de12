"""Attributes: checked values, dictionaries and overrides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.heads.anny import Phenotype
from pipeline.priors.procedural.attributes import Ancestry, Attributes, HairAttributes, natural_gray
from pipeline.priors.procedural.palette import HAIR_COLORS, linear_rgb


@pytest.fixture
def someone():
    return Attributes(seed=3, gender=1.0, age=30.0, local_changes={"nose-hump-incr": 0.25})


def test_survive_json(someone):
    assert Attributes.from_dict(json.loads(json.dumps(someone.to_dict()))) == someone


def test_overrides_replace_only_what_they_name(someone):
    changed = someone.with_overrides(
        {
            "hair.style": "bob",
            "hair.color": "dark_brown",
            "age": "41",
            "gender": "male",
            "local_changes.chin-cleft-incr": "0.5",
        }
    )
    assert changed.hair == HairAttributes(style="bob", color="dark brown")
    assert (changed.age, changed.gender) == (41.0, 0.0)
    assert changed.local_changes == {"nose-hump-incr": 0.25, "chin-cleft-incr": 0.5}
    assert changed.clothing == someone.clothing
    assert changed.seed == 3
    assert someone.hair.style == "short"


def test_any_colour_may_be_given_in_hexadecimal(someone):
    changed = someone.with_overrides({"clothing_color": "#FF8000"})
    assert changed.clothing_color == "#ff8000"
    assert linear_rgb("#ff0000", HAIR_COLORS).tolist() == [1.0, 0.0, 0.0]


def test_grey_and_gray_are_one_word(someone):
    assert someone.with_overrides({"hair.color": "gray"}).hair.color == "grey"


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("hair", "bob", "hair.style"),
        ("hair.stile", "bob", "hair.style"),
        ("hair.style", "wig", "afro"),
        ("age", "nan", "4 to 100"),
        ("age", "150", "4 to 100"),
        ("age", "old", "4 to 100"),
        ("gender", "maybe", "female"),
        ("seed", "-1", "whole number"),
        ("seed", "1.5", "whole number"),
        ("eye_color", "#12345", "hazel"),
        ("local_changes", "1", "local_changes.NAME"),
        ("local_changes.nose-hump-incr", "2", "-1 to 1"),
        ("ancestry.martian", "1", "ancestry.asian"),
    ],
)
def test_a_wrong_override_names_the_key_and_what_is_right(someone, key, value, named):
    with pytest.raises(UserError) as error:
        someone.with_overrides({key: value})
    assert key in str(error.value)
    assert named in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seed": 1, "gender": 1, "age": 30, "hair": "bob"},
        {"seed": 1, "gender": 1, "age": 30, "wings": 2},
        {"seed": 1, "gender": 1, "age": 30, "hair": {"style": "bob", "shine": 1}},
        {"seed": 1, "gender": "female", "age": 30},
        {"seed": True, "gender": 1, "age": 30} | {"age": True},
        {"seed": 1, "gender": 1, "age": 30, "ancestry": {"asian": float("nan")}},
        [],
    ],
)
def test_a_wrong_dictionary_is_refused(values):
    with pytest.raises(UserError):
        Attributes.from_dict(values)


@given(gender=st.floats(0, 1), age=st.floats(4, 100), weight=st.floats(0, 1), african=st.floats(0, 1))
def test_every_person_is_a_phenotype_of_the_head(gender, age, weight, african):
    person = Attributes(seed=0, gender=gender, age=age, weight=weight, ancestry=Ancestry(african, 0.0, 0.0))
    phenotype = Phenotype.of(person.phenotype())
    assert (phenotype.gender, phenotype.weight, phenotype.african) == (gender, weight, african)


def test_later_ages_give_older_heads_and_greyer_hair():
    ages = [Attributes(seed=0, gender=0.0, age=float(years)).phenotype()["age"] for years in range(4, 101, 4)]
    assert ages == sorted(ages)
    assert [natural_gray(20), natural_gray(90)] == [0.0, 1.0]
    assert 0.2 < natural_gray(50) < 0.5
