"""What people keep, on disk: limits, damage, sharing one folder between processes."""

import json
import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.recipe import Recipe
from ui.library import ABANDONED_SECONDS, CARD, KEPT, Library, library_folder, new_id, share_token
from ui.limits import Limits, limits
from ui.workshop import Workshop

RECIPE = Recipe("a test sphere", 7, {}, {}, [], [])
ANNA, BERT = ("anna",), ("bert",)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def place(tmp_path):
    """A work folder as small as one can be."""
    avatar = tmp_path / "work" / "avatar"
    avatar.mkdir(parents=True)
    (avatar / "avatar.glb").write_bytes(b"glTF" * 1000)
    Image.new("RGB", (512, 512), "red").save(avatar / "preview.png")
    return avatar.parent


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "library", Limits())


def keep(library, place, owners=ANNA):
    avatar_id = new_id()
    library.add(avatar_id, place, RECIPE, owners[0])
    return avatar_id


def age(path, seconds):
    past = time.time() - seconds
    os.utime(path, (past, past))


# limits


def test_a_person_may_have_so_many(library, place):
    library.limits = Limits(most_avatars=2)
    keep(library, place)
    second = keep(library, place)
    with pytest.raises(UserError, match=r"2 avatars here, which is the most; .*delete one"):
        library.check_room(ANNA)
    library.check_room(BERT)
    library.check_room((*BERT, *ANNA))
    library.delete(second)
    library.check_room(ANNA)


def test_all_together_may_take_so_much(library, place):
    library.limits = Limits(most_gb=1e-5)
    library.check_room(ANNA)
    keep(library, place)
    library.check_room(ANNA)
    keep(library, place)
    keep(library, place)
    with pytest.raises(UserError, match="all of the 1e-05 GB"):
        library.check_room(BERT)


def test_avatars_without_a_person_take_room_too(library, place):
    library.limits = Limits(most_gb=1e-5)
    library.check_room((), passing=9_999)
    with pytest.raises(UserError, match="all of the 1e-05 GB"):
        library.check_room((), passing=10_000)


def test_a_full_disk_is_told_before_anything_is_made(library, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1e12, 1e12, 50e6))
    with pytest.raises(UserError, match="disk has only 50 MB left, and a new avatar needs 200 MB"):
        library.check_room(ANNA)


@pytest.mark.parametrize("variable", ["KEEP_HOURS", "MOST_AVATARS", "MOST_GB"])
@pytest.mark.parametrize("wrong", ["soon", "0", "-1", "nan", "inf"])
def test_limits_that_make_no_sense_are_told_at_the_start(monkeypatch, variable, wrong):
    monkeypatch.setenv(f"ANIMPORTRAIT3D_{variable}", wrong)
    with pytest.raises(UserError, match=f"ANIMPORTRAIT3D_{variable} is '{wrong}'; it must be a number above 0"):
        Workshop()


def test_the_operator_sets_the_limits_and_a_space_has_some(monkeypatch):
    assert limits() == Limits()
    monkeypatch.setenv("SPACE_ID", "anna/heads")
    assert limits() == Limits(24, 50, 10)
    for variable, value in (("KEEP_HOURS", "0.5"), ("MOST_AVATARS", "3"), ("MOST_GB", "2.5")):
        monkeypatch.setenv(f"ANIMPORTRAIT3D_{variable}", value)
    assert limits() == Limits(0.5, 3, 2.5)
    monkeypatch.setenv("ANIMPORTRAIT3D_MOST_AVATARS", "2.5")
    with pytest.raises(UserError, match=r"MOST_AVATARS is 2\.5; it must be a whole number"):
        limits()


def test_a_library_that_is_a_file_is_told_at_the_start(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"ANIMPORTRAIT3D_LIBRARY is .*file, which is no folder"):
        Workshop()


def test_the_folder_is_where_programs_keep_their_data(monkeypatch):
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", "/somewhere")
    assert library_folder() == Path("/somewhere")
    monkeypatch.delenv("ANIMPORTRAIT3D_LIBRARY")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert library_folder() == Path("/data/animportrait3d/avatars")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert library_folder() == Path.home() / ".local/share/animportrait3d/avatars"


# going


def test_what_is_not_opened_for_long_goes_with_its_link(library, place):
    library.limits = Limits(keep_hours=1)
    old, used = keep(library, place), keep(library, place)
    token = library.share(old)
    for avatar_id in (old, used):
        age(library.root / avatar_id, 3601)
    library.use(used)
    library.remove_old()
    assert library.find(old) is None
    assert library.shared(token) is None
    assert [kept.id for kept in library.of(ANNA)] == [used]


def test_what_was_published_stays_until_it_is_deleted(library, place):
    library.limits = Limits(keep_hours=1)
    avatar_id = keep(library, place)
    library.mark_published(avatar_id)
    library.mark_published(new_id())  # of an avatar that is not kept nothing is remembered
    age(library.root / avatar_id, 3601)
    library.remove_old()
    assert [kept.id for kept in library.of(ANNA)] == [avatar_id]
    library.delete(avatar_id)
    assert library.of(ANNA) == []
    assert not any(path.is_dir() and path.name != "shares" for path in library.root.iterdir())


