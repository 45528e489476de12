"""Two people at once in real browsers: neither sees, opens or deletes what the other made; a link shows one head."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Page, expect

WAIT = 120_000
"""Milliseconds for what compiles or draws on a machine that does other things too."""
VIEWER = "document.querySelector('.avatar-viewer-place')?.viewer"
KEY = "localStorage.getItem('animportrait3d-person')"
SIZE = {"width": 500, "height": 500}


@dataclass
class Visitor:
    """One person at the page."""

    page: Page
    prompt: str
    key: str
    avatar_id: str
    glb: str
    """Address of the file that the viewer streams."""


@pytest.fixture(scope="module")
def client(app) -> Client:
    """Asks what the pages ask, with a key of one's choice."""
    return Client(app.url, verbose=False)


@pytest.fixture(scope="module")
def visitors(app, browser: Browser) -> Iterator[tuple[Visitor, Visitor]]:
    """Two browsers, each of which has made a head."""
    contexts = [browser.new_context(viewport=SIZE) for _ in range(2)]
    yield tuple(
        create(context.new_page(), app.url, prompt)
        for context, prompt in zip(contexts, ("a bald man in a red t-shirt", "a woman with a black bob"), strict=True)
    )
    for context in contexts:
        context.close()


def create(page: Page, url: str, prompt: str) -> Visitor:
    """Make a head as a person would, and note what the browser was told of it."""
    page.set_default_timeout(WAIT)
    page.goto(url)
    expect(page.locator("#about")).to_contain_text("red hair", timeout=WAIT)  # the example
    page.get_by_role("tab", name="Create").click()
    page.get_by_role("tab", name="Create").click()
    page.fill("#prompt textarea", prompt)
    page.press("#prompt textarea", "Enter")
    expect(page.locator("#about")).to_contain_text(prompt, timeout=WAIT)
    page.wait_for_function(f"{VIEWER}.info().complete")
    glb = page.evaluate("performance.getEntriesByType('resource').map((e) => e.name).filter((n) => /glb/.test(n))")[-1]
    found = re.search(r"/([0-9a-f]{32})/", glb)
    assert found
    return Visitor(page, prompt, page.evaluate(KEY), found[1], glb)


def listed(client: Client, key: str) -> list[str]:
    """Ids of a person's own heads."""
    return [head["id"] for head in client.predict(key, api_name="/gallery") if head["source"] == "mine"]


def test_each_browser_is_somebody_and_stays_so(app, visitors, client):
    anna, bert = visitors
    assert re.fullmatch("[0-9a-f]{32}", anna.key)
    assert anna.key != bert.key
    for visitor in visitors:
        visitor.page.reload()
        expect(visitor.page.locator("#gallery")).to_contain_text(visitor.prompt, timeout=WAIT)
        assert visitor.page.evaluate(KEY) == visitor.key
    expect(anna.page.locator("#gallery")).not_to_contain_text(bert.prompt)
    expect(bert.page.locator("#gallery")).not_to_contain_text(anna.prompt)
    assert listed(client, anna.key) == [f"mine/{anna.avatar_id}"]
    assert listed(client, bert.key) == [f"mine/{bert.avatar_id}"]
    for nobody in ("", "0" * 32, anna.key.upper(), anna.key[:-1]):
        assert listed(client, nobody) == []


def test_a_foreign_head_is_neither_opened_nor_shared_nor_deleted(visitors, client):
    anna, bert = visitors
    told = set()
    for avatar_id in (anna.avatar_id, "0" * 32):
        for key in (bert.key, ""):
            for call, first in (("/open", f"mine/{avatar_id}"), ("/share", avatar_id), ("/delete", avatar_id)):
                with pytest.raises(AppError) as refused:
                    client.predict(first, key, api_name=call)
                told.add(str(refused.value))
    assert len(told) == 1, "a stranger learns which ids exist"
    assert "belongs to somebody else" in told.pop()
    assert listed(client, anna.key) == [f"mine/{anna.avatar_id}"]


def test_a_link_shows_one_head_until_it_is_deleted(app, browser: Browser, visitors, client):
    anna, bert = visitors
    token = client.predict(anna.avatar_id, anna.key, api_name="/share")
    link = f"{app.url}?avatar={token}"

    bert.page.goto(link)
    expect(bert.page.locator("#about")).to_contain_text(anna.prompt, timeout=WAIT)
    bert.page.wait_for_function(f"{VIEWER}?.info().complete")
    assert anna.avatar_id not in bert.page.content()
    assert bert.page.evaluate(KEY) == bert.key
    assert listed(client, bert.key) == [f"mine/{bert.avatar_id}"], "what is shown is not kept"

    copy = client.predict(token, api_name="/visit")[0]
    assert client.predict(copy, "talk", api_name="/play")[0]["clip"]
    for key in (bert.key, anna.key, ""):
        with pytest.raises(AppError, match="belongs to somebody else"):
            client.predict(copy, key, api_name="/delete")
    assert served(anna.glb)

    client.predict(anna.avatar_id, anna.key, api_name="/delete")
    assert listed(client, anna.key) == []
    assert not served(anna.glb), "the deleted head can still be fetched"
    with pytest.raises(AppError, match="create one first"):
        client.predict(copy, "talk", api_name="/play")
    bert.page.goto(link)
    expect(bert.page.get_by_text("The link leads to no avatar")).to_be_visible(timeout=WAIT)
    expect(bert.page.locator("#about")).to_contain_text("red hair", timeout=WAIT)  # the example instead


def test_a_browser_that_keeps_nothing_is_served_too(app, browser: Browser):
    page = browser.new_page(viewport=SIZE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked') }})")
    page.goto(app.url)
    page.wait_for_function("/^[0-9a-f]{32}$/.test(window.animportrait3dPerson)", timeout=WAIT)
    expect(page.locator("#gallery")).to_contain_text("Built-in", timeout=WAIT)
    page.close()
    assert errors == []


def test_nobody_is_in_the_log(app, visitors, client):
    with pytest.raises(AppError):
        client.predict("qwrtz of Anna", 0, api_name="/create")
    log = (app.files / "app.log").read_text()
    for visitor in visitors:
        for private in (visitor.prompt, visitor.key, visitor.avatar_id):
            assert private not in log
    assert "Anna" not in log


def served(address: str) -> bool:
    """Whether a file can be fetched."""
    try:
        urllib.request.urlopen(address).close()
    except urllib.error.HTTPError:
        return False
    return True
