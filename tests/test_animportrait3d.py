"""The pipeline as diffusers users expect it."""

import pytest
import torch

from pipeline import AnimPortrait3DPipeline, UserError
from pipeline.avatar_folder import save_avatar_folder
from pipeline.heads.anny import AnnyHead
from pipeline.recipe import Recipe
from pipeline.reconstruction.avatar_source import AvatarSource
from pipeline.stages.initialization import PRESETS
from pipeline.stages.super_dense import super_dense
from tests.jobs import rigged

PROMPT = "a bald man in a black t-shirt"


@pytest.fixture(scope="module")
def pipe():
    return AnimPortrait3DPipeline()


@pytest.fixture(scope="module")
def output(pipe):
    return pipe(PROMPT, seed=3)


def same(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def test_same_prompt_and_seed_same_avatar(pipe, output):
    again = pipe(PROMPT, seed=3)
    assert same(output.avatars[0], again.avatars[0])
    assert output.recipes == again.recipes


def test_another_seed_is_another_person(pipe, output):
    assert not same(output.avatars[0], pipe(PROMPT, seed=4).avatars[0])


def test_tuple_and_dict_agree(pipe, output):
    avatars, recipes = pipe(PROMPT, seed=3, return_dict=False)
    assert same(avatars[0], output.avatars[0])
    assert recipes == output.recipes


def test_several_prompts_give_several_avatars_and_steps(pipe):
    seen = []
    output = pipe(
        [PROMPT, "a bald woman"],
        callback_on_step_end=lambda _, index, name, tensors: seen.append((index, name)) or tensors,
    )
    assert len(output.avatars) == len(output.recipes) == 2
    assert seen == [(0, "understand"), (1, "build"), (2, "understand"), (3, "build")]


def test_attributes_override_the_prompt(pipe):
    recipe = pipe(PROMPT, seed=3, attributes={"hair.style": "bob"}).recipes[0]
    assert recipe.attributes["hair"]["style"] == "bob"
    assert recipe.overrides == {"hair.style": "bob"}


def test_recipe_makes_the_avatar_again(pipe, output):
    recipe = Recipe.from_json(output.recipes[0].to_json())
    assert recipe == output.recipes[0]
    assert same(pipe(recipe.prompt, seed=recipe.seed, attributes=recipe.overrides).avatars[0], output.avatars[0])


def test_saved_pipeline_loads(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = AnimPortrait3DPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert isinstance(loaded, AnimPortrait3DPipeline)


@pytest.mark.parametrize(
    ("prompt", "seed", "sentence"),
    [("", 0, "empty"), ([], 0, "empty list"), (PROMPT, -1, "seed is -1"), (PROMPT, 2**32, "seed is 4294967296")],
)
def test_bad_input_is_one_sentence(pipe, prompt, seed, sentence):
    with pytest.raises(UserError, match=sentence):
        pipe(prompt, seed=seed)


def test_a_portrait_is_put_on_a_rig(monkeypatch, tmp_path):
    rigged.quickly(monkeypatch)
    monkeypatch.setitem(PRESETS, "quick", rigged.CONFIG)
    told = []
    output = AnimPortrait3DPipeline()(
        portrait=rigged.write_head(tmp_path / "head"), seed=5, callback_on_step_end=lambda *step: told.append(step[1:3])
    )
    assert told == [(index, "initialization") for index in range(rigged.STEPS)]
    recipe = output.recipes[0]
    assert (recipe.prompt, recipe.prior, recipe.seed) == (rigged.PROMPT, "avatar", 5)
    assert recipe.notes == [rigged.NOTE]
    save_avatar_folder(output.avatars[0], recipe, tmp_path / "rigged")


def test_interrupted_while_a_portrait_is_rigged_there_is_no_head(monkeypatch, tmp_path):
    rigged.quickly(monkeypatch)
    monkeypatch.setitem(PRESETS, "quick", rigged.CONFIG)

    def stop(pipe, index, name, told):
        pipe.interrupt = index == 2

    output = AnimPortrait3DPipeline()(
        "a man", portrait=AvatarSource(super_dense(AnnyHead().rig, 1)), callback_on_step_end=stop
    )
    assert output.avatars == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prompt": ["a man", "a woman"]}, "one portrait and 2 prompts"),
        ({"attributes": {"hair.style": "bob"}}, "attributes change what the procedural prior makes"),
        ({"initialization": "perfect"}, "initialization is 'perfect'; it is one of published, quick"),
    ],
)
def test_what_does_not_go_with_a_portrait_is_told(options, told, tmp_path):
    with pytest.raises(UserError, match=told):
        AnimPortrait3DPipeline()(portrait=tmp_path, **options)
