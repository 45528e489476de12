"""Avatars are found by their secret id alone, and go when nobody touches them."""

import os
import time

import pytest

from pipeline.errors import UserError
from ui.workshop import KEEP_SECONDS, Workshop


@pytest.fixture(scope="module")
def workshop():
    return Workshop()


@pytest.fixture(scope="module")
def made(workshop):
    return workshop.create("a bald man", 1, lambda share, what: None)


def test_progress_only_grows(workshop):
    seen = []
    workshop.create("a bald man", 1, lambda share, what: seen.append((share, what)))
    assert seen == sorted(seen)
    assert len(seen) >= 3


def test_the_same_prompt_twice_is_two_folders(workshop, made):
    again = workshop.create("a bald man", 1, lambda share, what: None)
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
    old = workshop.create("a bald woman", 2, lambda share, what: None)
    past = time.time() - KEEP_SECONDS - 1
    os.utime(old.folder.parent, (past, past))
    workshop.remove_old()
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(old.id)
