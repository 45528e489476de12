"""Where the head models lie is for the owner to say, and for nobody else."""

import os

import gradio as gr
import pytest

from pipeline.errors import UserError
from pipeline.heads.model_files import MODELS_VARIABLE
from tests.heads.models import write_flame
from ui.page import build_page
from ui.runs import Runs
from ui.settings import owner, set_models_folder
from ui.workshop import Workshop


@pytest.fixture
def space(monkeypatch):
    """As a Space with a login sets it."""
    monkeypatch.setenv("SPACE_AUTHOR_NAME", "alice")
    monkeypatch.setenv("OAUTH_CLIENT_ID", "client")
    monkeypatch.setenv("SYSTEM", "spaces")
    for variable, value in (("CLIENT_ID", "client"), ("CLIENT_SECRET", "secret"), ("SCOPES", "openid profile")):
        monkeypatch.setattr(gr.oauth, f"OAUTH_{variable}", value)  # read when Gradio was imported
    monkeypatch.setattr(gr.oauth, "OPENID_PROVIDER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SPACE_ID", "alice/heads")
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)


def test_the_owner_sets_the_folder(space, tmp_path):
    write_flame(tmp_path, release="flame2023_open")
    assert "FLAME 2023 Open" in set_models_folder(f" {tmp_path} ", "alice")
    assert os.environ[MODELS_VARIABLE] == str(tmp_path)


@pytest.mark.parametrize("user", [None, "", "bob", "Alice"])
def test_nobody_else_can(space, tmp_path, user):
    with pytest.raises(UserError, match="only the owner"):
        set_models_folder(str(tmp_path), user)
    assert MODELS_VARIABLE not in os.environ


def test_without_an_owner_nobody_is(space, tmp_path, monkeypatch):
    monkeypatch.delenv("SPACE_AUTHOR_NAME")
    assert owner() is None
    with pytest.raises(UserError, match="only the owner"):
        set_models_folder(str(tmp_path), None)


def test_an_organisation_names_a_person(space, monkeypatch, tmp_path):
    monkeypatch.setenv("ANIMPORTRAIT3D_OWNER", "carol")
    assert set_models_folder(str(tmp_path), "carol").startswith("No head model")
    with pytest.raises(UserError):
        set_models_folder(str(tmp_path), "alice")


def test_a_missing_folder_changes_nothing(space, tmp_path):
    for folder in ("", "  ", str(tmp_path / "nowhere")):
        with pytest.raises(UserError, match="there is no folder"):
            set_models_folder(folder, "alice")
    assert MODELS_VARIABLE not in os.environ


def test_the_tab_is_there_only_with_a_login(space, monkeypatch):
    def tabs() -> list[str]:
        page = build_page(workshop := Workshop(), Runs(workshop))
        return [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]

    assert "Settings" in tabs()
    monkeypatch.delenv("OAUTH_CLIENT_ID")
    assert "Settings" not in tabs()
