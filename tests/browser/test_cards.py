"""The cards alone: searching, filtering, keyboard, and words that mean harm."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ui.cards import Card, Cards, CardsView, Source, picture_url

HARMFUL = "<img src=x onerror=alert(1)> ${alert(2)} {{alert(3)}}"
COUNT, STILL = 120, 50


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Cards, a line that tells what was pressed, and a button that brings fewer cards."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (32, 32), "red").save(folder / "red.webp")
    gr.set_static_paths([folder])
    pictured = picture_url(folder / "red.webp")
    named = {f"builtin/{number}": f"head number {number} with curls" for number in range(COUNT)}
    cards = [
        Card(id=name, source="builtin", prompt=prompt, licence="CC0-1.0", picture=pictured)
        for name, prompt in named.items()
    ]
    cards[STILL].still = "It takes a while."
    cards.append(
        Card(id="portrait3d/1", source="portrait3d", prompt=HARMFUL, licence="CC-BY-4.0", missing="No decoder.")
    )
    sources = [
        Source(id="builtin", title="Built-in"),
        Source(id="mine", title="Yours", empty="Make one under Create."),
        Source(id="portrait3d", title="Portrait3D", note="The Hub cannot be reached."),
    ]
    fewer = CardsView(cards=cards[-3:], sources=[*sources[:2], Source(id="portrait3d", title="Portrait3D", busy=True)])
    with gr.Blocks() as demo:
        shown = Cards(CardsView(cards=cards, sources=sources), label="cards")
        told = gr.Textbox(label="told", elem_id="told")
        for event in ("select", "stop", "use", "rig", "retry"):
            js = f"() => '{event} ' + document.galleryChoice"
            getattr(shown, event)(None, None, told, js=js)
        gr.Button("Fewer").click(lambda: fewer, None, shown)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, allowed_paths=[str(folder)])
    yield url
    demo.close()


@pytest.fixture
def cards(page: Page, app: str) -> Page:
    page.set_viewport_size({"width": 700, "height": 700})
    page.goto(app)
    expect(page.locator(".cards-place .card")).to_have_count(COUNT + 1)
    return page


def in_sight(page: Page) -> int:
    return page.locator(".cards-place li:not([hidden])").count()


def test_every_word_must_occur_in_prompt_source_or_licence(cards: Page) -> None:
    search = cards.get_by_role("searchbox")
    for words, found in {
        "CURLS  head": COUNT,
        "number 7 cc0": sum("7" in str(number) for number in range(COUNT)),
        "portrait3d": 1,
        "curls portrait3d": 0,
        "": COUNT + 1,
    }.items():
        search.fill(words)
        assert in_sight(cards) == found, words
    search.fill("nobody")
    expect(cards.get_by_text("No head with “nobody”")).to_be_visible()


def test_sources_have_counts_and_say_what_to_do_when_empty(cards: Page) -> None:
    expect(cards.get_by_role("radio", name="All")).to_have_text(f"All{COUNT + 1}")
    expect(cards.get_by_text("Nothing new from the Hub now: Portrait3D.")).to_be_visible()
    cards.get_by_role("radio", name="Portrait3D").click()
    expect(cards.get_by_text("The Hub cannot be reached.")).to_be_visible()
    assert in_sight(cards) == 1
    cards.get_by_role("radio", name="Yours").click()
    expect(cards.get_by_text("Make one under Create.")).to_be_visible()
    cards.keyboard.press("ArrowLeft")
    expect(cards.get_by_role("radio", name="Built-in")).to_be_checked()
    assert in_sight(cards) == COUNT


def test_arrows_move_and_enter_opens(cards: Page) -> None:
    cards.get_by_role("radio", name="All").focus()
    cards.keyboard.press("Tab")
    cards.keyboard.press("Tab")  # over Retry
    columns = cards.evaluate("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        cards.keyboard.press(key)
    cards.keyboard.press("Enter")
    expect(cards.locator("#told textarea")).to_have_value(f"select builtin/{1 + columns}")
    expect(cards.locator(".card[aria-busy=true]")).to_have_count(1)
    assert cards.locator(".card[tabindex='0']").count() == 1, "one stop for the tab key"
    cards.keyboard.press("Enter")  # a double click
    cards.wait_for_timeout(700)
    cards.keyboard.press("Enter")
    expect(cards.locator("#told textarea")).to_have_value(f"stop builtin/{1 + columns}")


def test_what_cannot_be_opened_explains_itself_and_harmful_words_stay_words(cards: Page) -> None:
    cards.get_by_role("searchbox").fill("onerror")
    cards.locator(".cards-place li:not([hidden]) .card").click()
    dialog = cards.get_by_role("dialog")
    expect(dialog).to_contain_text(HARMFUL)
    expect(dialog).to_contain_text("No decoder.")
    dialog.get_by_role("button", name="Use this prompt").click()
    expect(cards.locator("#told textarea")).to_have_value("use portrait3d/1")
    assert cards.locator(".cards-place img[src=x]").count() == 0


def test_a_failed_source_is_asked_again_and_new_cards_keep_what_was_chosen(cards: Page) -> None:
    cards.get_by_role("button", name="Retry").click()
    expect(cards.locator("#told textarea")).to_have_value("retry undefined")
    cards.get_by_role("searchbox").fill("number 119")
    cards.get_by_role("button", name="Fewer").click()
    expect(cards.locator(".cards-place .card")).to_have_count(3)
    assert in_sight(cards) == 1
    expect(cards.get_by_text("Loading previews: Portrait3D")).to_be_visible()
    cards.locator(".cards-place .card:visible").click()
    expect(cards.locator(".card[aria-busy=true]")).to_have_count(1)
    cards.evaluate("document.querySelector('.cards-place').cards.arrived('builtin/118')")  # one from before
    expect(cards.locator(".card[aria-busy=true]")).to_have_count(1)
    cards.evaluate("document.querySelector('.cards-place').cards.arrived('builtin/119')")
    expect(cards.locator(".card[aria-busy=true]")).to_have_count(0)


def test_only_pictures_near_the_sight_are_fetched_and_each_is_told_in_words(cards: Page) -> None:
    first = cards.get_by_role("img", name="head number 0 with curls")
    expect(first).to_have_attribute("loading", "lazy")
    cards.wait_for_function("document.querySelector('.cards-place img').naturalWidth === 32")


def test_one_that_stands_still_tells_what_a_rig_takes_before_it_starts(cards):
    card = cards.locator(".card").nth(STILL)
    expect(card.locator(".tag")).to_have_text("Portrait")
    card.click()
    dialog = cards.locator(".card-dialog")
    expect(dialog).to_contain_text("It takes a while.")
    dialog.get_by_role("button", name="Put it on a rig").click()
    expect(dialog).to_be_hidden()
    expect(cards.locator("#told textarea, #told input").first).to_have_value(f"rig builtin/{STILL}")
    expect(card).to_have_attribute("aria-busy", "true")
