"""The run folder: strict where a person writes, lenient where a crash does."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from pipeline.errors import UserError
from pipeline.jobs import RunConfig, RunFolder, RunState, new_id
from pipeline.jobs.config import PortraitFile
from tests.jobs.fake import fake_config


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", fake_config())


def test_a_new_run_waits(run):
    assert run.state() == RunState(total=15, seed=3)
    assert run.config() == fake_config()
    assert not run.is_locked()


def test_what_is_there_is_not_overwritten(run, tmp_path):
    with pytest.raises(UserError, match="holds a run already; go on with it by --resume"):
        RunFolder.create(run.path, fake_config())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(UserError, match="is taken; give another place"):
        RunFolder.create(tmp_path / "mine", fake_config())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": "  "}, "prompt of the run"),
        ({"prompt": 3}, "prompt is 3; it must be a text"),
        ({"seed": -1}, "seed of the run is -1"),
        ({"seed": 1.5}, "it must be a whole number"),
        ({"attributes": {"hair": 3}}, "attributes.hair is 3"),
        ({"device": "tpu"}, "must be one of auto, cpu, cuda"),
        ({"checkpoint_every": 0}, "at least 1"),
        ({"checkpoint_seconds": 0.0}, "above 0"),
        ({"threads": 10_000}, "goes from 0 to 1024"),
        ({"version": 9}, "this program reads 1 and 2"),
        ({"surprise": 1}, "has no field 'surprise'"),
        ({"refinement": {"recipe": "x"}}, "phases is missing"),
    ],
)
def test_a_configuration_that_cannot_be_is_said(run, change, told):
    values = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(UserError, match=told):
        run.config()


def test_a_damaged_configuration_is_said(run):
    (run.path / "config.json").write_text('{"prompt": "a b')
    with pytest.raises(UserError, match="of the run is damaged"):
        run.config()


def test_a_recipe_becomes_a_run_of_this_place(monkeypatch, tmp_path):
    monkeypatch.setenv("ANIMPORTRAIT3D_DIFFUSION", str(tmp_path))
    config = RunConfig.of("a man", recipe="headstudio", num_steps_scale=0.01, resolution=128, seed=4)
    assert (config.recipe, config.refinement.resolution, config.refinement.seed) == ("headstudio", 128, 4)
    assert config.model == str(tmp_path)
    assert config.threads >= 1
    assert RunConfig.from_json(config.to_json()) == config
    with pytest.raises(UserError, match="multiple of 64"):
        RunConfig.of("a man", resolution=100)
    with pytest.raises(UserError, match="recipe is 'x'; it is one of animportrait3d"):
        RunConfig.of("a man", recipe="x")


def test_a_run_of_the_first_version_still_goes_on(run):
    values = json.loads((run.path / "config.json").read_text())
    for name in ("portrait", "text_to_trigrid", "initialization", "landmarks", "parser", "normals"):
        del values[name]
    (run.path / "config.json").write_text(json.dumps(values | {"version": 1}))
    assert run.config() == fake_config()


def test_phases_of_the_start_come_before_those_of_the_refinement():
    config = RunConfig.of("a man", from_text=True, num_steps_scale=0.1, initialization="quick", model="o/m")
    names = [name for name, _ in config.phases]
    assert names[:4] == ["inversion", "sds", "view_fit", "initialization"]
    assert names[4:] == [phase.name for phase in config.refinement.phases]
    assert config.total == sum(steps for _, steps in config.phases)
    assert RunConfig.from_json(config.to_json()) == config


PORTRAIT = PortraitFile("trigrid", {"000.pth": "0" * 64})


def test_a_portrait_alone_needs_neither_a_sentence_nor_a_diffusion_model():
    config = RunConfig.of("", refine=False, portrait=PORTRAIT, initialization="published")
    assert (config.prompt, config.model, config.controlnet, config.recipe) == ("", "", "", "")
    fitted = ("initialization", config.initialization.steps)
    assert config.phases == (fitted,)
    assert replace(config, normals="o/m").phases == (("mesh_normals", config.initialization.normals.steps), fitted)
    assert RunConfig.from_json(config.to_json()) == config
    with pytest.raises(UserError, match="prompt of the run is ''"):
        RunConfig.of("", portrait=PORTRAIT)
    with pytest.raises(UserError, match="it takes one of them"):
        RunConfig.of("a man", portrait=PORTRAIT, from_text=True)


def test_a_damaged_state_leaves_the_run_resumable(run):
    (run.path / "state.json").write_bytes(b'{"status": "runn')
    assert run.state().resumable
    assert "damaged" in run.state().sentence
    (run.path / "state.json").unlink()
    assert run.state().status == "waiting"


def test_a_torn_line_is_left_out_and_mended(run):
    run.tell("first", value=1)
    with open(run.path / "events.jsonl", "ab") as file:
        file.write(b'{"time": 1, "kind": "to')
    assert [event["kind"] for event in run.events()] == ["first"]
    with run.lock():
        run.tell("second", sentence="ümlaut")
    assert [event["kind"] for event in run.events()] == ["first", "second"]
    assert all(line.endswith("}") for line in (run.path / "events.jsonl").read_text(encoding="utf-8").splitlines())


def test_the_last_events_of_many(run):
    for index in range(3000):
        run.tell("step", step=index)
    assert [event["step"] for event in run.events(last=3)] == [2997, 2998, 2999]


def test_a_run_of_a_killed_worker_is_stopped(run):
    """The lock goes with the process; its number here is one that no process has."""
    run.write_state(RunState(status="running", pid=2**22 + 1, host=os.uname().nodename, born=1.0))
    assert run.state().status == "stopped"
    assert "without a word" in run.state().sentence
    with run.lock():
        assert run.is_locked()
    assert not run.is_locked()


def test_ids_differ():
    assert new_id() != new_id()
