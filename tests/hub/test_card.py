"""The card of a data set of avatars keeps what its owner wrote."""

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.hub.card import ROW, TAGS, updated_card

REPO = "ann/my-heads"


def front_matter(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_a_new_card():
    card = updated_card("", REPO, "a-man-01234567", "a man", "cc-by-4.0", "")
    told = front_matter(card)
    assert told == {"license": "cc-by-4.0", "pretty_name": "My heads", "tags": list(TAGS)}
    assert "# My heads\n" in card
    row = (
        "| ![a man](avatars/a-man-01234567/preview.png) | a man | `a-man-01234567` | free &#40;Anny&#41; | cc-by-4.0 |"
    )
    assert row in card


def test_avatars_are_added_and_renewed_and_the_rest_is_left():
    owners = "---\nlicense: mit\nlanguage:\n- de\ntags:\n- mine\n---\n# Köpfe\n\nMeine Worte.\n"
    one = updated_card(owners, REPO, "a-man-01234567", "a man", "cc-by-4.0", "")
    two = updated_card(one + "\nUnten.\n", REPO, "a-woman-89abcdef", "a woman", "cc-by-nc-4.0", "flame2023")
    assert two.index("Meine Worte.") < two.index("a-man-01234567") < two.index("a-woman-89abcdef") < two.index("Unten.")
    told = front_matter(two)
    assert told["license"] == ["mit", "cc-by-4.0", "cc-by-nc-4.0"]
    assert told["language"] == ["de"]
    assert told["tags"] == ["mine", *TAGS]
    assert updated_card(two, REPO, "a-woman-89abcdef", "a woman", "cc-by-nc-4.0", "flame2023") == two
    renewed = updated_card(two, REPO, "a-man-01234567", "a man", "cc0-1.0", "")
    assert front_matter(renewed)["license"] == ["mit", "cc-by-nc-4.0", "cc0-1.0"]
    assert renewed.count("avatars/a-man-01234567/preview.png") == 1


@pytest.mark.parametrize(
    "prompt", ["a | b\n| c |", "<script>alert(1)</script>", "![x](http://x.y/z) [a](b)", "`a` <!-- -->"]
)
def test_words_of_a_prompt_stay_words(prompt):
    card = updated_card("", REPO, "head-01234567", prompt, "cc-by-4.0", "")
    assert prompt not in card
    (row,) = [line for line in card.splitlines() if "head-01234567/preview.png" in line]
    assert row.count("|") == 6
    assert not set("<>") & set(row)
    assert updated_card(card, REPO, "head-01234567", prompt, "cc-by-4.0", "") == card


@pytest.mark.parametrize("broken", ["---\na: [\n---\n", "---\n- a\n---\n"])
def test_front_matter_that_is_none_is_left_to_its_owner(broken):
    with pytest.raises(UserError, match=r"front matter of the data set's README.md"):
        updated_card(broken, REPO, "a-man-01234567", "a man", "cc-by-4.0", "")


def test_a_hostile_card_is_read_in_no_time():
    assert ROW.findall("| ![\n" * 200_000) == []  # minutes, if a row could go on over lines
    assert updated_card(f"---\nlicense: [{'[[1]],' * 3} mit]\n---\n", REPO, "a", "x", "mit", "").startswith("---")
