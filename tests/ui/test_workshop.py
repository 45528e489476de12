"""Avatars are found by their secret id, kept for their person, shared by a link, and gone when they should be."""

import hashlib
import os
import shutil
import time

import pytest

from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.recipe import Recipe
from tests.hub.folders import licensed_avatar, write_licensed
from tests.synthetic import synthetic_avatar
from ui.library import Library
from ui.limits import Limits
from ui.people import NOBODY
from ui.workplaces import IDLE_SECONDS, PREFIX, Workplaces
from ui.workshop import LOADED_AT_ONCE, Workshop

ANNA, BERT = (hashlib.sha256(name.encode()).hexdigest() for name in ("Anna", "Bert"))
RECIPE = Recipe("a test sphere", 7, {}, {}, [], [])
UNKNOWN = "0" * 32


def unheard(share, what):
    pass


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small avatar folder, as an import would give it."""
    folder = tmp_path_factory.mktemp("source") / "avatar"
    save_avatar_folder(synthetic_avatar(200), RECIPE, folder)
    return folder


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "library"))
    return Workshop()


@pytest.fixture(scope="module")
def oven(tmp_path_factory):
    """A workshop that has made one avatar from a sentence, for nobody in particular."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path_factory.mktemp("oven")))
        workshop = Workshop()
    return workshop, workshop.create("a bald man", 1, {}, unheard)


def age(path, seconds):
    past = time.time() - seconds
    os.utime(path, (past, past))


# making


def test_progress_only_grows_and_the_same_sentence_twice_is_two_folders(oven):
    workshop, made = oven
    seen = []
    again = workshop.create("a bald man", 1, {}, lambda share, what: seen.append((share, what)), person=ANNA)
    assert seen == sorted(seen)
    assert len(seen) >= 3
    assert again.id != made.id
    assert again.glb.read_bytes() == made.glb.read_bytes()
    assert [entry.id for entry in workshop.mine(ANNA)] == [f"mine/{again.id}"]


def test_what_fails_leaves_nothing_behind(oven):
    workshop, _ = oven
    before = workshop.places.ids()
    with pytest.raises(UserError, match="describes a person"):
        workshop.create("qwrtz", 1, {}, unheard, person=ANNA)
    assert workshop.places.ids() == before


def test_every_visitor_gets_a_welcome_of_their_own(oven):
    workshop, _ = oven
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


def test_a_warm_up_that_fails_leaves_nobody_waiting(workshop, monkeypatch):
    monkeypatch.setattr(workshop.maker, "_pipe", broken)
    with pytest.raises(RuntimeError, match="no disk"):
        workshop.warm_up()
    assert workshop.warm
    assert workshop.welcome() is None


def broken(*arguments, **options):
    raise RuntimeError("no disk")


# finding


@pytest.mark.parametrize("wrong", ["", "x", "../../etc", UNKNOWN, "A" * 32, None])
def test_any_other_id_opens_nothing(workshop, source, wrong):
    workshop.keep(source, RECIPE, ANNA, listed=True)
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(wrong)
    for forbidden in (workshop.open, workshop.delete, workshop.share):
        with pytest.raises(UserError, match="no avatar of that id"):
            forbidden(wrong, ANNA)


