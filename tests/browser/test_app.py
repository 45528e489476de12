"""A person at the page: create, move a slider, play a clip, export the video, and read an error."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.formats.ply import read_ply

WAIT = 120_000
"""Milliseconds for what compiles, draws or encodes on a machine that does other things too."""
VIEWER = "document.querySelector('.avatar-viewer-place').viewer"


@pytest.fixture(scope="module")
def visit(app, browser: Browser) -> Iterator[Page]:
    """One visit to the page with an avatar made from a sentence."""
    page = browser.new_page(viewport={"width": 900, "height": 700})
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app.url)
    page.wait_for_function("document.querySelector('.avatar-viewer-place')?.viewer?.info().complete")  # the example
    page.get_by_role("tab", name="Create").click()
    page.fill("#prompt textarea", "a bald man in a red t-shirt")
    page.press("#prompt textarea", "Enter")
    expect(page.locator("#about")).to_contain_text("a bald man in a red t-shirt", timeout=WAIT)
    page.wait_for_function(f"{VIEWER}.info().complete")
    yield page
    page.close()
    assert errors == []


def test_the_head_stands_in_the_page(visit: Page):
    expect(visit.locator("#about")).to_contain_text("a bald man in a red t-shirt")
    assert visit.evaluate(f"{VIEWER}.info().splats") > 60_000
    assert face_is_drawn(visit)


def test_a_slider_moves_the_head(visit: Page):
    before = picture(visit)
    slider = visit.get_by_label("Jaw open")
    slider.evaluate("(input) => { input.value = 1; input.dispatchEvent(new Event('input', {bubbles: true})); }")
    assert visit.evaluate(f"{VIEWER}.pose().expression.jawOpen") == pytest.approx(1)
    assert difference(before, picture(visit)) > 0.2
    visit.evaluate(f"{VIEWER}.setExpression('jawOpen', 0)")


def test_the_pose_on_screen_can_be_kept_as_ply(visit: Page, tmp_path: Path):
    kept = []
    for smile in (0, 0.8):
        visit.evaluate(f"{VIEWER}.setExpression('mouthSmileLeft', {smile})")
        kept.append(read_ply(chosen(visit, "#ply", tmp_path / "pose.ply")).means)
    assert float((kept[1] - kept[0]).norm(dim=1).max()) > 0.002
    visit.evaluate(f"{VIEWER}.setExpression('mouthSmileLeft', 0)")


def test_the_avatar_can_be_kept(visit: Page, tmp_path: Path):
    chosen(visit, "#zip", tmp_path / "avatar.zip")
    glb = chosen(visit, "#glb", tmp_path / "avatar.glb")
    assert zipfile.ZipFile(tmp_path / "avatar.zip").read("avatar.glb") == glb.read_bytes()


def test_a_clip_plays(visit: Page):
    visit.get_by_role("tab", name="Animate").click()
    visit.get_by_label("Talk", exact=True).check()
    visit.wait_for_function(f"{VIEWER}.info().playing && {VIEWER}.info().time > 0.3")
    visit.wait_for_function(f"{VIEWER}.pose().expression.jawOpen > 0.05")
    visit.evaluate(f"{VIEWER}.pause()")


def test_the_video_has_the_clips_frames(visit: Page, tmp_path: Path):
    visit.get_by_role("tab", name="Animate").click()
    visit.get_by_role("tab", name="Your file").click()
    np.save(tmp_path / "pose.npy", talking_pose())
    visit.set_input_files("#motion-files input[type=file]", tmp_path / "pose.npy")
    visit.wait_for_function(f"Math.abs({VIEWER}.info().duration - 12 / 25) < 0.1")
    visit.click("#export")
    visit.locator("#video-file").wait_for()
    saved(visit, "#video-file", tmp_path / "video.mp4")
    frames = decode(tmp_path / "video.mp4", 512)
    assert len(frames) == 12
    mouth = frames[:, 250:420, 180:330].astype(float)
    assert np.abs(mouth[6] - mouth[0]).mean() > 2, "the mouth does not move"


def test_our_clip_puts_the_files_aside(visit: Page):
    visit.get_by_role("tab", name="Clips").click()
    visit.get_by_label("Idle", exact=True).check()
    visit.wait_for_function(f"{VIEWER}.info().duration > 1")
    expect(visit.locator("#motion-files")).not_to_contain_text("pose")


def test_a_new_head_goes_on_with_the_clip(visit: Page):
    visit.get_by_role("tab", name="Create").click()
    visit.locator("#examples").get_by_text("a bald man with stubble").click()
    expect(visit.locator("#prompt textarea")).to_have_value(re.compile("a bald man with stubble"))
    visit.click("#create")
    expect(visit.locator("#about")).to_contain_text("a bald man with stubble", timeout=WAIT)
    visit.wait_for_function(f"{VIEWER}.info().complete && {VIEWER}.info().playing")
    visit.evaluate(f"{VIEWER}.pause()")


def test_errors_are_sentences(visit: Page, tmp_path: Path):
    visit.get_by_role("tab", name="Create").click()
    visit.fill("#prompt textarea", "qwrtz zzxy")
    visit.click("#create")
    expect(visit.get_by_text("Nothing in the prompt describes a person")).to_be_visible()
    assert visit.evaluate(f"{VIEWER}.info().complete"), "the head is still there"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_keeps_the_head_in_sight_and_asks_nobody_else(app, browser: Browser, scheme: str):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(app.url)
    page.wait_for_function("document.querySelector('.avatar-viewer-place')?.viewer?.info().complete", timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    page.locator("#gallery").scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    box = page.locator("#viewer").bounding_box()
    assert box
    assert 0 <= box["y"] < 50
    page.close()
    assert not [url for url in asked if not url.startswith((app.url, "data:", "blob:"))]


def talking_pose() -> np.ndarray:
    """Twelve frames in which the jaw opens and closes once."""
    pose = np.zeros((12, 15), np.float32)
    pose[:, 6] = 0.2 * (1 - np.cos(np.arange(12) / 12 * 2 * np.pi))
    return pose


def chosen(page: Page, line: str, path: Path) -> Path:
    """The file of a line of the Download menu."""
    page.click("#download")
    return saved(page, line, path)


def saved(page: Page, button: str, path: Path) -> Path:
    """The file that a click on a button downloads."""
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return path


def picture(page: Page) -> np.ndarray:
    """The viewer's canvas as it is drawn now, (H, W, 3)."""
    script = f"""async () => {{
      const bitmap = await createImageBitmap(await {VIEWER}.screenshot());
      const canvas = new OffscreenCanvas(128, 128), context = canvas.getContext('2d');
      context.drawImage(bitmap, 0, 0, 128, 128);
      return Array.from(context.getImageData(0, 0, 128, 128).data);
    }}"""
    return np.array(page.evaluate(script), np.uint8).reshape(128, 128, 4)[..., :3]


def face_is_drawn(page: Page) -> bool:
    """Whether the middle of the picture is skin: clearly redder than blue."""
    middle = picture(page)[50:75, 55:73].astype(float).mean((0, 1))
    return middle[0] - middle[2] > 20


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second).mean())


def decode(path: Path, size: int) -> np.ndarray:
    """All frames of a video, (T, size, size, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size, size, 3)
