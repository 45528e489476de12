"""The gallery as people meet it, with no network: look, press, and it plays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

WAIT = 120_000
"""Milliseconds for what compiles or builds on a machine that does other things too."""
VIEWER = "document.querySelector('.avatar-viewer-place').viewer"
CARDS = ".cards-place li:not([hidden]) .card"
WHO = "a bald young black woman"


@pytest.fixture(scope="module")
def visit(app, browser: Browser) -> Iterator[Page]:
    """One visitor, who may use the clipboard."""
    context = browser.new_context(
        viewport={"width": 900, "height": 700}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.url)
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def opened(visit: Page) -> Page:
    """The visitor has found a head by its words and pressed its card."""
    expect(visit.locator(CARDS).first).to_be_visible()
    visit.get_by_role("searchbox", name="Search").fill(WHO)
    expect(visit.locator(CARDS)).to_have_count(1)
    visit.locator(CARDS).click()
    visit.wait_for_function(f"{VIEWER}.info().playing && {VIEWER}.info().time > 0.05")
    return visit


def test_without_a_network_the_built_in_heads_are_there_and_the_hub_says_why_not(visit: Page):
    expect(visit.locator(CARDS).nth(23)).to_be_attached()
    expect(visit.locator(".cards-place .status")).to_contain_text("Nothing new from the Hub now")
    visit.get_by_role("radio", name="AnimPortrait3D").click()
    expect(visit.locator(".cards-place .status")).to_contain_text("HF_HUB_OFFLINE")
    visit.get_by_role("radio", name="All").click()
    visit.wait_for_function("document.querySelector('.cards-place img').naturalWidth > 100")


def test_one_press_and_the_head_plays(opened: Page):
    expect(opened.locator("#about")).to_contain_text(WHO)
    expect(opened.locator("#about")).to_contain_text("CC0-1.0")
    expect(opened.locator(".card[aria-current=true]")).to_have_count(1)
    assert opened.evaluate(f"{VIEWER}.info().splats") > 50_000
    expect(opened.locator("#delete")).to_be_hidden()


def test_the_clip_chosen_under_animate_goes_on_with_the_next_head(opened: Page):
    opened.click("#to-animate")
    expect(opened.get_by_label("Talk", exact=True)).to_be_checked()
    opened.get_by_label("Idle", exact=True).check()
    talk = opened.evaluate(f"{VIEWER}.info().duration")
    opened.wait_for_function(f"{VIEWER}.info().duration !== {talk}")
    idle = opened.evaluate(f"{VIEWER}.info().duration")
    opened.get_by_role("tab", name="Gallery").click()
    opened.get_by_role("searchbox", name="Search").fill("")
    opened.locator(CARDS).nth(1).click()
    opened.locator(CARDS).first.click()  # the last press wins
    expect(opened.locator("#about")).to_contain_text(opened.locator(".card .prompt").first.inner_text())
    opened.wait_for_function(f"{VIEWER}.info().playing && Math.abs({VIEWER}.info().duration - {idle}) < 0.01")


def test_a_link_opens_the_head_in_another_page(opened: Page, app):
    expect(opened.locator("#link")).to_be_visible()
    opened.click("#link")
    expect(opened.locator("#link.copied")).to_be_visible()
    link = opened.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(re.escape(app.url.rstrip("/")) + r"/\?avatar=builtin/[a-z-]+", link)
    other = opened.context.new_page()
    other.goto(link)
    expect(other.locator("#about")).to_contain_text(opened.locator("#about strong").inner_text())
    other.close()


def test_its_prompt_is_made_anew_and_the_new_head_is_listed_until_it_is_deleted(opened: Page):
    prompt = opened.locator("#about strong").inner_text()
    opened.click("#use")
    expect(opened.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")
    expect(opened.locator("#prompt textarea")).to_have_value(prompt)
    typed = opened.locator("#prompt textarea")
    for _ in range(5):  # a field of a tab that opens for the first time takes its value again
        opened.wait_for_timeout(1500)
        if typed.input_value() == "a bald man in a purple t-shirt":
            break
        typed.fill("a bald man in a purple t-shirt")
    opened.click("#create")
    expect(opened.locator("#about")).to_contain_text("purple t-shirt")
    expect(opened.locator("#publish")).to_be_visible()
    opened.get_by_role("tab", name="Gallery").click()
    opened.get_by_role("searchbox", name="Search").fill("")
    opened.get_by_role("radio", name="Yours").click()
    expect(opened.locator(CARDS)).to_have_count(1)
    expect(opened.locator(CARDS)).to_have_attribute("aria-current", "true")
    opened.click("#delete")
    expect(opened.locator("#delete")).to_have_text("Press again to delete")
    expect(opened.locator(CARDS)).to_have_count(1)
    opened.click("#delete")
    expect(opened.get_by_text("Nothing of yours yet")).to_be_visible()
    expect(opened.locator("#about")).not_to_contain_text("purple")
    expect(opened.locator("#delete")).to_be_hidden()


def test_a_wrong_data_set_is_one_sentence(visit: Page):
    visit.get_by_role("tab", name="Gallery").click()
    visit.get_by_text("Open a file, or add a Hub data set").click()
    visit.fill("#dataset input, #dataset textarea", "no data set")
    visit.click("#dataset-add")
    expect(visit.get_by_text("is no data set of the Hub")).to_be_visible()
