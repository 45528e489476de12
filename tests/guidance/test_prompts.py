"""Which words go with which crop, and that each text is encoded once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.camera import Camera
from pipeline.guidance.prompts import PromptTable, abstract_prompt, person_words
from pipeline.guidance.shot import Shot
from pipeline.guidance.text import clip_encoder
from pipeline.stages.recipes import RECIPES
from tests.guidance.toy import toy_encode
from tests.tiny_checkpoint import tiny_components

PROMPT = "an old woman with a grey bun"


def _shot(region, direction="front"):
    return Shot(region, Camera(torch.eye(4), torch.eye(3), 64, 64), direction, conditioned=True)


class _Recorder:
    """An encoder that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return toy_encode(texts)


@pytest.mark.parametrize(
    ("prompt", "abstract"),
    [
        ("a young black woman with an afro and gold earrings", "a young woman"),
        ("an elderly asian man with round glasses", "an old man"),
        ("a bald man in a suit", "a man"),
        ("a 45 year old firefighter", "a middle-aged person"),
        ("a 17-year-old girl", "a teenage girl"),
        ("a 6 year old boy", "a boy"),
        ("a child", "a child"),
        ("teenager with red hair", "a teenager"),
        ("Joker", "a person"),
        ("", "a person"),
    ],
)
def test_the_abstract_prompt_is_gender_and_age_alone(prompt, abstract):
    assert abstract_prompt(prompt) == abstract


@given(st.text(max_size=60))
def test_any_text_has_an_abstract_prompt(text):
    assert abstract_prompt(text).split()[0] in ("a", "an")


@given(st.none() | st.floats(0, 1), st.none() | st.floats(0, 120))
def test_everybody_can_be_named(gender, age):
    words = person_words(gender, age)
    assert "  " not in words
    assert len(words.split()) in (2, 3)


@pytest.mark.parametrize(
    ("region", "direction", "named", "text"),
    [
        ("full", "side", True, f"side view {PROMPT}"),
        ("face", "back", True, f"back view {PROMPT}"),
        ("face", "front", False, PROMPT),
        ("mouth", "front", True, "mouth region, an old woman"),
        ("eye_left", "side", True, "left eye region, an old woman"),
        ("eye_right", "front", False, "right eye region, an old woman"),
    ],
)
def test_each_crop_has_its_words(region, direction, named, text):
    table = PromptTable(toy_encode, PROMPT)
    assert table.text(region, direction, named) == text
    batch = table.batch([_shot(region, direction)], "blurry", named)
    assert torch.equal(batch.positive, toy_encode([text]))
    assert torch.equal(batch.negative, toy_encode(["blurry"]))
    assert torch.equal(batch.null, toy_encode([""]))


def test_headstudio_says_the_direction_last():
    table = PromptTable(toy_encode, "Joker", view_words="after")
    assert table.text("full", "back", True) == "Joker, back view"


def test_an_abstract_prompt_of_ones_own_is_kept():
    assert PromptTable(toy_encode, PROMPT, "a witch").text("mouth", "front", True) == "mouth region, a witch"


def test_every_text_is_encoded_once():
    encode = _Recorder()
    table = PromptTable(encode, PROMPT)
    for _ in range(3):
        batch = table.batch([_shot("face"), _shot("mouth"), _shot("mouth"), _shot("full")], "", False)
    assert sorted(encode.asked) == sorted({"", PROMPT, "mouth region, an old woman"})
    assert batch.positive.shape == (4, 3, 6)
    assert torch.equal(batch[1:3].positive, batch.positive[1:3])


@pytest.mark.parametrize("recipe", RECIPES)
def test_encoding_all_serves_the_whole_refinement(recipe):
    encode, config = _Recorder(), RECIPES[recipe]
    table = PromptTable(encode, PROMPT)
    table.encode_all(config)
    asked = list(encode.asked)
    for phase in config.phases:
        for direction in ("front", "side", "back"):
            shots = [_shot(region, direction) for region in phase.regions]
            table.batch(shots, phase.negative, phase.named_views)
    assert encode.asked == asked
    assert len(asked) == len(set(asked))
    with pytest.raises(KeyError, match="something else"):
        table.batch([_shot("face")], "something else", True)


def test_the_real_text_encoder_pads_to_its_length():
    parts = tiny_components()
    encode = clip_encoder(parts["tokenizer"], parts["text_encoder"], print, torch.device("cpu"))
    embeds = encode(["a head", ""])
    assert embeds.shape == (2, 77, 32)
    assert not embeds.requires_grad
    assert torch.allclose(encode([""])[0], embeds[1], atol=1e-6)


def test_what_does_not_fit_is_left_out_with_a_note():
    notes = []
    parts = tiny_components()
    encode = clip_encoder(parts["tokenizer"], parts["text_encoder"], notes.append, torch.device("cpu"))
    long = "face " * 75 + "head"
    cut = encode([long])
    assert notes == ['the text encoder reads 75 tokens; the end of the text is left out: "head"']
    assert torch.equal(cut, encode(["face " * 75]))
