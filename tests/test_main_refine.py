"""`create --refine` and `--resume` on the command line: what they take, say, and end with."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from pipeline.__main__ import main
from pipeline.jobs import RunFolder
from tests.jobs.fake import STEPS, fake_config, fake_refined, new_run, result, without_models

TOTAL = sum(STEPS.values())


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    without_models(monkeypatch)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def small(monkeypatch):
    """Every new run is that of the fake refinement, with its small head."""
    from pipeline.jobs import command, runner
    from tests.jobs.fake import save_start

    asked = {}

    def of(prompt, **values):
        asked.update(values, prompt=prompt)
        return fake_config()

    monkeypatch.setattr(command.RunConfig, "of", of)
    monkeypatch.setattr(runner, "make_start", lambda journal, config: save_start(journal.run.start))
    return asked


def said(capsys):
    """The one sentence on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.strip().splitlines()) == 1
    return error


def test_a_run_is_made_worked_on_and_its_head_put_where_it_was_asked_for(small, capsys, tmp_path):
    words = ["create", "a bald man", "--refine", "--run", "runs/x", "--out", "head", "--recipe", "headstudio"]
    words += ["--steps-scale", "0.5", "--resolution", "256", "--model", "owner/base", "--controlnet", "owner/c"]
    assert main([*words, "--seed", "7", "--set", "hair.style=bob", "--device", "cpu", "--checkpoint-every", "9"]) == 0
    assert small == {
        "prompt": "a bald man", "seed": 7, "attributes": {"hair.style": "bob"}, "head": "anny", "recipe": "headstudio",
        "num_steps_scale": 0.5, "resolution": 256, "model": "owner/base", "controlnet": "owner/c", "device": "cpu",
        "checkpoint_every": 9, "refine": True, "from_text": False, "portrait": None,
    }  # fmt: skip
    run = RunFolder.open(tmp_path / "runs" / "x")
    assert run.state().status == "finished"
    assert (tmp_path / "head" / "diffusion_pytorch_model.safetensors").read_bytes() == result(run)
    printed = capsys.readouterr()
    assert "created head in" in printed.out
    assert f"eyes 1 of 6 · 1 of {TOTAL} steps in all · loss" in printed.err


def test_without_a_place_a_run_gets_one_of_its_own(small, capsys, tmp_path):
    assert main(["create", "a bald man", "--refine"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert capsys.readouterr().out.splitlines()[0] == f"run runs/{run.name}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_after_the_step_and_resume_goes_on(tmp_path, monkeypatch, capsys, number, code):
    whole, run = new_run(tmp_path / "whole"), new_run(tmp_path / "run")
    assert main(["create", "--resume", str(whole.path)]) == 0

    def interrupted(journal, config):
        def send():
            while journal.state.done < 2:
                time.sleep(0.005)
            os.kill(os.getpid(), number)

        threading.Thread(target=send).start()
        return fake_refined(journal, config, seconds=0.05)

    without_models(monkeypatch, interrupted)
    capsys.readouterr()
    assert main(["create", "--resume", str(run.path)]) == code
    error = capsys.readouterr().err
    assert "finishing the step, then stopping" in error
    assert error.strip().endswith(f"go on with --resume {run.path}")
    assert 2 <= run.state().done < TOTAL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    without_models(monkeypatch)
    assert main(["create", "--resume", str(run.path)]) == 0
    assert result(run) == result(whole)


def test_ctrl_c_again_ends_it_at_once(tmp_path, monkeypatch, capsys):
    def stuck(journal, config):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    without_models(monkeypatch, stuck)
    run = new_run(tmp_path / "run")
    assert main(["create", "--resume", str(run.path)]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err
    assert run.state().status == "stopped"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "a"], "PROMPT is missing"),
        (["a man"], "--out is missing"),
        (["a man", "--out", "a", "--recipe", "headstudio"], "--recipe belongs to --refine"),
        (["a man", "--out", "a", "--steps-scale", "2"], "--steps-scale belongs to --refine"),
        (["a man", "--out", "a", "--run", "r"], "--run belongs to --refine"),
        (["a man", "--resume", "r"], "--resume goes on with a run as it was started"),
        (["--resume", "r", "--seed", "0"], "--resume goes on with a run as it was started"),
        (["--resume", "r", "--head", "flame"], "--resume goes on with a run as it was started"),
        (["--resume", "nowhere"], "there is no run in nowhere"),
        (["a man", "--refine", "--recipe", "x"], "recipe is 'x'; it is one of animportrait3d, headstudio"),
        (["a man", "--refine", "--steps-scale", "0"], "num_steps_scale is 0.0"),
        (["a man", "--refine", "--resolution", "100"], "resolution is 100; it must be a multiple of 64"),
        (["a man", "--refine", "--threads", "-1"], "threads of the run is -1"),
        (["a man", "--refine", "--seed", "-1"], "seed of the run is -1"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, told, capsys, tmp_path):
    assert main(["create", *words]) == 2
    assert told in said(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_says_why_and_can_be_resumed(tmp_path, monkeypatch, capsys):
    def hungry(journal, config):
        raise MemoryError

    without_models(monkeypatch, hungry)
    run = new_run(tmp_path / "run")
    assert main(["create", "--resume", str(run.path)]) == 2
    assert "memory does not suffice" in capsys.readouterr().err
    without_models(monkeypatch)
    assert main(["create", "--resume", str(run.path)]) == 0
