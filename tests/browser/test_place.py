"""The panel at the foot of the page, opened by a person who sits at the machine."""

from playwright.sync_api import Browser, expect

from pipeline import doctor_place

WAIT = 120_000
"""Milliseconds, on a machine that does other things too."""


def test_it_looks_when_it_is_opened(app, browser: Browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(app.url)
    panel, table = page.locator("#place"), page.locator("#place-table table")
    expect(panel).to_be_visible(timeout=WAIT)
    expect(table).to_have_count(0)
    panel.get_by_text("What works at this place").click()
    expect(table.first).to_be_visible(timeout=WAIT)
    expect(panel).to_contain_text("There is no GPU here and none is needed")
    expect(panel).to_contain_text("HF_HUB_OFFLINE")
    expect(panel).to_contain_text(doctor_place.version("gradio"))
    expect(panel).to_contain_text(f"GB free in {app.files}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out on a phone
    page.close()
