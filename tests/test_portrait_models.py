"""What sees landmarks, parts and normals of a portrait: only what is named is fetched, and nothing must be there."""

from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.portrait_models import PortraitModels, check_models, portrait_models
from pipeline.reconstruction.published import FACE_MESH, FACE_MESH_FILE


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


def test_of_a_repository_one_form_of_the_weights_comes_and_no_code(hub, monkeypatch):
    monkeypatch.setattr("pipeline.portrait_models.load_parser", lambda folder, device: folder)
    weights = {"model.safetensors": b"w", "model.fp16.safetensors": b"again", "pytorch_model.bin": b"pickled"}
    hub.write("models", "somebody/parts", {"config.json": b"{}", "code.py": b"print()", **weights})
    found = portrait_models(parser="somebody/parts")
    assert {path.name for path in found.parser.iterdir()} == {"config.json", "model.safetensors"}
    assert found.names == {"parser": "somebody/parts"}


def test_a_face_mesh_of_other_content_is_not_used(hub):
    hub.write("models", FACE_MESH, {FACE_MESH_FILE: b"another"})
    with pytest.raises(UserError, match=f"is not the {FACE_MESH_FILE} that"):
        portrait_models(landmarks=FACE_MESH)


def test_what_the_hub_does_not_have_is_a_sentence(hub):
    with pytest.raises(UserError, match="somebody/nothing"):
        portrait_models(normals="somebody/nothing")
