"""Avatars are found by their secret id alone, and go when nobody touches them."""

import os
import shutil
import time

import pytest

from pipeline.errors import UserError
from ui.workshop import KEEP_SECONDS, LOADED_AT_ONCE, Workshop


def unheard(share, what):
    pass


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.fixture(scope="module")
def made(workshop):
    return workshop.create("a bald man", 1, {}, unheard)


def test_progress_only_grows(workshop):
    seen = []
    workshop.create("a bald man", 1, {}, lambda share, what: seen.append((share, what)))
    assert seen == sorted(seen)
    assert len(seen) >= 3


def test_the_same_prompt_twice_is_two_folders(workshop, made):
    again = workshop.create("a bald man", 1, {}, unheard)
    assert again.id != made.id
    assert (again.folder / "avatar.glb").read_bytes() == (made.folder / "avatar.glb").read_bytes()


@pytest.mark.parametrize("wrong", ["", "x", "../../etc", "0" * 32, "A" * 32, None])
def test_any_other_id_opens_nothing(workshop, made, wrong):
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(wrong)


def test_forgotten_avatars_come_back_from_disk(workshop, made):
    workshop._loaded.clear()
    assert len(workshop.avatar(made.id).face) == len(made.avatar.face)


def test_old_avatars_are_deleted(workshop):
    old = workshop.create("a bald woman", 2, {}, unheard)
    past = time.time() - KEEP_SECONDS - 1
    os.utime(old.folder.parent, (past, past))
    workshop.remove_old()
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(old.id)


def test_the_one_left_alone_for_longest_makes_room(workshop, made, monkeypatch):
    older = workshop.create("a bald woman", 3, {}, unheard)
    past = time.time() - 60
    os.utime(older.folder.parent, (past, past))
    workshop.avatar(made.id)
    monkeypatch.setattr("ui.workshop.MOST_KEPT", 1)
    workshop.remove_old()
    assert len(workshop.avatar(made.id).face) == len(made.avatar.face)
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(older.id)


def test_every_visitor_gets_a_welcome_of_their_own(workshop):
    assert workshop.welcome() is None
    assert not workshop.warm
    workshop.warm_up()
    assert workshop.warm
    mine, yours = workshop.welcome(), workshop.welcome()
    assert mine.id != yours.id
    assert len(workshop.avatar(mine.id).face) == len(mine.avatar.face)
    shutil.rmtree(mine.folder.parent)
    assert (yours.folder / "avatar.glb").read_bytes()[:4] == b"glTF"
    assert (workshop.welcome().folder / "recipe.json").is_file()


def test_a_warm_up_that_fails_leaves_nobody_waiting(monkeypatch):
    workshop = Workshop()
    monkeypatch.setattr(workshop, "_make", broken)
    with pytest.raises(RuntimeError, match="no disk"):
        workshop.warm_up()
    assert workshop.warm
    assert workshop.welcome() is None


def broken(*arguments):
    raise RuntimeError("no disk")


def test_an_avatar_deleted_meanwhile_stays_deleted(workshop, monkeypatch):
    gone = workshop.create("a bald woman", 3, {}, unheard)
    delete_first = os.utime

    def utime(path):
        shutil.rmtree(path)
        delete_first(path)

    monkeypatch.setattr(os, "utime", utime)
    with pytest.raises(UserError, match="create one first"):
        workshop.folder(gone.id)
    assert not gone.folder.parent.exists()


def test_two_visitors_may_clean_up_at_once(workshop, monkeypatch):
    old = workshop.create("a bald woman", 4, {}, unheard)
    past = time.time() - KEEP_SECONDS - 1
    os.utime(old.folder.parent, (past, past))
    scandir = os.scandir

    def deleted_by_another(path):
        shutil.rmtree(old.folder.parent, ignore_errors=True)
        return listing

    with scandir(workshop.root) as listing:
        monkeypatch.setattr(os, "scandir", deleted_by_another)
        workshop.remove_old()


def test_an_avatar_in_use_stays_in_memory(workshop, made):
    loaded = workshop.avatar(made.id)
    for number in range(LOADED_AT_ONCE):
        workshop._remember(f"{number:032x}", made.avatar)
        assert workshop.avatar(made.id) is loaded