def test_forgotten_avatars_come_back_from_disk(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    workshop._loaded.clear()
    assert len(workshop.avatar(made.id).face) == len(made.avatar.face)


def test_an_avatar_in_use_stays_in_memory(workshop, source):
    made = workshop.keep(source, RECIPE, NOBODY, listed=False)
    loaded = workshop.avatar(made.id)
    for number in range(LOADED_AT_ONCE):
        workshop._remember((0, 0, number), made.avatar)
        assert workshop.avatar(made.id) is loaded


def test_copies_share_one_avatar_in_memory(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    workshop._loaded.clear()
    loaded = workshop.avatar(made.id)
    token = workshop.share(made.id, ANNA)
    assert all(workshop.avatar(workshop.visit(token).id) is loaded for _ in range(LOADED_AT_ONCE + 1))
    assert len(workshop._loaded) == 1


def test_what_is_served_lies_where_gradio_serves_from_and_comes_back(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    assert workshop.places.root.parent.name == "gradio"
    made.glb.unlink()  # Gradio's clean-up
    age(workshop.library.root / made.id / "avatar" / "avatar.glb", 9999)
    assert (workshop.folder(made.id) / "avatar" / "avatar.glb").read_bytes()[:4] == b"glTF"
    assert time.time() - made.glb.stat().st_mtime < 60


# whose


def test_a_person_lists_only_their_own_newest_first(workshop, source):
    first = workshop.keep(source, RECIPE, ANNA, listed=True)
    workshop.keep(source, RECIPE, BERT, listed=True)
    second = workshop.keep(source, RECIPE, f"{ANNA} {BERT[::-1]}", listed=True)
    workshop.keep(source, RECIPE, ANNA, listed=False)
    workshop.keep(source, RECIPE, NOBODY, listed=True)
    mine = workshop.mine(ANNA)
    assert [entry.id for entry in mine] == [f"mine/{second.id}", f"mine/{first.id}"]
    assert (mine[0].prompt, mine[0].seed, mine[0].source) == ("a test sphere", 7, "mine")
    assert mine[0].preview.read_bytes()[8:12] == b"WEBP"
    assert len(workshop.mine(BERT)) == 1
    assert workshop.mine(NOBODY) == []


def test_what_the_browser_made_stays_in_reach_after_logging_in(workshop, source):
    before = workshop.keep(source, RECIPE, BERT, listed=True)
    logged_in = f"{ANNA} {BERT}"
    after = workshop.keep(source, RECIPE, logged_in, listed=True)
    assert [entry.id for entry in workshop.mine(logged_in)] == [f"mine/{after.id}", f"mine/{before.id}"]
    assert [entry.id for entry in workshop.mine(BERT)] == [f"mine/{before.id}"]
    workshop.delete(before.id, logged_in)


def test_nobody_else_opens_shares_or_deletes(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    said = set()
    for stranger in (BERT, NOBODY):
        assert not workshop.may(made.id, stranger)
        for forbidden in (workshop.open, workshop.delete, workshop.share):
            for avatar_id in (made.id, UNKNOWN):
                with pytest.raises(UserError) as refused:
                    forbidden(avatar_id, stranger)
                said.add(str(refused.value))
    assert len(said) == 1, "somebody learns which ids exist"
    assert workshop.open(made.id, ANNA).recipe == RECIPE


def test_without_a_key_the_secret_id_is_the_right(workshop, source):
    made = workshop.keep(source, RECIPE, NOBODY, listed=True)
    assert workshop.may(made.id, NOBODY)
    token = workshop.share(made.id, NOBODY)
    assert workshop.visit(token).id != made.id
    workshop.delete(made.id, NOBODY)
    with pytest.raises(UserError, match="create one first"):
        workshop.folder(made.id)
    with pytest.raises(UserError, match="link leads to no avatar"):
        workshop.visit(token)


def test_what_programs_make_without_a_key_fills_the_place_too(workshop, source):
    workshop.limits = workshop.library.limits = Limits(most_gb=1e-6)
    workshop.keep(source, RECIPE, NOBODY, listed=True)
    with pytest.raises(UserError, match="all of the 1e-06 GB"):
        workshop.keep(source, RECIPE, NOBODY, listed=True)
    workshop.keep(source, RECIPE, NOBODY, listed=False)


# sharing


def test_a_link_gives_a_copy_to_look_at_until_the_original_goes(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    token = workshop.share(made.id, ANNA)
    assert workshop.share(made.id, ANNA) == token
    assert made.id not in token
    seen = workshop.visit(token)
    assert seen.id not in (made.id, token)
    assert seen.recipe == RECIPE
    assert len(workshop.avatar(seen.id).face) == len(made.avatar.face)
    assert workshop.mine(BERT) == []
    for person in (BERT, NOBODY, ANNA):
        assert not workshop.may(seen.id, person)
        with pytest.raises(UserError, match="no avatar of that id"):
            workshop.delete(seen.id, person)
    workshop.delete(made.id, ANNA)
    assert not seen.glb.exists(), "a visitor's copy outlives the original"
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(seen.id)
    with pytest.raises(UserError, match="link leads to no avatar"):
        workshop.visit(token)


@pytest.mark.parametrize("wrong", ["", "../shares", UNKNOWN, "x" * 32, None])
def test_any_other_link_leads_nowhere(workshop, wrong):
    with pytest.raises(UserError, match="link leads to no avatar"):
        workshop.visit(wrong)


def test_the_id_is_no_link(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    workshop.share(made.id, ANNA)
    with pytest.raises(UserError, match="link leads to no avatar"):
        workshop.visit(made.id)


# going


def test_deleting_removes_everything_at_once(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    card = workshop.mine(ANNA)[0].preview
    workshop.delete(made.id, ANNA)
    assert workshop.mine(ANNA) == []
    assert not made.folder.parent.exists()
    assert not card.exists()
    assert not workshop._loaded
    assert (source / "avatar.glb").exists()
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(made.id)


def test_passing_avatars_go_after_two_hours_and_kept_ones_stay(workshop, source):
    passing = workshop.keep(source, RECIPE, ANNA, listed=False)
    kept = workshop.keep(source, RECIPE, ANNA, listed=True)
    for made in (passing, kept):
        age(made.folder.parent, IDLE_SECONDS + 1)
    workshop.remove_old()
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(passing.id)
    assert not kept.folder.exists()
    assert len(workshop.avatar(kept.id).face) == len(kept.avatar.face)
    assert kept.folder.exists()


def test_the_one_left_alone_for_longest_makes_room(workshop, source, monkeypatch):
    older, newer = (workshop.keep(source, RECIPE, NOBODY, listed=False) for _ in range(2))
    age(newer.folder.parent, 60)
    age(older.folder.parent, 50)
    workshop.avatar(newer.id)
    monkeypatch.setattr("ui.workplaces.MOST_PLACES", 1)
    workshop.remove_old()
    assert len(workshop.avatar(newer.id).face) == len(newer.avatar.face)
    with pytest.raises(UserError, match="create one first"):
        workshop.avatar(older.id)


def test_an_avatar_that_is_being_made_is_left_alone(workshop, source, monkeypatch):
    def make(place, *arguments):
        shutil.copytree(source, place / "avatar")
        workshop.remove_old()
        return workshop.keep(place / "avatar", RECIPE, NOBODY, listed=False)

    monkeypatch.setattr(workshop.maker, "make", make)
    assert workshop.create("a man", 1, {}, unheard, person=NOBODY).glb.exists()


def test_an_avatar_deleted_meanwhile_stays_deleted(workshop, source, monkeypatch):
    gone = workshop.keep(source, RECIPE, NOBODY, listed=False)
    utime = os.utime

    def deleted_first(path):
        shutil.rmtree(gone.folder.parent, ignore_errors=True)
        utime(path)

    monkeypatch.setattr(os, "utime", deleted_first)
    with pytest.raises(UserError, match="create one first"):
        workshop.folder(gone.id)
    assert not gone.folder.parent.exists()


def test_two_visitors_may_clean_up_at_once(workshop, source, monkeypatch):
    old = workshop.keep(source, RECIPE, NOBODY, listed=False)
    age(old.folder.parent, IDLE_SECONDS + 1)
    ids = workshop.places.ids()
    shutil.rmtree(old.folder.parent)
    monkeypatch.setattr(workshop.places, "ids", lambda: ids)
    workshop.remove_old()


# several processes


def test_kept_avatars_survive_a_restart(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    token = workshop.share(made.id, ANNA)
    later = Workshop()
    assert [entry.id for entry in later.mine(ANNA)] == [f"mine/{made.id}"]
    assert len(later.avatar(made.id).face) == len(made.avatar.face)
    assert later.visit(token).recipe == RECIPE


def test_another_process_may_delete(workshop, source):
    made = workshop.keep(source, RECIPE, ANNA, listed=True)
    seen = workshop.visit(workshop.share(made.id, ANNA))
    Workshop().delete(made.id, ANNA)
    for gone in (made, seen):
        with pytest.raises(UserError, match="create one first"):
            workshop.avatar(gone.id)
    workshop.remove_old()
    assert not made.folder.exists()
    assert not seen.folder.exists()


def test_what_a_killed_process_left_is_removed_and_a_living_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    dead, alive = (tmp_path / f"{PREFIX}{name}" for name in ("dead", "alive"))
    for root in (dead, alive):
        (root / UNKNOWN).mkdir(parents=True)
        age(root, IDLE_SECONDS + 1)
    places = Workplaces.__new__(Workplaces)
    places.root = alive
    places.idle()
    Workplaces()
    assert alive.exists()
    assert not dead.exists()


def test_on_a_space_no_licensed_head_is_sent_whoever_brings_it(workshop, tmp_path, monkeypatch):
    folder = write_licensed(tmp_path / "licensed")
    monkeypatch.setenv("SPACE_ID", "anna/heads")
    with pytest.raises(UserError, match="licensed model, which a Space does not send"):
        workshop.keep(folder, RECIPE, ANNA, listed=True, avatar=licensed_avatar())
    assert not workshop.places.ids()


def test_on_a_space_the_library_goes_with_the_process(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "anna/heads")
    monkeypatch.delenv("ANIMPORTRAIT3D_LIBRARY")
    workshop = Workshop()
    assert isinstance(workshop.library, Library)
    assert workshop.library.root.name.startswith("animportrait3d-library-")
    assert workshop.limits.keep_hours == 24
    shutil.rmtree(workshop.library.root)
