"""Datasets that visitors name do not fill the disk."""

import os

import pytest

from pipeline.gallery.added import AddedGallery, keep_within
from pipeline.hub.errors import HubError
from tests.gallery.test_datasets_of_the_hub import avatar_files, publish  # noqa: F401 — fixtures

NAME = "somebody/heads"


def repository(cache, name, size, age):
    """What is kept of a repository: a file under two names, and a listing."""
    for place in ("files", "built", "listings"):
        (cache / place / name).mkdir(parents=True)
    (cache / "files" / name / "weights").write_bytes(bytes(size))
    (cache / "built" / name / "weights").hardlink_to(cache / "files" / name / "weights")
    for place in ("files", "built", "listings"):
        os.utime(cache / place / name, (1e9 - age, 1e9 - age))


def test_those_left_alone_for_longest_make_room(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        repository(tmp_path, f"dataset--somebody--{name}", 1000, age)
    (tmp_path / "incomplete").mkdir()
    (tmp_path / "incomplete" / "abc.part").write_bytes(bytes(500))
    os.utime(tmp_path / "incomplete" / "abc.part", (9e8, 9e8))
    keep_within(tmp_path, 3500)
    assert len(list(tmp_path.glob("*/*"))) == 10
    keep_within(tmp_path, 2500)
    assert {path.name for path in tmp_path.glob("*/*")} == {"dataset--somebody--new", "dataset--somebody--middle"}
    keep_within(tmp_path, 10)
    assert {path.name for path in tmp_path.glob("*/*")} == {"dataset--somebody--new"}


def test_a_dataset_that_somebody_opens_stays(publish, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("ANIMPORTRAIT3D_CACHE", str(tmp_path / "cache"))
    repository(tmp_path / "cache" / "hub-public", "dataset--another--one", 1000, 0)
    publish("wedge/")
    gallery = AddedGallery(NAME, most=10)
    gallery.refresh()
    folder = gallery.fetch(f"dataset/{NAME}/wedge")
    assert (folder / "config.json").is_file()
    assert not list((tmp_path / "cache" / "hub-public").glob("*/dataset--another--one"))


def test_whoever_names_a_private_dataset_is_not_told_to_log_in(publish, hub, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("ANIMPORTRAIT3D_CACHE", str(tmp_path / "cache"))
    publish("wedge/")
    hub.repository("datasets", NAME).private = True
    with pytest.raises(HubError, match="does not show somebody/heads to everybody: it is private"):
        AddedGallery(NAME, most=10).refresh()
