"""Portraits of the gallery stand still: a press puts them on a rig, where this place has the decoder."""

import gradio as gr
import pytest

from pipeline.errors import UserError
from pipeline.gallery import Entry
from pipeline.gallery.portrait3d import Portrait3DSource
from pipeline.priors.portrait3d.decoder import Painter
from tests.priors.portrait3d.files import saved, small_portrait
from tests.priors.portrait3d.published import write_decoder
from ui import gallery, portrait_cards, run_line, run_portraits
from ui.gallery import open_entry, open_file
from ui.gallery_refresh import Refresher
from ui.gallery_tab import view
from ui.people import person_of
from ui.portrait_cards import PortraitCards
from ui.run_cost import Computing
from ui.runs import Runs
from ui.workshop import Workshop

KEY = "a" * 32
MINE = person_of(KEY, None)
ID = "portrait3d/000"


class Published:
    """Stands for the gallery of Portrait3D with one head."""

    source = Portrait3DSource()

    def __init__(self, file):
        self.file, self.fetched = file, 0

    def entries(self):
        return [Entry(ID, "a bald man", "CC-BY-4.0", missing=self.source.missing())]

    def fetch(self, entry_id, progress, cancel):
        self.fetched += 1
        progress(5, 10)
        return self.file


@pytest.fixture
def published(tmp_path, monkeypatch):
    made = Published(saved(tmp_path / "000_pyramid_trigrid.pth", {"model": small_portrait()}))
    monkeypatch.setattr(gallery, "galleries", lambda datasets: {"portrait3d": made})
    return made


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(tmp_path / "models"))
    return write_decoder(tmp_path / "models" / "decoder_512.ckpt", Painter().state_dict())


@pytest.fixture
def runs(tmp_path, monkeypatch):
    for name in ("SPACE_ID", "SPACES_ZERO_GPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "library"))
    for module in (portrait_cards, run_portraits):
        monkeypatch.setattr(module, "computing", lambda: Computing("cpu", "2 CPU cores", 0.08))
    monkeypatch.setattr(run_line, "start_worker", lambda path: None)
    return Runs(Workshop())


def test_without_the_decoder_a_card_shows_and_tells_how_to_get_it(published):
    card = view(published.entries(), ["portrait3d"], Refresher()).cards[0]
    assert card.missing.startswith("Only the picture and the prompt")
    assert "decoder_512.ckpt" in card.missing
    assert not card.still
    with pytest.raises(UserError, match=r"get decoder_512\.ckpt"):
        gallery.fetch_portrait(ID, lambda share, what: None, lambda: False)
    assert not published.fetched


def test_with_the_decoder_a_card_tells_what_a_rig_costs(published, decoder):
    card = view(published.entries(), ["portrait3d"], Refresher()).cards[0]
    assert not card.missing
    assert "stands still" in card.still
    assert "minute" in card.still
    assert "*" not in card.still


def test_a_press_fetches_the_portrait_and_starts_its_run(published, decoder, runs):
    told = list(PortraitCards(runs).on_card(ID, KEY, progress=lambda share, desc: None))
    run_id, tabs = told[-1]
    assert isinstance(tabs, gr.Tabs)
    (run,) = runs.of(MINE)
    assert run.id == run_id
    assert run.config.prompt == "a bald man"
    assert run.config.portrait.kind == "trigrid"


def test_what_cannot_be_rigged_is_a_sentence(published, decoder, runs):
    with pytest.raises(gr.Error, match="knows no head"):
        PortraitCards(runs).on_rig_card("portrait3d/999", KEY)
    assert not runs.of(MINE)


def test_a_portrait_is_not_opened_as_an_avatar(published, decoder, runs):
    with pytest.raises(UserError, match=r"must be put on a rig first.*rig_card"):
        open_entry(Workshop(), ID, MINE)
    with pytest.raises(UserError, match=r"must be put on a rig first.*Refine"):
        open_file(Workshop(), published.file, MINE, lambda share, what: None)
