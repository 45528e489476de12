"""A person at the tab "Animate": files are recognised and set right, the plot follows, edits and speech are played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from pipeline.motion import ARKIT_NAMES
from tests.browser.test_app import VIEWER, WAIT, decode, saved
from tests.test_api import write_tone

FRAMES = 40
DURATION = f"{VIEWER}.info().duration"


@pytest.fixture(scope="module")
def visit(app, browser: Browser) -> Iterator[Page]:
    """A visit to the tab with the head that greets."""
    page = browser.new_page(viewport={"width": 920, "height": 500}, reduced_motion="reduce")  # clips wait to be played
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.url)
    page.wait_for_function("document.querySelector('.avatar-viewer-place')?.viewer?.info().complete")
    page.get_by_role("tab", name="Animate").click()
    yield page
    page.close()
    assert errors == []


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    """A clip as VHAP tracks it: the jaw opens and closes once, the head is turned like its camera."""
    path = tmp_path_factory.mktemp("vhap") / "tracked_flame_params.npz"
    still = np.zeros((FRAMES, 3), np.float32)
    jaw = still.copy()
    jaw[:, 0] = 0.15 * (1 - np.cos(np.arange(FRAMES) / FRAMES * 2 * np.pi))
    np.savez(
        path, rotation=still + 0.2, translation=still, neck_pose=0.3 * jaw, jaw_pose=jaw,
        eyes_pose=np.zeros((FRAMES, 6)), shape=np.zeros(300), expr=np.ones((FRAMES, 100)),
        timestep_id=np.arange(FRAMES), n_processed_frames=FRAMES,
    )  # fmt: skip
    return path


def plays_for(page: Page, seconds: float) -> None:
    """Wait until the clip on the stage lasts so long (to its last frame)."""
    page.wait_for_function(f"Math.abs({DURATION} - {seconds}) < 0.02")


def test_a_tracked_clip_is_recognised_and_its_frame_rate_set_right(visit: Page, tracked: Path):
    visit.get_by_role("tab", name="Your file").click()
    visit.set_input_files("#motion-files input[type=file]", tracked)
    expect(visit.locator("#recognised")).to_contain_text("VHAP")
    expect(visit.locator("#recognised")).to_contain_text("40 frames at 25 frames per second")
    plays_for(visit, 39 / 25)
    rate = visit.get_by_label("Frames per second")
    expect(visit.locator(".choice").filter(has=rate)).to_contain_text("assumed")
    rate.fill("50")
    rate.press("Enter")
    plays_for(visit, 39 / 50)
    expect(visit.locator("#recognised")).to_contain_text("40 frames at 50 frames per second")
    expect(visit.locator(".choice").filter(has=rate)).not_to_contain_text("assumed")


def test_the_playhead_follows_and_leads(visit: Page):
    expect(visit.locator(".motion-plot polyline").first).to_be_visible()
    visit.evaluate(f"{VIEWER}.seek(0.39)")
    share = "parseFloat(document.querySelector('.playhead').style.left)"
    assert visit.evaluate(share) == pytest.approx(50, abs=1)
    lanes = visit.locator(".motion-plot .lanes")
    box = lanes.bounding_box()
    assert box
    lanes.click(position={"x": box["width"] / 4, "y": 40})
    assert visit.evaluate(f"{VIEWER}.info().time") == pytest.approx(0.39 / 2, abs=0.02)
    assert visit.evaluate(share) == pytest.approx(25, abs=1)


def test_edits_change_the_clip(visit: Page):
    visit.get_by_role("button", name="Edit").click()
    visit.get_by_label("number input for Speed").fill("0.5")
    visit.get_by_label("number input for Speed").press("Enter")
    plays_for(visit, 79 / 50)
    visit.locator("#feeling input").click()
    visit.get_by_role("option", name="Happy").click()
    visit.wait_for_function(f"{VIEWER}.pose().expression.mouthSmileLeft > 0.3")


def test_a_clip_is_split_at_the_playhead(visit: Page):
    part = visit.locator("#part input")
    for _ in range(5):  # a clip that is still on its way begins anew, and at its beginning there is nothing to split
        visit.evaluate(f"{VIEWER}.pause(), {VIEWER}.seek(0.4)")  # at half the speed: 0.2 s of the clip
        visit.click("#split")
        with suppress(PlaywrightTimeout):
            part.wait_for(timeout=5_000)
            break
    part.click()
    visit.get_by_role("option", name="Part 1: 0.0 – 0.2 s").click()
    plays_for(visit, 19 / 50)


def test_the_edited_motion_is_saved_and_filmed(visit: Page, tmp_path: Path):
    document = json.loads(saved(visit, "#save-arkit", tmp_path / "arkit.json").read_text())
    assert len(document["frames"]) == 20
    assert document["frames"][3]["weights"][ARKIT_NAMES.index("mouthSmileLeft")] > 0.3
    expect(visit.locator("#save-notes")).to_contain_text("head turns")
    visit.click("#export")
    visit.locator("#video-file").wait_for()
    saved(visit, "#video-file", tmp_path / "video.mp4")
    assert len(decode(tmp_path / "video.mp4", 512)) == 20


def test_reset_plays_the_clip_as_it_came(visit: Page):
    visit.click("#reset-edits")
    plays_for(visit, 39 / 50)
    visit.wait_for_function(f"!({VIEWER}.pose().expression.mouthSmileLeft > 0.3)")


def test_a_new_motion_begins_uncut_and_without_the_files(visit: Page):
    visit.locator("#trim-start input").fill("0.3")
    visit.locator("#trim-start input").press("Tab")
    plays_for(visit, 24 / 50)
    visit.get_by_role("tab", name="Clips").click()
    visit.get_by_label("Idle", exact=True).check()
    plays_for(visit, 299 / 30)
    expect(visit.locator("#trim-start input")).to_have_value("0")
    expect(visit.locator("#motion-files")).not_to_contain_text("tracked")
    expect(visit.locator("#recognised")).not_to_contain_text("VHAP")


def test_a_recording_is_spoken_and_heard(visit: Page, tmp_path: Path):
    write_tone(tmp_path / "voice.wav", 2)
    visit.get_by_role("tab", name="Speech").click()
    visit.click("#talk")
    expect(visit.locator(".toast-body")).to_contain_text("Nothing is said yet")
    visit.set_input_files("#speech input[type=file]", tmp_path / "voice.wav")
    expect(visit.locator("#speech [aria-label='Play']")).to_be_visible()
    visit.click("#talk")
    expect(visit.locator("#motion-notes")).to_contain_text("rough")
    visit.wait_for_function(f"{DURATION} > 1.9 && {DURATION} < 4")
    expect(visit.get_by_label("Idle", exact=True)).not_to_be_checked()


def test_what_is_no_motion_is_one_sentence(visit: Page, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("These are only words.")
    before = visit.evaluate(DURATION)
    visit.get_by_role("tab", name="Your file").click()
    visit.set_input_files("#motion-files input[type=file]", tmp_path / "notes.txt")
    expect(visit.locator(".toast-body").last).to_contain_text("notes.txt")
    assert visit.evaluate(DURATION) == before


def test_a_phone_shows_everything_within_its_width(app, browser: Browser):
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page.set_default_timeout(WAIT)
    page.goto(app.url)
    page.wait_for_function("document.querySelector('.avatar-viewer-place')?.viewer?.info().complete")
    page.get_by_role("tab", name="Animate").click()
    page.get_by_label("Talk", exact=True).check()
    page.locator("#editor > button").click()
    expect(page.locator("#feeling")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".motion-plot").bounding_box()
    assert box
    assert box["width"] > 300
    page.close()
