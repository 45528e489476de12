"""What sees landmarks, parts and normals of a portrait: only what is named is fetched, and nothing must be there."""

from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.portrait_models import PortraitModels, check_models, portrait_models


def test_without_any_network_something_stands_in(monkeypatch):
    monkeypatch.setattr("pipeline.portrait_models.find_detector", lambda: None)
    monkeypatch.setattr("pipeline.portrait_models.find_parser", lambda device: None)
    assert portrait_models() == PortraitModels(None, None, None, {})


def test_what_is_here_is_used_and_named(monkeypatch):
    monkeypatch.setattr("pipeline.portrait_models.find_detector", lambda: "mesh")
    monkeypatch.setattr("pipeline.portrait_models.find_parser", lambda device: "parser")
    found = portrait_models()
    assert (found.detector, found.parser, found.normals) == ("mesh", "parser", None)
    assert found.names["parser"].startswith("jonathandinu/face-parsing@")


def test_a_folder_is_named_without_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.portrait_models.find_detector", lambda: None)
    monkeypatch.setattr("pipeline.portrait_models.load_parser", lambda folder, device: folder)
    (tmp_path / "mine").mkdir()
    found = portrait_models(parser=str(tmp_path / "mine"))
    assert found.parser == tmp_path / "mine"
    assert found.names == {"parser": "mine"}


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (("nowhere.onnx", "", ""), "there is no file nowhere.onnx"),
        (("", "no such", ""), "there is no folder no such"),
        (("", "", "no such"), "there is no folder no such"),
    ],
)
def test_names_of_nothing_are_told(named, told):
    with pytest.raises(UserError, match=told):
        check_models(*named)
