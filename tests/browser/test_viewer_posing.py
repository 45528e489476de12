"""Sliders, poses and clips move the head in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.motion.retarget import Retargeted
from tests.browser.views import SPHERE, open_page, open_viewer, pixels, same


def test_sliders_move_the_head_and_reset(page: Page, site: str) -> None:
    open_page(page, site)
    before = pixels(page)
    page.get_by_role("slider", name="Mouth smile left").fill("1")
    smiling = pixels(page)
    assert not same(before, smiling)
    page.get_by_role("slider", name="Head turn").fill("0.3")
    assert not same(smiling, pixels(page))
    page.get_by_role("button", name="Reset head").click()
    assert same(smiling, pixels(page))
    page.get_by_role("button", name="Reset all").click()
    assert same(before, pixels(page))


def test_search_finds_sliders(page: Page, site: str) -> None:
    open_page(page, site)
    everything = page.get_by_role("slider").count()
    search = page.get_by_role("searchbox")
    search.fill("smile")
    assert page.get_by_role("slider").count() == 1
    search.fill("jaw open")
    expect(page.get_by_role("slider", name="Jaw open")).to_be_visible()
    search.fill("no such thing")
    expect(page.get_by_text("No control has that name.")).to_be_visible()
    search.fill("")
    assert page.get_by_role("slider").count() == everything


def test_every_expression_and_joint_has_a_slider(page: Page, site: str) -> None:
    open_page(page, site)
    page.get_by_role("searchbox").fill("e")
    page.get_by_role("searchbox").fill("")
    labels = page.locator(".row label").all_text_contents()
    assert {"Eye look up left", "Jaw open", "Mouth smile left"} <= set(labels)
    groups = page.locator("summary span").all_text_contents()
    assert groups == ["Head", "Neck", "Body", "Eyes", "Jaw", "Mouth", "Left eye", "Right eye"]


def test_gaze_sliders_turn_the_eyes_but_a_pose_is_final(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate("viewer.setExpression('eyeLookUpLeft', 0.5)")
    slid = pixels(page)
    page.evaluate(
        "viewer.setExpression('eyeLookUpLeft', 0); viewer.setPose({eyeLookUpLeft: 0.5}, {left_eye: [-0.2, 0, 0]})"
    )
    assert same(slid, pixels(page))


def test_pose_takes_arrays_and_names_and_refuses_others(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate("viewer.setPose({jawOpen: 1}, {head: [0, 0.4, 0]})")
    named = pixels(page)
    page.evaluate("viewer.setPose([0, 0, 1, 0], [[0,0,0],[0,0,0],[0,0,0],[0,0,0],[0,0.4,0]])")
    assert same(named, pixels(page))
    for wrong in (
        "viewer.setPose({jawShut: 1})",
        "viewer.setExpression('jawShut', 1)",
        "viewer.setJoint('Tail', 'Nod', 1)",
    ):
        assert "This avatar has no" in page.evaluate(
            f"(() => {{ try {{ {wrong} }} catch (e) {{ return e.message }} }})()"
        )


def test_clip_plays_seeks_and_stops(page: Page, site: str, clip: Retargeted) -> None:
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    page.wait_for_function("viewer.info().playing && viewer.info().time > 0.2")
    page.get_by_role("button", name="Pause").click()
    assert not page.evaluate("viewer.info().playing")
    page.evaluate("viewer.seek(0.5)")
    halfway = pixels(page)
    page.evaluate("viewer.setPose({jawOpen: 0.5}, {head: [0.25, 0, 0]})")
    assert same(halfway, pixels(page))
    expect(page.get_by_role("group", name="Clip")).to_be_hidden()


def test_clip_that_does_not_repeat_ends_at_its_end(page: Page, site: str, clip: Retargeted) -> None:
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    page.get_by_role("button", name="Repeat").click()
    page.get_by_role("combobox", name="Speed").select_option("2")
    page.wait_for_function("!viewer.info().playing && viewer.info().time === viewer.info().duration")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("viewer.info().playing || viewer.info().time === viewer.info().duration")
    page.evaluate("viewer.pause(); viewer.seek(0.5)")
    page.locator("canvas").press(".")
    assert page.evaluate("viewer.info().time") == pytest.approx(0.6)


def test_reduced_motion_waits_for_play(browser: Browser, site: str, clip: Retargeted) -> None:
    page = browser.new_page(reduced_motion="reduce")
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert not page.evaluate("viewer.info().playing")
    page.close()


def test_json_clip_object_plays(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate(
        "viewer.play({fps: 10, names: ['jawOpen', 'unknown'], expression: [[0, 1], [1, 1]], joints: ['head'],"
        " rotations: [[[0, 0, 0]], [[0, 0.2, 0]]]}, {paused: true}).then(() => viewer.seek(0.1))"
    )
    played = pixels(page)
    page.evaluate("viewer.setPose({jawOpen: 1}, {head: [0, 0.2, 0]})")
    assert same(played, pixels(page))
