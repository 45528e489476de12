"""A person at the tab "Refine": real workers on a tiny model, through a reload, a stop and a resume, to a head."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pipeline.jobs import RunConfig
from tests.browser.test_visitors import KEY, VIEWER, WAIT
from tests.tiny_checkpoint import write_tiny_checkpoint
from ui.people import person_of
from ui.runs import Runs
from ui.workshop import Workshop

PROMPT = "a bald man in a red t-shirt"
STEPS = 120


@pytest.fixture(scope="module")
def visit(app, browser: Browser) -> Iterator[Page]:
    """A visit that goes on from test to test."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.url)
    expect(page.locator("#about")).to_contain_text("red hair")  # the example
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def run_id(visit: Page, tmp_path_factory) -> str:
    """A run of the visitor's, of one short phase on small pictures, that nobody has worked on yet."""
    model = write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))
    config = RunConfig.of(PROMPT, model=str(model), resolution=64, threads=1, num_steps_scale=0.01)
    phase = replace(config.refinement.phases[0], steps=STEPS)
    short = replace(config, refinement=replace(config.refinement, phases=(phase,)))
    return Runs(Workshop()).add(short, person_of(visit.evaluate(KEY), None)).id


def run_of(page: Page, run_id: str) -> Locator:
    """The run's line, with what it opens to."""
    return page.locator(f"#runs [data-run='{run_id}']")


def press(run: Locator, action: str) -> None:
    run.locator(f"[data-action='{action}']").click()


def test_it_goes_on_through_a_reload_and_a_stop(visit: Page, run_id: str):
    visit.get_by_role("tab", name="Refine").click()
    expect(visit.locator("#refine-prompt textarea")).to_have_value(re.compile("long red hair"))
    run = run_of(visit, run_id)
    run.get_by_role("button", name=PROMPT).click()
    press(run, "resume")
    expect(run.locator(".state")).to_have_text("Running")
    expect(run.locator(".step")).to_contain_text(f"of {STEPS}")
    visit.reload()
    expect(run.locator("img")).to_be_visible()
    assert run.locator("img").evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") > 100
    press(run, "stop")
    expect(run.locator(".state")).to_have_text("Stopped")
    expect(run.locator(".note")).to_contain_text("go on with Resume")
    assert visit.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out on a phone


def test_others_wait_for_their_turn(visit: Page, run_id: str):
    run = run_of(visit, run_id)
    press(run, "resume")
    expect(run.locator(".state")).to_have_text("Running")
    visit.fill("#refine-prompt textarea", "an old man with a white beard")
    visit.click("#refine-start")
    waiting = visit.locator("#runs [data-run]").filter(has_text="white beard")
    expect(waiting.locator(".step")).to_have_text("1 run before it")
    for asks in (False, True):
        press(waiting, "delete")
        expect(waiting).to_have_count(0 if asks else 1)


def test_the_finished_head_comes_onto_the_stage_and_among_ones_own(visit: Page, run_id: str):
    run = run_of(visit, run_id)
    if not run.locator(".detail").is_visible():
        run.get_by_role("button", name=PROMPT).click()
    expect(run.locator(".state")).to_have_text("Finished")
    press(run, "open")
    expect(visit.locator("#about")).to_contain_text(PROMPT)
    visit.wait_for_function(f"{VIEWER}.info().complete")
    visit.get_by_role("tab", name="Gallery").click()
    expect(visit.locator("#gallery [data-source='mine'] .count")).to_have_text("1")


def test_a_stranger_with_the_address_sees_nothing(app, browser: Browser, visit: Page, run_id: str):
    assert f"run={run_id}" in visit.url
    page = browser.new_context().new_page()
    page.goto(visit.url)
    expect(page.get_by_text("belongs to somebody else")).to_be_visible(timeout=WAIT)
    page.get_by_role("tab", name="Refine").click()
    expect(page.locator("#runs .empty")).to_be_visible(timeout=WAIT)
    assert PROMPT not in page.locator("#runs").inner_text()
    page.context.close()


def test_nobody_is_in_the_log(app, visit: Page, run_id: str):
    log = Path(app.files / "app.log").read_text()
    assert run_id not in log
    assert PROMPT not in log
