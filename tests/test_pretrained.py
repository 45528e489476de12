"""Diffusion models are loaded from folders and from the Hub, each file once; what is in the way is a sentence."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import try_to_load_from_cache

from pipeline import AnimPortrait3DPipeline, UserError, pretrained
from pipeline.doctor_diffusion import diffusion
from pipeline.finding import UNUSABLE, WORKS
from pipeline.hub import model_files
from pipeline.hub.model_files import Source, component_files, told_source
from pipeline.hub.repositories import MODELS
from pipeline.pretrained import load_pipeline
from pipeline.stages.perceptual import HEADS, LPIPS_FILES
from tests.tiny_checkpoint import tiny_components, write_tiny_base, write_tiny_checkpoint, write_tiny_controlnet

BASE, CONTROL = "ann/base", "ann/controlnet"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A whole pipeline, and a base and a ControlNet as two repositories have them."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(root / "whole")
    write_tiny_base(root / "base")
    write_tiny_controlnet(root / "controlnet")
    return root


@pytest.fixture
def models(hub, folders):
    """The Hub with the base and the ControlNet."""
    for repo, name in ((BASE, "base"), (CONTROL, "controlnet")):
        shutil.copytree(folders / name, hub.root / "models" / repo / "files")
    return hub


def files_of(repo, hub):
    return hub.root / "models" / repo / "files"


def test_a_base_and_its_controlnet_from_the_hub(models):
    pipe = AnimPortrait3DPipeline.from_pretrained(BASE, controlnet=CONTROL, torch_dtype=torch.float32)
    assert pipe.controlnet.config.conditioning_channels == 4
    assert all(pipe.components.values())
    brought = {line.path.split("/resolve/")[1].split("/", 1)[1] for line in models.asked("/resolve/")}
    assert brought == {
        "model_index.json", "config.json", "diffusion_pytorch_model.safetensors",
        "scheduler/scheduler_config.json", "text_encoder/config.json", "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    }  # fmt: skip


def test_what_is_here_is_not_asked_for_again(models):
    load_pipeline(BASE, CONTROL, device="cpu")
    asked = len(models.requests)
    pipe = load_pipeline(BASE, CONTROL, device="cpu", local_files_only=True)
    assert len(models.requests) == asked
    commit = models.commit("models", BASE)
    assert pipe.refinement(pretrained.RECIPES["animportrait3d"]).models["unet"] == f"{BASE}@{commit}"


def test_a_given_vae_takes_the_place_of_the_models_own(models, folders):
    vae = tiny_components()["vae"]
    with torch.no_grad():
        vae.decoder.conv_out.bias.fill_(7)
    vae.save_pretrained(files_of("ann/vae", models))
    pipe = load_pipeline(BASE, CONTROL, vae="ann/vae", device="cpu")
    assert bool((pipe.vae.decoder.conv_out.bias == 7).all())
    assert not [line for line in models.asked(f"{BASE}/resolve") if "/vae/" in line.path]


def test_weights_that_are_pickles_alone_are_read_as_tensors(models, folders):
    write_tiny_controlnet(files_of("bob/pickled", models), safe_serialization=False)
    pipe = load_pipeline(BASE, "bob/pickled", device="cpu")
    mine = AnimPortrait3DPipeline.from_pretrained(folders / "whole").controlnet.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in pipe.controlnet.state_dict().items())


def test_half_precision_is_brought_when_asked_for(models):
    weights = files_of(BASE, models) / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    pipe = AnimPortrait3DPipeline.from_pretrained(BASE, variant="fp16", dtype=torch.float16)
    brought = [line.path.split("/unet/")[1] for line in models.asked(f"{BASE}/resolve") if "/unet/" in line.path]
    assert sorted(set(brought)) == ["config.json", "diffusion_pytorch_model.fp16.safetensors"]
    assert pipe.unet.dtype == torch.float16


def test_a_subfolder_and_a_commit_are_named_with_the_repository(models, folders):
    shutil.copytree(folders / "controlnet", files_of("bob/many", models) / "diffusion_sd15")
    commit = models.commit("models", "bob/many")
    shutil.rmtree(files_of("bob/many", models))
    write_tiny_controlnet(files_of("bob/many", models) / "diffusion_sd15", channels=3)
    pipe = load_pipeline(BASE, f"bob/many/diffusion_sd15@{commit}", device="cpu")
    assert pipe.controlnet.config.conditioning_channels == 4


def test_one_folder_with_everything(folders, monkeypatch):
    pipe = load_pipeline(folders / "whole", device="cpu")
    assert pipe.controlnet.config.conditioning_channels == 4
    monkeypatch.setenv(pretrained.MODEL_VARIABLE, str(folders / "whole"))
    assert pretrained.base_model() == str(folders / "whole")
    assert pretrained.controlnet_of("headstudio") == str(folders / "whole" / "controlnet")
    monkeypatch.setenv(pretrained.MODEL_VARIABLE, str(folders / "base"))
    monkeypatch.setenv(pretrained.CONTROLNET_VARIABLE, "bob/controlnet")
    assert pretrained.controlnet_of("animportrait3d") == "bob/controlnet"


def test_the_published_models_are_named_where_nobody_names_others(monkeypatch):
    monkeypatch.delenv(pretrained.MODEL_VARIABLE, raising=False)
    monkeypatch.delenv(pretrained.CONTROLNET_VARIABLE, raising=False)
    named = [
        pretrained.base_model(),
        pretrained.BASE_VAE,
        *map(pretrained.controlnet_of, ("animportrait3d", "headstudio")),
    ]
    sources = list(map(Source.parse, named))
    assert [(one.name, one.revision) for one in sources] == [(one.id, one.revision) for one in MODELS[:4]]
    assert [(one.id, one.revision) for one in MODELS[4:6]] == [(one.repo_id, one.revision) for one in LPIPS_FILES]
    assert sources[-1].subfolder == "diffusion_sd15"


def told(*arguments, **options):
    with pytest.raises(UserError) as caught:
        load_pipeline(*arguments, device="cpu", **options)
    return str(caught.value)


def test_what_is_not_here_may_not_be_fetched(models, monkeypatch):
    assert told(BASE, CONTROL, local_files_only=True).startswith(f"{CONTROL} is not on this machine")
    load_pipeline(BASE, CONTROL, device="cpu")
    assert told("bob/none", CONTROL, local_files_only=True).startswith("bob/none is not on this machine")


def test_what_is_kept_is_told_without_asking_the_hub(models, folders):
    assert pretrained.kept(Source.parse(BASE)) is None
    load_pipeline(BASE, CONTROL, device="cpu")
    asked = len(models.requests)
    folder, size = pretrained.kept(Source.parse(BASE))
    assert folder.name == models.commit("models", BASE)
    assert size == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) > 300_000
    assert pretrained.kept(Source.parse(CONTROL))[0].parent.name == "snapshots"
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert pretrained.kept(Source.parse(BASE)) is None
    assert len(models.requests) == asked
    assert pretrained.kept(Source.parse(folders / "whole"))[0] == folders / "whole"


def test_models_are_fetched_without_being_loaded(models, folders, monkeypatch):
    monkeypatch.setattr(model_files, "load_component", None)
    hub_file = models.root / "models" / HEADS.repo_id / "files" / HEADS.filename
    hub_file.parent.mkdir(parents=True)
    hub_file.write_bytes(b"numbers")
    monkeypatch.setattr(pretrained, "LPIPS_FILES", (HEADS._replace(revision="main"),))
    pretrained.fetch_models(BASE, CONTROL)
    assert try_to_load_from_cache(HEADS.repo_id, HEADS.filename)
    asked = len(models.requests)
    pretrained.fetch_models(BASE, CONTROL)
    assert all(pretrained.kept(one) for one in pretrained.sources_of(BASE, CONTROL).values())
    assert len(models.requests) == asked
    pretrained.fetch_models(folders / "base", folders / "controlnet")
    assert len(models.requests) == asked
    with pytest.raises(UserError, match="bob/none"):
        pretrained.fetch_models(BASE, "bob/none")


def test_the_doctor_tells_of_the_models(models, folders, monkeypatch):
    monkeypatch.setenv(pretrained.MODEL_VARIABLE, str(folders / "base"))
    monkeypatch.setenv(pretrained.CONTROLNET_VARIABLE, CONTROL)
    found = {one.name: one for one in diffusion()}
    assert (found["base model"].state, found["base model"].where) == (WORKS, str(folders / "base"))
    assert "VAE" not in found
    assert found["ControlNet headstudio"].detail == f"{CONTROL}: not here; fetched when something is first refined"
    load_pipeline(None, None, device="cpu")
    found = {one.name: one for one in diffusion()}
    assert found["ControlNet animportrait3d"].detail == f"{CONTROL}, 0.1 MB"
    monkeypatch.setenv(pretrained.MODEL_VARIABLE, "no such model")
    unfit = diffusion()[0]
    assert (unfit.state, unfit.private) == (UNUSABLE, True)


def test_a_gated_model(models):
    models.repository("models", BASE).gated = True
    assert "accept its licence" in told(BASE, CONTROL)


def test_a_model_that_does_not_exist(models):
    assert "bob/none" in told("bob/none", CONTROL)
    assert (
        told("no such folder", CONTROL)
        == "there is no folder no such folder, and a model on the Hub is named as owner/name"
    )


def test_another_kind_of_model_is_refused_before_it_is_brought(models):
    index = files_of(BASE, models) / "model_index.json"
    entries = json.loads(index.read_text())
    entries |= {
        "_class_name": "StableDiffusionXLPipeline",
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    }
    index.write_text(json.dumps(entries))
    assert "of another kind (StableDiffusionXLPipeline)" in told(BASE, CONTROL)
    assert not [line for line in models.asked(f"{BASE}/resolve") if line.path.endswith("safetensors")]


def test_parts_that_do_not_belong_together(models, folders, tmp_path):
    write_tiny_base(tmp_path / "inpainting", in_channels=9)
    assert "reads 9 channels and the VAE writes 4" in told(tmp_path / "inpainting", folders / "controlnet")
    write_tiny_base(tmp_path / "wide", cross_attention_dim=48)
    assert "reads texts of 48 numbers a word and the text encoder writes 32" in told(
        tmp_path / "wide", folders / "controlnet"
    )
    write_tiny_controlnet(tmp_path / "landmarks", channels=3)
    assert "sees pictures of 3 channels" in told(folders / "base", tmp_path / "landmarks")
    write_tiny_checkpoint(tmp_path / "other", block_out_channels=(8, 8))
    assert "trained for another model" in told(folders / "base", tmp_path / "other" / "controlnet")


def test_a_disk_that_is_too_small_is_told_before_anything_comes(models, monkeypatch):
    load_pipeline(BASE, CONTROL, device="cpu")
    models.write("models", "bob/large", {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"\0" * 300_000})
    monkeypatch.setattr(model_files.shutil, "disk_usage", lambda path: SimpleNamespace(free=200_100_000))
    sentence = told(BASE, "bob/large")
    assert sentence.startswith("bob/large needs 0.3 MB in ")
    assert "where 200.1 MB are free" in sentence


def test_damaged_weights(models):
    (files_of(CONTROL, models) / "diffusion_pytorch_model.safetensors").write_bytes(b"\0" * 100)
    assert told(BASE, CONTROL).startswith(f"{CONTROL} cannot be loaded (")


def test_a_repository_without_a_pipeline(models, tmp_path):
    models.write("models", "bob/notes", {"README.md": b"nothing"})
    assert "bob/notes has no model_index.json" in told("bob/notes", CONTROL)
    assert "bob/notes has no config.json" in told(BASE, "bob/notes")
    assert "has no model_index.json" in told(tmp_path, CONTROL)


@pytest.mark.parametrize("text", ["?", "one", "../up", "a/b/../c", "a/b@", "https://huggingface.co/a/b"])
def test_what_names_no_model(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        Source.parse(text)


def test_one_form_of_each_component():
    names = [
        f"unet/diffusion_pytorch_model{end}"
        for end in (".bin", ".safetensors", ".fp16.safetensors", ".fp16.bin", ".non_ema.safetensors")
    ]
    listing = [
        *names,
        "unet/config.json",
        "vae/config.json",
        "unet/more/config.json",
        "model.safetensors",
        "config.json",
    ]
    assert component_files(listing, "unet", None) == [names[1], "unet/config.json"]
    assert component_files(listing, "unet", "fp16") == [names[2], "unet/config.json"]
    assert component_files(listing, "unet", "bf16") == [names[1], "unet/config.json"]
    assert component_files(listing, "", None) == ["model.safetensors", "config.json"]
    shards = [f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert component_files(shards, "unet", None) == shards


def test_a_recipe_tells_no_path_of_this_machine():
    snapshot = Path.home() / "hub" / "models--ann--base" / "snapshots" / ("ab" * 20)
    assert told_source(str(snapshot / "unet"), "unet") == f"ann/base@{'ab' * 20}"
    assert told_source("/home/ann/models/mine/unet", "unet") == "mine"
    assert told_source("latent-consistency/lcm-lora-sdv1-5", "lora") == "latent-consistency/lcm-lora-sdv1-5"
    assert told_source("", "unet") == "made in this process"
