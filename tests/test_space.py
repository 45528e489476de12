"""The front matter of the README: what makes the repository a Space."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import gradio
import pytest
from huggingface_hub import SpaceCard, SpaceCardData, SpaceHardware
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pipeline.hub.repositories import REPOSITORIES

ROOT = Path(__file__).parents[1]
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
KNOWN_KEYS = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "fullWidth",
    "short_description", "thumbnail", "license", "pinned", "suggested_hardware", "hf_oauth", "hf_oauth_scopes",
    "datasets", "models", "tags",
}  # fmt: skip
"""Of the Spaces configuration reference: the Hub ignores what it does not know, so a slip would pass in silence."""
SCOPES = {"contribute-repos", "write-discussions", "jobs"}
"""The least that publishing takes: making datasets and writing to those made here; pull requests on others. And jobs,
to hand a refinement over."""


@pytest.fixture(scope="module")
def card() -> SpaceCardData:
    return SpaceCard.load(ROOT / "README.md").data


def requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {one.name: one for one in listed}


def test_every_key_is_one_that_the_hub_knows(card):
    told = card.to_dict()
    assert set(told) <= KNOWN_KEYS
    assert {told["colorFrom"], told["colorTo"]} <= COLOURS
    assert len(told["emoji"]) == 1
    assert len(told["short_description"]) <= 60
    assert told["license"] == "apache-2.0"
    assert told["suggested_hardware"] in {hardware.value for hardware in SpaceHardware}


def test_the_gradio_and_python_of_the_space_are_those_that_are_tested(card):
    assert card.sdk == "gradio"
    assert Version(card.sdk_version) in requirements()["gradio"].specifier
    assert card.sdk_version == gradio.__version__
    needs = re.search(r'requires-python = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert needs
    assert Version(card.to_dict()["python_version"]) in SpecifierSet(needs.group(1))


def test_torch_may_be_one_that_zerogpu_supports():
    assert {"2.8.0", "2.9.1", "2.10.0", "2.11.0"} <= set(requirements()["torch"].specifier.filter(
        ["2.7.1", "2.8.0", "2.9.1", "2.10.0", "2.11.0"]
    ))  # fmt: skip


def test_the_files_that_it_names_are_there(card):
    assert (ROOT / card.app_file).is_file()
    assert (ROOT / card.to_dict()["thumbnail"]).is_file()
    assert (ROOT / "packages.txt").read_text(encoding="utf-8").split() == ["espeak-ng"]


def test_it_names_the_repositories_that_are_used(card):
    used = {kind: [one.id for one in REPOSITORIES if one.kind == kind] for kind in ("dataset", "model")}
    assert (card.datasets or []) == used["dataset"]
    assert (card.models or []) == used["model"]


def test_visitors_are_asked_for_no_more_than_publishing_and_jobs_take(card):
    told = card.to_dict()
    assert told["hf_oauth"] is True
    assert set(told["hf_oauth_scopes"]) == SCOPES


def test_spaces_comes_before_anything_that_could_touch_cuda():
    body = ast.parse((ROOT / "app.py").read_text(encoding="utf-8")).body
    imported = [
        node.names[0].name if isinstance(node, ast.Import) else node.module
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    outside = [name for name in imported if name.split(".")[0] not in sys.stdlib_module_names]
    assert outside[0] == "spaces"


def test_the_title_is_still_the_first_line_below(card):
    text = SpaceCard.load(ROOT / "README.md").text
    assert text.strip().startswith("# AnimPortrait3D")
