"""Datasets of avatar folders: what is found, what a click brings, and what a stranger cannot make this machine do."""

import json
import shutil

import pytest

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.gallery import datasets, hub_gallery
from pipeline.gallery.datasets import DatasetSource, checked_recipe
from pipeline.gallery.hub_gallery import HubGallery
from pipeline.hub.card import updated_card
from pipeline.hub.client import Hub
from pipeline.hub.errors import Damaged
from pipeline.recipe import Recipe
from tests.hub.faults import Fault
from tests.synthetic import synthetic_avatar

NAME = "somebody/heads"
RECIPE = Recipe("a red wedge", 7, {}, {}, [], [])
CARD = b"---\nlicense: cc-by-4.0\n---\n# Heads\n"


@pytest.fixture(scope="module")
def avatar_files(tmp_path_factory):
    """File name → content of a small avatar folder."""
    folder = tmp_path_factory.mktemp("avatars") / "wedge"
    save_avatar_folder(synthetic_avatar(), RECIPE, folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def publish(hub, avatar_files):
    """Put the avatar into folders of the dataset, with what else is given."""

    def into(*folders, **more):
        files = {f"{folder}{name}": content for folder in folders for name, content in avatar_files.items()}
        return hub.write("datasets", NAME, files | {"README.md": CARD} | more)

    return into


@pytest.fixture
def gallery(hub, tmp_path):
    return HubGallery(DatasetSource(NAME), Hub(cache_dir=tmp_path / "read"))


def ids(gallery):
    return [entry.id.removeprefix(f"dataset/{NAME}/") for entry in gallery.entries()]


@pytest.mark.parametrize("folder", ["", "wedge/", "avatars/by me/wedge/"])
def test_an_avatar_folder_is_found_wherever_it_lies(gallery, publish, folder):
    publish(folder)
    gallery.refresh()
    [entry] = gallery.entries()
    assert entry.id == f"dataset/{NAME}/{folder.rstrip('/') or '.'}"
    assert (entry.prompt, entry.seed, entry.licence, entry.missing) == ("a red wedge", 7, "cc-by-4.0", "")
    assert entry.preview is not None
    fetched = gallery.fetch(entry.id)
    assert isinstance(load_avatar_folder(fetched), SplatAvatar)


def test_each_avatar_of_a_card_with_several_licences_has_its_own(hub, gallery, publish):
    card = updated_card("", NAME, "one", "a red wedge", "cc0-1.0", "")
    card = updated_card(card, NAME, "two", "a blue wedge", "cc-by-4.0", "")
    publish("avatars/one/", "avatars/two/", "stray/", **{"README.md": card.encode()})
    gallery.refresh()
    assert {entry.id.rpartition("/")[2]: entry.licence for entry in gallery.entries()} == {
        "one": "cc0-1.0",
        "two": "cc-by-4.0",
        "stray": "cc-by-4.0 or cc0-1.0",
    }


def test_a_dataset_without_a_card_states_no_licence(hub, gallery, avatar_files):
    hub.write("datasets", NAME, {f"a/{name}": content for name, content in avatar_files.items()})
    gallery.refresh()
    assert [entry.licence for entry in gallery.entries()] == ["not stated"]


def test_fetch_makes_a_whole_folder_of_known_files_only(hub, gallery, publish, avatar_files):
    publish("one/", "two/", **{"one/evil.py": b"import os", "one/avatar.glb": b"not what was checked"})
    gallery.refresh()
    hub.requests.clear()
    told = []
    fetched = gallery.fetch(f"dataset/{NAME}/one", lambda done, total: told.append((done, total)))
    assert {file.name for file in fetched.iterdir()} == set(avatar_files)
    assert (fetched / "avatar.glb").read_bytes() == avatar_files["avatar.glb"]
    assert not [asked for asked in hub.requests if "/two/" in asked.path or "evil" in asked.path]
    assert told[-1][0] == told[-1][1] == sum(len(avatar_files[name]) for name in datasets.FILES)
    hub.requests.clear()
    assert gallery.fetch(f"dataset/{NAME}/one") == fetched
    assert hub.requests == []


@pytest.mark.parametrize("missing", datasets.FILES)
def test_a_folder_that_is_not_whole_is_no_avatar(hub, gallery, avatar_files, missing):
    hub.write("datasets", NAME, {f"a/{name}": content for name, content in avatar_files.items() if name != missing})
    gallery.refresh()
    assert gallery.entries() == []


def test_a_new_avatar_is_shown_after_a_refresh_and_the_others_are_not_asked_for_again(hub, gallery, publish):
    publish("one/")
    gallery.refresh()
    publish("one/", "two/")
    hub.requests.clear()
    gallery.refresh()
    assert ids(gallery) == ["one", "two"]
    assert not [asked for asked in hub.requests if "/one/" in asked.path]


def test_a_removed_and_a_changed_avatar(hub, gallery, publish):
    publish("one/", "two/")
    gallery.refresh()
    shutil.rmtree(hub.root / "datasets" / NAME / "files" / "one")
    hub.write("datasets", NAME, {"two/prompt.txt": b"a blue wedge"})
    gallery.refresh()
    assert [(entry.id, entry.prompt) for entry in gallery.entries()] == [(f"dataset/{NAME}/two", "a blue wedge")]


def test_old_states_leave_the_disk(gallery, publish, tmp_path):
    publish("one/")
    gallery.refresh()
    old = gallery.fetch(f"dataset/{NAME}/one")
    commit = publish("one/", "two/")
    gallery.refresh()
    assert not old.exists()
    gallery.fetch(f"dataset/{NAME}/one")
    kept = [*(tmp_path / "read").glob("files/*/*"), *(tmp_path / "read").glob("built/*/*")]
    assert {folder.name for folder in kept} == {commit}


def test_a_dataset_of_very_many_avatars_is_shown_in_part(gallery, publish, monkeypatch):
    monkeypatch.setattr(hub_gallery, "MOST_HEADS", 2)
    publish("one/", "two/", "three/")
    gallery.refresh()
    assert len(gallery.entries()) == 2


def test_what_was_listed_stays_what_is_fetched(hub, gallery, publish):
    publish("one/")
    gallery.refresh()
    hub.write("datasets", NAME, {"one/recipe.json": b"{}"})
    assert json.loads((gallery.fetch(f"dataset/{NAME}/one") / "recipe.json").read_text())["seed"] == 7


def test_a_damaged_avatar_is_told_and_leaves_no_folder(hub, gallery, publish, tmp_path):
    publish("one/", **{"one/diffusion_pytorch_model.safetensors": b"\x08\0\0\0\0\0\0\0{}      "})
    gallery.refresh()
    with pytest.raises(UserError, match="damaged"):
        gallery.fetch(f"dataset/{NAME}/one")
    assert not list((tmp_path / "read" / "built").rglob("config.json"))


def test_an_avatar_that_is_too_large_is_refused_before_it_comes(hub, gallery, publish, monkeypatch):
    publish("one/")
    gallery.refresh()
    hub.requests.clear()
    monkeypatch.setattr(datasets, "LARGEST_FOLDER", 1000)
    with pytest.raises(Damaged, match="more than the 1,000 that are taken from the Hub"):
        gallery.fetch(f"dataset/{NAME}/one")
    assert hub.requests == []


def test_a_repository_that_is_gone_keeps_what_is_known(hub, gallery, publish):
    publish("one/")
    gallery.refresh()
    hub.faults.append(Fault("/api/*", status=404, error_code="RepoNotFound"))
    with pytest.raises(UserError, match="no longer on the Hub under this name"):
        gallery.refresh()
    assert ids(gallery) == ["one"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 50_000,
        b"[]",
        b"{}",
        RECIPE.to_json().replace('"seed": 7', '"seed": "7"').encode(),
        RECIPE.to_json().replace('"a red wedge"', "[1]").encode(),
        RECIPE.to_json().replace('"a red wedge"', '"' + "a" * 5000 + '"').encode(),
        RECIPE.to_json().replace('"notes": []', '"notes": {}').encode(),
        RECIPE.to_json().replace('"notes"', '"unknown"').encode(),
    ],
)
def test_a_recipe_from_outside_is_checked(content):
    with pytest.raises(Damaged, match="the recipe of"):
        checked_recipe(content, "one")