def test_without_a_limit_nothing_goes(library, place):
    avatar_id = keep(library, place)
    age(library.root / avatar_id, 1e8)
    library.remove_old()
    assert library.find(avatar_id) is not None


def test_what_a_killed_process_left_half_done_goes_after_a_day(library, place):
    keep(library, place)
    fresh, left = (library.root / f".{new_id()}-0.partial" for _ in range(2))
    for folder in (fresh, left):
        (folder / "avatar").mkdir(parents=True)
    age(left, ABANDONED_SECONDS + 1)
    library.remove_old()
    assert fresh.exists()
    assert not left.exists()


def test_two_processes_may_delete_at_once(library, place, monkeypatch):
    avatar_id = keep(library, place)
    rename = os.rename

    def another_was_quicker(source, target):
        shutil.rmtree(source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", another_was_quicker)
    library.delete(avatar_id)
    assert library.of(ANNA) == []


def test_what_cannot_be_deleted_is_told_and_the_clean_up_goes_on(library, place, monkeypatch):
    library.limits = Limits(keep_hours=1)
    avatars = [keep(library, place) for _ in range(2)]
    rename = os.rename

    def refuse_the_first(source, target):
        if avatars[0] in str(source):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_the_first)
    with pytest.raises(UserError, match="cannot be deleted from the disk"):
        library.delete(avatars[0])
    for avatar_id in avatars:
        age(library.root / avatar_id, 3601)
    library.remove_old()
    assert [kept.id for kept in library.of(ANNA)] == avatars[:1]


# damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept.unlink(),
        lambda kept: kept.write_bytes(b"\xff\xfe{"),
        lambda kept: kept.write_text("[" * 50_000),
        lambda kept: kept.write_text(json.dumps([])),
        lambda kept: kept.write_text(json.dumps({**json.loads(kept.read_text()), "made": "now"})),
        lambda kept: kept.write_text(json.dumps({**json.loads(kept.read_text()), "owner": ["anna"]})),
        lambda kept: kept.write_text(json.dumps({**json.loads(kept.read_text()), "id": new_id()})),
        lambda kept: kept.write_text(json.dumps({**json.loads(kept.read_text()), "more": 1})),
    ],
)
def test_a_damaged_avatar_is_skipped(library, place, damage):
    good, bad = keep(library, place), keep(library, place)
    damage(library.root / bad / KEPT)
    assert [kept.id for kept in library.of(ANNA)] == [good]
    library.delete(bad)
    assert not (library.root / bad).exists()


def test_an_avatar_without_a_picture_has_no_card(library, place, monkeypatch):
    (place / "avatar" / "preview.png").write_bytes(b"no picture")
    without = keep(library, place)
    assert not (library.root / without / CARD).exists()
    Image.new("1", (5000, 10)).save(place / "avatar" / "preview.png")
    large = keep(library, place)
    assert not (library.root / large / CARD).exists()
    assert len(library.of(ANNA)) == 2


def test_a_card_is_small(library, place):
    with Image.open(library.root / keep(library, place) / CARD) as card:
        assert card.size == (320, 320)
        assert card.format == "WEBP"


def test_a_link_that_names_something_else_leads_nowhere(library, place):
    avatar_id = keep(library, place)
    token = library.share(avatar_id)
    assert library.shared(token) == avatar_id
    for text in (b"../../etc", b"\xff", b""):
        (library.root / "shares" / token).write_bytes(text)
        assert library.shared(token) is None
    assert share_token(avatar_id) == token


# disk


def test_keeping_costs_no_disk_and_the_original_stays_its_own(library, place):
    avatar_id = keep(library, place)
    assert library.root.stat().st_mode & 0o77 == 0, "others on this machine may look in"
    kept = library.root / avatar_id / "avatar" / "avatar.glb"
    assert kept.samefile(place / "avatar" / "avatar.glb")
    shutil.rmtree(place)
    assert kept.read_bytes()[:4] == b"glTF"


def test_a_disk_without_links_gets_copies(library, place, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    kept = library.root / keep(library, place) / "avatar"
    assert {path.name for path in kept.iterdir()} == {"avatar.glb", "preview.png"}
    assert not (kept / "avatar.glb").samefile(place / "avatar" / "avatar.glb")


def test_links_of_a_download_cache_are_followed(library, place, tmp_path):
    shutil.move(place / "avatar" / "avatar.glb", tmp_path / "blob")
    (place / "avatar" / "avatar.glb").symlink_to(tmp_path / "blob")
    kept = library.root / keep(library, place) / "avatar" / "avatar.glb"
    (tmp_path / "blob").unlink()
    assert not kept.is_symlink()
    assert kept.read_bytes()[:4] == b"glTF"


def test_a_folder_that_cannot_be_written_is_one_sentence(place, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        keep(Library(tmp_path / "file" / "library", Limits()), place)
