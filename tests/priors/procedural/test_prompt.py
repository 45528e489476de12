"""The prompt grammar: what is said holds, what is denied does not, and no text breaks it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.heads.anny import local_change_names
from pipeline.priors.procedural.palette import CLOTH_COLORS, EYE_COLORS, FRAME_COLORS, HAIR_COLORS
from pipeline.priors.procedural.prompt import LONGEST_PROMPT, Understanding, tokenise, understand
from pipeline.priors.procedural.vocabulary import VOCABULARY


def read(prompt, seed=0):
    """The attributes as one flat dictionary."""
    flat = {}
    for name, value in understand(prompt, seed).attributes.to_dict().items():
        flat |= {f"{name}.{part}": v for part, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat


SAID = {
    "an elderly asian woman with a grey bun and round glasses": {
        "ancestry.asian": 1.0, "hair.style": "bun", "hair.color": "grey", "glasses": "round", "beard": "none"},
    "a young black woman with an afro and gold earrings": {
        "ancestry.african": 1.0, "hair.style": "afro", "earring_color": "gold"},
    "a man with black hair": {"hair.color": "black", "hair.gray": 0.0},
    "a black man with a white beard": {"ancestry.african": 1.0, "beard": "full", "beard_color": "white"},
    "a woman with grey hair, blue eyes and a red t-shirt": {
        "hair.color": "grey", "eye_color": "blue", "clothing": "tshirt", "clothing_color": "red"},
    "A MAN in a Dark-Blue suit, with a red tie and a light blue shirt!": {
        "clothing": "suit", "clothing_color": "navy", "tie_color": "red", "shirt_color": "light blue"},
    "her hair is black and her eyes are green": {"hair.color": "black", "eye_color": "green"},
    "hair: blonde; eyes: grey": {"hair.color": "blonde", "eye_color": "grey"},
    "a blonde woman": {"hair.color": "blonde"},
    "a blue-eyed redhead": {"hair.color": "red", "eye_color": "blue"},
    "a woman in black": {"clothing_color": "black"},
    "dressed in white with silver hoop earrings": {
        "clothing_color": "white", "earrings": "hoops", "earring_color": "silver"},
    "a man with long black beard and a bald head": {"beard": "full", "beard_color": "black", "hair.style": "bald"},
    "a woman with short, curly, red hair": {"hair.style": "short", "hair.color": "red"},
    "long brown hair, brown-rimmed square glasses": {
        "hair.style": "long", "hair.color": "brown", "glasses": "square", "glasses_color": "brown"},
    "half japanese half german man": {"ancestry.asian": 0.5, "ancestry.caucasian": 0.5},
    "a woman with heavy makeup and red lips": {"makeup": 0.95, "lip_color": "red"},
    "a woman with dark red lipstick": {"lip_color": "plum"},
    "a businesswoman": {"clothing": "suit"},
    "a red silk tie": {"clothing": "suit", "tie_color": "red"},
}  # fmt: skip


@pytest.mark.parametrize("prompt", list(SAID))
@pytest.mark.parametrize("seed", [0, 7])
def test_what_is_said_holds(prompt, seed):
    attributes = read(prompt, seed)
    assert {path: attributes[path] for path in SAID[prompt]} == SAID[prompt]


DENIED = {
    "a man with no beard": {"beard": "none"},
    "a clean-shaven man": {"beard": "none"},
    "a beardless man": {"beard": "none"},
    "a woman without glasses or earrings": {"glasses": "none", "earrings": "none"},
    "an old woman without glasses and earrings": {"glasses": "none", "earrings": "none"},
    "a man who doesn't wear glasses": {"glasses": "none"},
    "a person with no hair": {"hair.style": "bald"},
    "no glasses and a grey beard": {"glasses": "none", "beard": "full", "beard_color": "grey"},
    "a woman, no makeup, blue eyes": {"makeup": 0.0, "lip_color": "natural", "eye_color": "blue"},
    "a redhead without freckles": {"freckles": 0.0, "hair.color": "red"},
    "a man with no red beard": {"beard": "none"},
}


@pytest.mark.parametrize("prompt", list(DENIED))
@pytest.mark.parametrize("seed", range(4))
def test_what_is_denied_does_not_hold(prompt, seed):
    attributes = read(prompt, seed)
    assert {path: attributes[path] for path in DENIED[prompt]} == DENIED[prompt]


@given(seed=st.integers(0, 2**32 - 1))
def test_denied_adjectives_are_never_drawn(seed):
    assert read("a man who is not old and not bald", seed)["age"] < 68
    assert read("a man who is not old and not bald", seed)["hair.style"] != "bald"
    assert read("not a woman", seed)["gender"] < 0.5
    with_hair = read("a european woman without blonde hair and without blue eyes", seed)
    assert with_hair["hair.color"] != "blonde"
    assert with_hair["hair.style"] != "bald"
    assert with_hair["eye_color"] != "blue"


@pytest.mark.parametrize(
    ("prompt", "low", "high"),
    [
        ("a 45-year-old man", 45, 45),
        ("a man aged forty-five", 45, 45),
        ("woman, 33, brunette", 33, 33),
        ("a woman in her late sixties", 67, 69),
        ("a man in his 30s", 30, 39),
        ("mid-fifties man", 54, 56),
        ("a 20 something woman", 20, 29),
        ("a young 45yo woman", 45, 45),
        ("a teenager", 13, 19),
        ("a child", 4, 12),
        ("an elderly man", 66, 90),
        ("a middle-aged woman", 42, 60),
        ("a 300 year old man", 100, 100),
        ("an 8 month old", 4, 4),
    ],
)
def test_ages_in_years(prompt, low, high):
    assert low <= read(prompt)["age"] <= high


def test_ages_out_of_range_are_noted():
    assert "100 is used" in understand("a 300 year old man", 0).notes[0]


@pytest.mark.parametrize(
    ("prompt", "noted"),
    [
        ("a woman with braids", "braid"),
        ("a man with a goatee", "goatee"),
        ("a girl in a yellow hoodie", "hoodie"),
        ("curly brown hair", "curly"),
        ("a man in a white shirt", "shirt"),
        ("a suit without a tie", "tie"),
        ("a man and a woman", '"woman"'),
    ],
)
def test_what_is_replaced_is_noted(prompt, noted):
    assert noted in " ".join(understand(prompt, 0).notes)


def test_unknown_words_are_reported_in_order_and_once():
    result = understand("a Man with a zorblax, a hat 😀 and a zorblax", 0)
    assert result.unused_words == ("zorblax", "hat", "😀")


def test_fully_understood_prompts_leave_no_words():
    for prompt in SAID:
        assert understand(prompt, 0).unused_words in ((), ("silk",))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("", "empty"),
        (" \n\t​", "empty"),
        ("asdf qwer", '"asdf", "qwer"'),
        ("привет мир", '"привет"'),
        ("😀👍", '"😀"'),
        ("!!!", '"!"'),
        ("x" * (LONGEST_PROMPT + 1), "1,001"),
        (" ".join(f"zz{i}" for i in "abcdefghijkl"), "and 4 more"),
    ],
)
def test_unusable_prompts_get_a_sentence(prompt, named):
    with pytest.raises(UserError) as error:
        understand(prompt, 0)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


words = st.sampled_from(sorted({word for phrase in VOCABULARY for word in phrase}))
anything = st.text(st.characters(codec=None, categories=None), max_size=120)


@given(prompt=anything)
def test_any_text_gives_a_person_or_a_sentence(prompt):
    with suppress(UserError):
        assert isinstance(understand(prompt, 1), Understanding)


@given(
    spoken=st.lists(words | st.integers(0, 10**12).map(str) | st.text(max_size=3), max_size=16),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_words_of_the_vocabulary_give_a_valid_person(spoken, seed):
    prompt = ("a person " + " ".join(spoken))[:LONGEST_PROMPT]
    result = understand(prompt, seed)
    assert result == understand(prompt, seed)
    assert set(result.attributes.local_changes) <= set(local_change_names())


@given(seed=st.integers(0, 2**32 - 1))
def test_case_punctuation_and_spacing_do_not_matter(seed):
    plain = understand("an old woman with grey hair and blue eyes", seed)
    assert understand("  AN OLD woman --- with 'grey'   hair\n and blue eyes", seed) == plain


@given(seed=st.integers(0, 2**32 - 1))
def test_saying_more_keeps_the_face(seed):
    plain, more = read("a young woman", seed), read("a young woman with round glasses in a red t-shirt", seed)
    changed = {path for path in plain if plain[path] != more[path]}
    assert changed <= {"glasses", "clothing", "clothing_color"}


def test_seeds_draw_different_people():
    people = [read("a young woman", seed) for seed in range(40)]
    assert len({person["local_changes.nose-hump-incr"] for person in people}) > 30
    assert len({person["hair.style"] for person in people}) >= 3
    assert len({person["ancestry.african"] for person in people}) >= 2
    assert all(person["beard"] == "none" and person["gender"] > 0.9 for person in people)


def test_faces_are_a_little_asymmetric():
    changes = understand("a man", 5).attributes.local_changes
    differences = [abs(value - changes["r-" + name[2:]]) for name, value in changes.items() if name.startswith("l-")]
    assert 0.002 < sum(differences) / len(differences) < 0.08


def test_the_vocabulary_only_means_what_there_is():
    palettes = {
        "hair.color": HAIR_COLORS, "beard_color": HAIR_COLORS, "eye_color": EYE_COLORS, "glasses_color": FRAME_COLORS,
        "clothing_color": CLOTH_COLORS, "tie_color": CLOTH_COLORS, "shirt_color": CLOTH_COLORS,
    }  # fmt: skip
    for term in VOCABULARY.values():
        for says in (term.says, term.implies, term.negated or {}, *term.meanings.values()):
            for path, value in says.items():
                assert path not in palettes or value in palettes[path], (path, value)
                if path.startswith("local_changes."):
                    assert path.removeprefix("local_changes.") in local_change_names()


def test_phrases_can_be_reached_by_the_tokeniser():
    for phrase in VOCABULARY:
        assert tokenise(" ".join(phrase)) == list(phrase)
