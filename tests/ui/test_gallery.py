"""What the gallery lists, how it opens one head of every source, and what it refuses."""

import hashlib
import os
import shutil
import threading

import gradio as gr
import pytest
from gradio.data_classes import FileData
from gradio.utils import is_static_file

from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.files import zip_folder
from pipeline.gallery import Entry, builtin
from pipeline.gallery.animportrait3d import AnimPortrait3DSource
from pipeline.recipe import Recipe
from tests.synthetic import synthetic_avatar
from ui import gallery, gallery_heads, gallery_refresh
from ui.gallery import attribution, checked_datasets, entries, entry_of, open_entry, open_file, prompt_of, source_of
from ui.gallery_heads import build_first, builtin_folder
from ui.gallery_refresh import Refresher
from ui.gallery_tab import gallery_tab, view
from ui.people import NOBODY
from ui.workshop import Workshop

ANNA, BERT = (hashlib.sha256(name.encode()).hexdigest() for name in ("Anna", "Bert"))
RECIPE = Recipe("a test sphere", 7, {}, {}, [], [])
FIRST, SECOND = (entry.id for entry in builtin.entries()[:2])
DATASET = "somebody/heads"


def unheard(share, what):
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small avatar folder."""
    folder = tmp_path_factory.mktemp("finished") / "avatar"
    save_avatar_folder(synthetic_avatar(200), RECIPE, folder)
    return folder


class Oven:
    """Stands for the maker of heads: every head is the small avatar, and each is counted."""

    busy = False

    def __init__(self, finished):
        self.finished, self.built = finished, []

    def build(self, folder, prompt, seed, attributes, report):
        self.built.append(prompt)
        shutil.copytree(self.finished, folder)


@pytest.fixture
def workshop(tmp_path, monkeypatch, finished):
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("ANIMPORTRAIT3D_CACHE", str(tmp_path / "cache"))
    made = Workshop()
    made.maker = Oven(finished)
    return made


class Published:
    """Stands for a gallery of the Hub with one head."""

    source = AnimPortrait3DSource()

    def __init__(self, entry, path=None):
        self.entry, self.path, self.asked = entry, path, 0
        self.problem, self.go_on = "", threading.Event()

    def entries(self):
        return [self.entry]

    def fetch(self, entry_id, progress, cancel):
        progress(5, 10)
        return self.path

    def refresh(self, cancel):
        self.asked += 1
        self.go_on.wait(30)
        if self.problem:
            raise UserError(self.problem)


# the list


def test_the_persons_own_come_first_and_nobody_elses(workshop, finished):
    made = workshop.keep(finished, RECIPE, ANNA, listed=True)
    listed = entries(workshop, ANNA)
    assert [entry.id for entry in listed[:2]] == [f"mine/{made.id}", FIRST]
    assert len(listed) >= 25
    assert all(source_of(entry.id) != "mine" for entry in entries(workshop, BERT))


def test_a_card_says_everything_that_is_searched(workshop, finished):
    workshop.keep(finished, RECIPE, ANNA, listed=True)
    shown = view(entries(workshop, ANNA), ["animportrait3d", "dataset/somebody/heads"], Refresher())
    assert shown.cards[0].prompt == "a test sphere"
    assert shown.cards[0].picture.endswith(".webp")
    assert [source.title for source in shown.sources] == ["Built-in", "Yours", "AnimPortrait3D", "somebody/heads"]
    assert "Create" in shown.sources[1].empty
    assert {card.source for card in shown.cards} == {"mine", "builtin"}


def test_pictures_from_the_hub_are_served_from_where_they_lie(workshop):
    with gr.Blocks():
        gallery_tab()
    for known in gallery.galleries(["jane/my-heads"]).values():
        known.folder.mkdir(parents=True)
        (known.folder / "one.webp").touch()
        assert is_static_file(FileData(path=str(known.folder / "one.webp")))  # elsewhere Gradio refuses it


def test_a_data_set_is_one_source():
    assert source_of("dataset/somebody/heads/avatars/red") == "dataset/somebody/heads"
    assert source_of("animportrait3d/000") == "animportrait3d"


def test_data_sets_are_named_as_people_paste_them():
    pasted = ["https://huggingface.co/datasets/jane/my-heads/", " jane/my-heads ", "joe/x.y_z"]
    assert checked_datasets(pasted) == ["jane/my-heads", "joe/x.y_z"]


@pytest.mark.parametrize(
    "wrong", ["", "jane", "a/b/c", "../etc", "jane/..", "-a/b", "jane/my heads", "é/b", "a/" + "b" * 99]
)
def test_any_other_data_set_is_one_sentence(wrong):
    with pytest.raises(UserError, match="owner and name"):
        checked_datasets([wrong])


def test_a_visitor_adds_no_more_than_a_few():
    with pytest.raises(UserError, match="9 data sets are too many"):
        checked_datasets(f"jane/{number}" for number in range(9))


# opening


def test_a_built_in_head_is_made_once_and_everybody_gets_a_copy(workshop):
    told = []
    first = open_entry(workshop, FIRST, ANNA, lambda share, what: told.append(share))
    second = open_entry(workshop, FIRST, BERT)
    assert workshop.maker.built == [builtin.recipe(FIRST).prompt]
    assert first.id != second.id
    assert "CC0" in first.about
    assert first.glb
    assert entry_of(workshop, first.id) == FIRST
    assert not workshop.may(first.id, ANNA)
    assert workshop.mine(ANNA) == []


def test_a_head_of_another_version_is_made_again_and_takes_its_place(workshop, monkeypatch):
    before = builtin_folder(workshop.maker, FIRST, unheard)
    monkeypatch.setattr(gallery_heads, "_version", lambda: "another")
    after = builtin_folder(workshop.maker, FIRST, unheard)
    assert len(workshop.maker.built) == 2
    assert after != before
    assert not before.exists()


def test_who_has_left_does_not_wait_for_a_head(workshop):
    with gallery_heads._building, pytest.raises(UserError, match="called off"):
        builtin_folder(workshop.maker, FIRST, unheard, lambda: True)
    assert workshop.maker.built == []


def test_two_who_press_at_once_wait_for_one(workshop):
    threads = [threading.Thread(target=open_entry, args=(workshop, SECOND, NOBODY)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workshop.maker.built) == 1


def test_the_first_heads_are_made_before_anybody_asks(workshop):
    build_first(workshop.maker)
    assert len(workshop.maker.built) == gallery_heads.FIRST
    open_entry(workshop, FIRST, NOBODY)
    assert len(workshop.maker.built) == gallery_heads.FIRST


def test_an_own_head_is_the_head_itself_and_nobody_elses(workshop, finished):
    made = workshop.keep(finished, RECIPE, ANNA, listed=True)
    opened = open_entry(workshop, f"mine/{made.id}", ANNA)
    assert opened.id == made.id
    assert prompt_of(workshop, f"mine/{made.id}", ANNA) == ("a test sphere", 7)
    for ask in (open_entry, prompt_of):
        with pytest.raises(UserError, match="no avatar of that id"):
            ask(workshop, f"mine/{made.id}", BERT)


@pytest.mark.parametrize(
    "unknown", ["", "builtin/", "builtin/../../etc", "mine/x", "nothing/1", "animportrait3d/999", "x" * 999]
)
def test_an_unknown_head_is_one_sentence(workshop, unknown):
    for ask in (open_entry, prompt_of):
        with pytest.raises(UserError) as told:
            ask(workshop, unknown, ANNA)
        assert len(str(told.value)) < 300


@pytest.fixture
def hub_of(monkeypatch):
    """Puts one stand-in in the place of every gallery of the Hub."""

    def put(name, published):
        monkeypatch.setattr(gallery, "_operators", lambda named: {name: published})
        return published

    return put


def test_what_cannot_be_opened_says_why_and_lends_its_prompt(workshop, hub_of):
    entry = Entry("portrait3d/012", "a wizard", "CC-BY-4.0", missing="its decoder is not part of this version")
    hub_of("portrait3d", Published(entry))
    with pytest.raises(UserError, match="decoder is not part"):
        open_entry(workshop, entry.id, NOBODY)
    assert prompt_of(workshop, entry.id, NOBODY) == ("a wizard", 0)


def test_a_fetched_head_is_read_once(workshop, hub_of, finished, tmp_path, monkeypatch):
    zip_folder(finished, tmp_path / "000.zip")
    entry = Entry("animportrait3d/000", "a knight", "research only")
    hub_of("animportrait3d", Published(entry, tmp_path / "000.zip"))
    told = []
    opened = open_entry(workshop, entry.id, NOBODY, lambda share, what: told.append((share, what)))
    assert (pytest.approx(0.375), "Downloading 0 of 0 MB") in told
    assert told == sorted(told)
    monkeypatch.setattr(gallery_heads, "import_avatar", None)
    again = open_entry(workshop, entry.id, NOBODY)
    assert again.id != opened.id


def test_a_space_sends_no_licensed_head_to_visitors(workshop, hub_of, monkeypatch):
    entry = Entry("animportrait3d/000", "a knight", "research only")
    hub_of("animportrait3d", Published(entry))
    monkeypatch.setenv("SPACE_ID", "jane/heads")
    with pytest.raises(UserError, match="your own machine"):
        open_entry(workshop, entry.id, NOBODY)


def test_imported_heads_do_not_pile_up(workshop, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery_heads, "MOST_IMPORTED", 2)
    made = []
    for number in range(3):
        shutil.copytree(finished, tmp_path / f"{number}")
        made.append(gallery_heads.imported_folder(tmp_path / f"{number}", f"animportrait3d/{number}", unheard))
        os.utime(made[-1], (number, number))
    assert [folder.exists() for folder in made] == [False, True, True]


def test_a_data_set_of_the_hub_opens(workshop, hub, finished):
    card = b"---\nlicense: cc-by-4.0\n---\n"
    files = {f"avatars/sphere/{file.name}": file.read_bytes() for file in finished.iterdir()}
    hub.write("datasets", DATASET, files | {"README.md": card})
    added = gallery.galleries([DATASET])[f"dataset/{DATASET}"]
    added.refresh()
    (entry,) = added.entries()
    opened = open_entry(workshop, entry.id, NOBODY)
    assert opened.glb
    assert f"[somebody/heads](https://huggingface.co/datasets/{DATASET})" in attribution(entry.id)
    assert opened.about.endswith(attribution(entry.id))
    assert "by" in attribution(entry.id).rsplit("·")[-1].lower()


def test_a_brought_file_is_the_persons_own(workshop, finished, tmp_path):
    zip_folder(finished, tmp_path / "sphere.zip")
    opened = open_file(workshop, tmp_path / "sphere.zip", ANNA, unheard)
    assert workshop.may(opened.id, ANNA)
    assert [entry.prompt for entry in workshop.mine(ANNA)] == ["a test sphere"]


def test_a_file_that_is_no_avatar_leaves_nothing(workshop, tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(UserError):
        open_file(workshop, tmp_path / "x.zip", ANNA, unheard)
    assert workshop.mine(ANNA) == []


# asking the Hub


def settled(refresher, names):
    deadline = threading.Event()
    for _ in range(500):
        if not any(refresher.busy(name) for name in names):
            return
        deadline.wait(0.01)
    raise AssertionError("still busy")


def test_the_hub_is_asked_once_an_hour_and_again_after_a_failure():
    good, bad = Published(None), Published(None)
    bad.problem = "the Hub is asleep"
    sources = {"good": good, "bad": bad}
    refresher = Refresher()
    refresher.start(sources)
    assert refresher.busy("good")
    assert refresher.busy("bad")
    good.go_on.set()
    bad.go_on.set()
    settled(refresher, sources)
    assert refresher.problem("bad") == "The Hub is asleep."
    refresher.start(sources)
    refresher.start(sources, again=True)
    settled(refresher, sources)
    assert (good.asked, bad.asked) == (1, 2)
    shown = view([], ["good", "bad"], refresher).sources
    assert (shown[2].note, shown[3].note) == ("", "The Hub is asleep.")


def test_a_crowd_of_data_sets_waits_for_no_more_than_some(monkeypatch):
    monkeypatch.setattr(gallery_refresh, "MOST_WAITING", 2)
    sources = {f"dataset/somebody/{number}": Published(None) for number in range(3)}
    refresher = Refresher()
    refresher.start(sources)
    assert [refresher.busy(name) for name in sources] == [True, True, False]
    assert "Retry" in refresher.problem("dataset/somebody/2")
    for source in sources.values():
        source.go_on.set()
    settled(refresher, sources)
    refresher.start(sources, again=True)
    settled(refresher, sources)
    assert [source.asked for source in sources.values()] == [1, 1, 1]


def test_a_defect_of_ours_ends_the_asking_with_a_sentence(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    refresher = Refresher()
    refresher.start({"broken": object(), "next": object()})
    settled(refresher, ["broken", "next"])
    assert "our side" in refresher.problem("next")
