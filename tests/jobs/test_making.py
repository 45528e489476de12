"""What no worker could ever make is told before there is a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline import portrait_models
from pipeline.__main__ import main
from pipeline.errors import UserError
from pipeline.jobs import RunConfig
from pipeline.jobs.making import check_request
from pipeline.priors.portrait3d import weights
from tests.jobs.fake import fake_config

DOOMED = [
    ({"prompt": "xyzzy"}, "nothing in the prompt describes a person"),
    ({"prompt": "a bald man " * 200}, "1,000 at most"),
    ({"prompt": "a bald man \udcff"}, "no UTF-8 text"),
    ({"attributes": {"hair.style": "foo"}}, "hair.style is 'foo'"),
    ({"head": "star"}, "no head model 'star'; there are anny, flame"),
    ({"model": "/no/such/folder"}, "no folder /no/such/folder"),
]


@pytest.mark.parametrize(("change", "told"), DOOMED)
def test_a_doomed_request_is_a_sentence(change, told):
    with pytest.raises(UserError, match=told):
        check_request(replace(fake_config(), **change))


def test_a_gpu_that_is_not_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device here; give --device auto"):
        check_request(fake_config(device="cuda"))


def test_a_portrait_from_text_needs_a_detector_before_gigabytes_are_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "find_generator", lambda: tmp_path / "model_512.pkl")
    monkeypatch.setattr(portrait_models, "find_detector", lambda: None)
    config = RunConfig.of("a bald man", refine=False, from_text=True, device="cpu")
    with pytest.raises(UserError, match="no landmark detector here"):
        check_request(config)
    (tmp_path / "mesh.onnx").touch()
    check_request(replace(config, landmarks=str(tmp_path / "mesh.onnx")))


def test_the_sentence_of_a_head_from_elsewhere_may_say_anything():
    check_request(replace(fake_config(), prompt="xyzzy", head="star"), start_is_there=True)


def test_a_doomed_request_leaves_no_run(tmp_path, capsys):
    assert main(["create", "xyzzy", "--refine", "--run", str(tmp_path / "x")]) == 2
    assert "nothing in the prompt" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
