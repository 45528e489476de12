"""The whole method on a tiny random diffusion model: from two repositories of the Hub to a video, every stage."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numba
import pytest
import torch
from diffusers import LCMScheduler
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from huggingface_hub import ModelCard
from PIL import Image

from pipeline import AnimPortrait3DPipeline, UserError
from pipeline.animate import AnimationSettings, animate_to_video
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.heads.rig import ModelIdentity
from pipeline.motion.clips import emotions
from pipeline.pipeline_checks import check_place
from pipeline.recipe import Recipe
from pipeline.stages.journal import Interrupted, Journal
from pipeline.stages.recipes import RECIPES
from tests.test_animportrait3d import same
from tests.tiny_checkpoint import write_tiny_base, write_tiny_checkpoint, write_tiny_controlnet

PROMPT = "a bald man in a black t-shirt"
SHORT = {"refine": True, "num_steps_scale": 0.003, "resolution": 64, "seed": 3}
"""Two or three steps of each phase."""
PHASES = ["eyes"] * 2 + ["mouth_ism"] * 2 + ["mouth_edit"] * 2 + ["full_ism"] * 3 + ["full_edit"] * 2


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Numba's threads are OpenMP's, which torch shares: with one, sums and times are those of a quiet machine."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def output():
    """What the prior alone makes."""
    return AnimPortrait3DPipeline()(PROMPT, seed=3)


@pytest.fixture(scope="module")
def start(output):
    return output.avatars[0]


@pytest.fixture
def pipe(checkpoint):
    loaded = AnimPortrait3DPipeline.from_pretrained(checkpoint)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_from_the_hub_to_a_video_and_again_from_what_was_saved(hub, tmp_path, start):
    for name, write in (("base", write_tiny_base), ("controlnet", write_tiny_controlnet)):
        write(hub.root / "models" / "ann" / name / "files")
    pipe = AnimPortrait3DPipeline.from_pretrained("ann/base", controlnet="ann/controlnet")
    pipe.set_progress_bar_config(disable=True)
    seen = []
    output = pipe(PROMPT, **SHORT, callback_on_step_end=lambda _, *step: seen.append(step))

    assert [name for _, name, _ in seen] == ["understand", "build", *PHASES]
    assert [index for index, _, _ in seen] == list(range(len(seen)))
    told = [about for _, _, about in seen[2:]]
    assert all(about["losses"]["guidance"] > 0 for about in told)
    ends = [about["step"] == about["steps"] for about in told]
    assert ends == [isinstance(about["preview"], Image.Image) for about in told]
    avatar, recipe = output.avatars[0], output.recipes[0]
    assert not same(avatar, start)
    assert all(bool(value.isfinite().all()) for value in avatar.parameters())
    assert recipe.refinement.recipe == "animportrait3d"
    commit = hub.commit("models", "ann/controlnet")
    assert recipe.refinement.models["controlnet"] == f"ann/controlnet@{commit}"
    assert recipe.refinement.models["scheduler"] == "PNDMScheduler"

    save_avatar_folder(avatar, recipe, tmp_path / "avatar")
    stored = load_avatar_folder(tmp_path / "avatar")
    assert same(stored, avatar)
    assert Recipe.from_json((tmp_path / "avatar" / "recipe.json").read_text()) == recipe
    result = animate_to_video(stored, emotions(), tmp_path / "head.mp4", AnimationSettings(64, 64, fps=5))
    assert result.frames > 10
    assert (tmp_path / "head.mp4").stat().st_size > 1000

    pipe.save_pretrained(tmp_path / "saved")
    card = ModelCard.load(tmp_path / "saved" / "README.md")
    assert card.data.license == "creativeml-openrail-m"
    assert card.data.base_model == ["ann/base", "ann/controlnet"]
    again = AnimPortrait3DPipeline.from_pretrained(tmp_path / "saved", local_files_only=True)
    again.set_progress_bar_config(disable=True)
    assert same(again(PROMPT, **SHORT).avatars[0], avatar)


def test_headstudios_recipe(tmp_path):
    checkpoint = write_tiny_checkpoint(tmp_path / "tiny", controlnet_channels=3)
    pipe = AnimPortrait3DPipeline.from_pretrained(checkpoint)
    pipe.set_progress_bar_config(disable=True)
    seen = []
    output = pipe(
        PROMPT, refine=True, recipe="headstudio", num_steps_scale=1e-4, resolution=64,
        callback_on_step_end=lambda _, index, name, told: seen.append(name),
    )  # fmt: skip
    assert seen == ["understand", "build", "head_dsd"]
    assert len(output.avatars[0].means) > 100_000
    assert output.recipes[0].refinement.recipe == "headstudio"


def test_setting_interrupt_ends_after_the_step_and_gives_what_there_is(pipe, start):
    seen = []

    def stop(given, index, name, told):
        seen.append(name)
        given.interrupt = name == "mouth_ism"
        return told

    output = pipe([PROMPT, "a bald woman"], **SHORT, callback_on_step_end=stop)
    assert seen == ["understand", "build", "eyes", "eyes", "mouth_ism"]
    assert len(output.avatars) == len(output.recipes) == 1
    assert not same(output.avatars[0], start)
    assert output.recipes[0].refinement.recipe == "animportrait3d"
    assert pipe.interrupt
    assert "The refinement was interrupted after step" in output.recipes[0].notes[-1]
    pipe(PROMPT)
    assert not pipe.interrupt


class Kept(Journal):
    """Keeps the last state, and stops once."""

    def __init__(self, stop_after):
        self.kept, self.notes, self._left = None, [], stop_after

    def resume(self, phases):
        return self.kept

    def step(self, progress, avatar, state):
        self._left -= 1
        if self._left == 0:
            self.kept = (progress.phase, copy.deepcopy(state()))
            raise Interrupted

    def note(self, sentence):
        self.notes.append(sentence)


def test_an_avatar_of_any_origin_is_refined_and_an_interrupted_refinement_goes_on(pipe, start):
    before = copy.deepcopy(start)
    config = replace(RECIPES["animportrait3d"].scaled(0.004), resolution=64, seed=3)
    config = replace(config, phases=config.phases[:2])
    whole = pipe.refine(start, PROMPT, config)
    assert same(start, before)
    journal = Kept(stop_after=3)
    with pytest.raises(Interrupted):
        pipe.refine(start, PROMPT, config, journal=journal)
    assert journal.kept[0] == "mouth_ism"
    assert same(pipe.refine(start, PROMPT, config, journal=journal), whole)
    assert any("LPIPS" in note or "left out" in note for note in journal.notes)


def test_moved_off_the_device_while_not_used_it_gives_the_same(pipe, start):
    config = replace(RECIPES["animportrait3d"].scaled(0.002), resolution=64)
    config = replace(config, phases=config.phases[:2])
    whole = pipe.refine(start, PROMPT, config)
    pipe.enable_model_cpu_offload(device="cpu")
    assert not hasattr(pipe.vae, "_hf_hook")
    assert all(hasattr(part, "_hf_hook") for part in (pipe.unet, pipe.text_encoder, pipe.controlnet))
    assert same(pipe.refine(start, PROMPT, config), whole)


def test_any_scheduler_and_half_precision(pipe, start):
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.to(torch.bfloat16)
    config = replace(RECIPES["animportrait3d"].scaled(0.002), resolution=64)
    config = replace(config, phases=config.phases[:2])
    refined = pipe.refine(start, PROMPT, config)
    assert refined.means.dtype == torch.float32
    assert bool(refined.means.isfinite().all())
    assert pipe.refinement(config).models["scheduler"] == "LCMScheduler"


def test_prompts_given_by_hand_reach_the_diffusion_model(pipe, monkeypatch):
    asked = []

    def noted(table, config):
        asked.append((table.abstract, {phase.negative for phase in config.phases}))
        raise UserError("enough")

    monkeypatch.setattr("pipeline.guidance.prompts.PromptTable.encode_all", noted)
    for given in ({}, {"abstract_prompt": "a queen", "negative_prompt": "blurred"}):
        with pytest.raises(UserError, match="enough"):
            pipe("an old bald woman", **SHORT, **given)
    assert asked[0][0] == "an old woman"
    assert asked[1] == ("a queen", {"blurred"})


def test_a_generator_gives_its_seed(pipe, output):
    again = pipe(PROMPT, generator=torch.Generator().manual_seed(3))
    assert again.recipes == output.recipes
    assert same(again.avatars[0], output.avatars[0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"recipe": "other"}, "recipe is 'other'; it is one of animportrait3d, headstudio"),
        ({"num_steps_scale": 0}, "num_steps_scale is 0; it must be above 0"),
        ({"resolution": 100}, "resolution is 100; it must be a multiple of 8"),
        ({"recipe": "headstudio"}, "sees pictures of 4 channels; the recipe headstudio shows it landmarks"),
    ],
)
def test_bad_options_are_one_sentence(pipe, options, sentence):
    with pytest.raises(UserError, match=sentence):
        pipe(PROMPT, refine=True, **options)


def test_what_is_missing_to_refine_is_named(pipe):
    with pytest.raises(UserError, match=r"refining needs a diffusion model: load one with .* --refine"):
        AnimPortrait3DPipeline()(PROMPT, refine=True)
    pipe.controlnet = None
    with pytest.raises(UserError, match="needs a ControlNet that sees normals"):
        pipe(PROMPT, refine=True)
    pipe.vae = None
    with pytest.raises(UserError, match="the pipeline has no vae"):
        pipe(PROMPT, refine=True)


def test_a_licensed_head_stays_one(pipe, start, output, tmp_path):
    model = ModelIdentity("flame", "flame2023", "0" * 64, (0.5, -1.0))
    splats = {name: value.detach() for name, value in start.named_parameters()}
    licensed = SplatAvatar.from_parts(replace(start.rig, model=model), face=start.face, layer=start.layer, **splats)
    config = replace(RECIPES["animportrait3d"].scaled(0.002), resolution=64)
    refined = pipe.refine(licensed, PROMPT, replace(config, phases=config.phases[:1]))
    assert refined.rig.model == model
    save_avatar_folder(refined, output.recipes[0], tmp_path / "avatar")
    assert not (tmp_path / "avatar" / "avatar.glb").exists()


def test_accelerator_and_model_are_on_one_device(pipe, start):
    elsewhere = SimpleNamespace(num_processes=1, device=torch.device("cuda"))
    with pytest.raises(UserError, match=r"the accelerator is for cuda and the diffusion model on cpu; move it first"):
        pipe.refine(start, PROMPT, RECIPES["animportrait3d"], elsewhere)
    check_place(torch.device("cuda"), torch.device("cuda:0"))
    with pytest.raises(UserError, match="the accelerator is for cuda and the diffusion model on cuda:1"):
        check_place(torch.device("cuda"), torch.device("cuda:1"))


def test_a_journal_is_of_one_prompt(pipe):
    with pytest.raises(UserError, match="a journal keeps one refinement, and there are 2 prompts"):
        pipe([PROMPT, PROMPT], refine=True, journal=Journal())


def test_a_lora_is_told(pipe, monkeypatch):
    monkeypatch.setattr(StableDiffusionLoraLoaderMixin, "load_lora_weights", lambda *_, **__: None)
    monkeypatch.setattr(StableDiffusionLoraLoaderMixin, "unload_lora_weights", lambda *_, **__: None)
    monkeypatch.setattr("pipeline.saved_pipeline.is_peft_available", lambda: True)
    pipe.load_lora_weights("latent-consistency/lcm-lora-sdv1-5")
    config = RECIPES["animportrait3d"]
    assert pipe.refinement(config).models["lora 1"] == "latent-consistency/lcm-lora-sdv1-5"
    pipe.unload_lora_weights()
    assert "lora 1" not in pipe.refinement(config).models


def test_a_lora_without_peft_is_one_sentence(pipe, monkeypatch):
    monkeypatch.setattr("pipeline.saved_pipeline.is_peft_available", lambda: False)
    with pytest.raises(UserError, match="pip install peft"):
        pipe.load_lora_weights("latent-consistency/lcm-lora-sdv1-5")


def test_recipes_of_unrefined_heads_are_as_they_ever_were(output):
    recipe = output.recipes[0]
    values = json.loads(recipe.to_json())
    assert "refinement" not in values
    assert values["version"] == 1
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "refinement",
    [
        [], {"recipe": "animportrait3d"}, None,
        {"recipe": "a", "num_steps_scale": 1.0, "resolution": 64, "models": {"unet": 3}},
        {"recipe": "a", "num_steps_scale": 1.0, "resolution": 64, "models": {}, "more": 1},
        {"recipe": "a", "num_steps_scale": 1.0, "resolution": 64, "models": {}, "negative_prompt": "x" * 5000},
    ],
)  # fmt: skip
def test_a_refinement_of_elsewhere_is_read_strictly(refinement):
    values = json.loads(Recipe("a man", 0, {}, {}, [], []).to_json())
    with pytest.raises(ValueError, match=r"recipe|refinement"):
        Recipe.from_json(json.dumps({**values, "refinement": refinement}))
