"""The pipeline as a checkpoint in diffusers' layout: saved, pushed to the Hub, and loaded from there."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from pipeline import AnimPortrait3DPipeline
from pipeline.priors import ProceduralPrior

PROMPT = "a bald man in a black t-shirt"
REPO = "ann/animportrait3d"


@pytest.fixture(scope="module")
def built_in():
    return AnimPortrait3DPipeline()(PROMPT, seed=3)


def gives_the_same(loaded, built_in):
    output = loaded(PROMPT, seed=3)
    ours, theirs = built_in.avatars[0].state_dict(), output.avatars[0].state_dict()
    assert output.recipes == built_in.recipes
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_names_in_model_index_are_a_file_format(tmp_path):
    AnimPortrait3DPipeline().save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index.pop("_diffusers_version")
    absent = {key: [None, None] for key in ("vae", "text_encoder", "tokenizer", "unet", "controlnet", "scheduler")}
    assert index == {
        "_class_name": "AnimPortrait3DPipeline",
        "prior": ["pipeline.priors", "ProceduralPrior"],
        **absent,
    }
    prior = json.loads((tmp_path / "prior" / "model_index.json").read_text())
    assert prior["_class_name"] == "ProceduralPrior"
    module, name = index["prior"]
    assert getattr(importlib.import_module(module), name) is ProceduralPrior


def test_a_checkpoint_of_older_versions_loads_with_the_built_in_prior(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "AnimPortrait3DPipeline"}')
    loaded = AnimPortrait3DPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert isinstance(loaded.prior, ProceduralPrior)


def test_a_component_can_be_given_and_a_wrong_one_is_refused(tmp_path):
    AnimPortrait3DPipeline().save_pretrained(tmp_path)
    prior = ProceduralPrior()
    assert AnimPortrait3DPipeline.from_pretrained(tmp_path, prior=prior, local_files_only=True).prior is prior
    with pytest.raises(ValueError, match="is of type"):
        AnimPortrait3DPipeline.from_pretrained(tmp_path, prior=torch.nn.Identity(), local_files_only=True)


def test_from_the_hub_pinned(hub, tmp_path, built_in):
    AnimPortrait3DPipeline().save_pretrained(tmp_path / "saved")
    files = {str(file.relative_to(tmp_path / "saved")): file.read_bytes() for file in (tmp_path / "saved").rglob("*.*")}
    commit = hub.write("models", REPO, files)
    hub.write("models", REPO, {"model_index.json": b'{"_class_name": "Other"}'})
    loaded = AnimPortrait3DPipeline.from_pretrained(REPO, revision=commit)
    assert isinstance(loaded.prior, ProceduralPrior)
    assert gives_the_same(loaded, built_in)
    asked = len(hub.requests)
    AnimPortrait3DPipeline.from_pretrained(REPO, revision=commit, local_files_only=True)
    assert len(hub.requests) == asked


def test_to_the_hub_and_back(hub, monkeypatch, built_in):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    AnimPortrait3DPipeline().push_to_hub(REPO, private=True)
    assert hub.repository("models", REPO).private
    there = hub.root / "models" / REPO / "files"
    assert {str(file.relative_to(there)) for file in there.rglob("*.*")} == {
        "README.md",
        "model_index.json",
        "prior/model_index.json",
    }
    assert gives_the_same(AnimPortrait3DPipeline.from_pretrained(REPO), built_in)


def test_the_pushed_card_says_how_to_load_and_a_card_that_is_there_stays(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    AnimPortrait3DPipeline().push_to_hub(REPO)
    card = hub.root / "models" / REPO / "files" / "README.md"
    loading, making = card.read_text().split("```python\n")[1].split("```")[0].strip().rsplit("\n", 1)
    names: dict[str, Any] = {}
    exec(loading.replace("OWNER/NAME", REPO), names)
    assert isinstance(names["pipe"], AnimPortrait3DPipeline)
    assert making.startswith("avatar = pipe(")
    card.write_text("# Mine\n")
    AnimPortrait3DPipeline().push_to_hub(REPO)
    assert card.read_text() == "# Mine\n"


def test_saved_and_pushed_in_one_call(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    AnimPortrait3DPipeline().save_pretrained(tmp_path / "heads", push_to_hub=True, commit_message="First")
    there = hub.root / "models" / "ann" / "heads" / "files"
    assert (there / "README.md").read_bytes() == (tmp_path / "heads" / "README.md").read_bytes()
    assert [commit.title for commit in hub.repository("models", "ann/heads").commits.values()][-1] == "First"


def test_code_and_pickles_are_not_brought(hub):
    files = dict.fromkeys(("prior/pipeline.priors.py", "prior/model.bin", "pipeline.py", "prior/a.safetensors"), b"x")
    index = b'{"_class_name": "AnimPortrait3DPipeline", "prior": ["pipeline.priors", "ProceduralPrior"]}'
    hub.write("models", REPO, {**files, "model_index.json": index, "prior/model_index.json": b"{}"})
    folder = Path(AnimPortrait3DPipeline.download(REPO))
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*")) == [
        "model_index.json",
        "prior/a.safetensors",
        "prior/model_index.json",
    ]


def test_another_class_cannot_load_it_by_mistake(tmp_path):
    AnimPortrait3DPipeline().save_pretrained(tmp_path)
    with pytest.raises(AttributeError, match="AnimPortrait3DPipeline"):
        DiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
