"""Looking round, buttons and keys, and whether everyone can use and read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.views import SPHERE, open_page, open_viewer, pixels, same


def test_drag_wheel_keys_and_reset(page: Page, site: str) -> None:
    open_page(page, site, width=300, height=300)
    home = pixels(page)
    view = page.evaluate("viewer.camera.get()")
    page.mouse.move(100, 200)
    page.mouse.down()
    page.mouse.move(150, 200, steps=3)
    page.mouse.up()
    size = min(page.locator("canvas").bounding_box()[side] for side in ("width", "height"))
    assert page.evaluate("viewer.camera.get().yaw") == pytest.approx(view["yaw"] - 50 / size * 180, abs=0.5)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"viewer.camera.get().distance < {view['distance']}")
    page.locator("canvas").press("ArrowUp")
    assert page.evaluate("viewer.camera.get().pitch") == pytest.approx(view["pitch"] + 6)
    page.locator("canvas").press("Shift+ArrowRight")
    assert page.evaluate("viewer.camera.get().target") != view["target"]
    assert not same(home, pixels(page))
    page.get_by_role("button", name="Reset the view").click()
    assert same(home, pixels(page))


def test_two_fingers_zoom(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate(
        """() => {
          const canvas = document.querySelector('.avatar-viewer').shadowRoot.querySelector('canvas');
          canvas.setPointerCapture = () => {};
          const send = (type, pointerId, clientX) => canvas.dispatchEvent(
            new PointerEvent(type, {pointerId, clientX, clientY: 128, pointerType: 'touch', buttons: 1}));
          send('pointerdown', 1, 100);
          send('pointerdown', 2, 150);
          send('pointermove', 2, 200);
        }"""
    )
    view = page.evaluate("viewer.camera.get()")
    page.evaluate("viewer.camera.reset()")
    assert view["distance"] == pytest.approx(page.evaluate("viewer.camera.get().distance") / 2)
    assert view["yaw"] == 0


def test_mesh_background_and_picture_file(page: Page, site: str, tmp_path: Path) -> None:
    open_page(page, site)
    plain = pixels(page)
    mesh = page.get_by_role("button", name="Mesh overlay")
    mesh.click()
    assert not same(plain, pixels(page))
    assert mesh.get_attribute("aria-pressed") == "true"
    page.locator("canvas").press("m")
    assert same(plain, pixels(page))
    page.get_by_role("button", name="Background", exact=True).click()
    page.get_by_role("button", name="Green background").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save a picture").click()
    assert download.value.suggested_filename == "avatar.png"
    assert pixels(page)[2, 2].tolist() == [0x00, 0xB1, 0x40, 255]
    page.evaluate("viewer.setBackground('transparent')")
    assert pixels(page)[2, 2, 3] == 0


def test_controls_have_names(page: Page, site: str) -> None:
    open_page(page, site)
    nameless = page.evaluate(
        """() => [...document.querySelector('.avatar-viewer').shadowRoot
            .querySelectorAll('button, input, select, canvas')]
          .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.closest('label')))
          .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    page.locator("canvas").press("?")
    expect(page.get_by_role("dialog", name="Keyboard help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_phone_layout_puts_the_controls_below(page: Page, site: str) -> None:
    open_page(page, site, width=390, height=700)
    panel = page.get_by_role("complementary")
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="Controls").click()
    box, picture = panel.bounding_box(), page.locator("canvas").bounding_box()
    assert box["y"] >= picture["y"] + picture["height"] - 1
    assert box["width"] > 380
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: Browser, site: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    open_page(page, site)
    colors = page.evaluate(
        """() => {
          const root = document.querySelector('.avatar-viewer').shadowRoot;
          const rgb = (value) => value.match(/[\\d.]+/g).slice(0, 3).map(Number);
          const paper = rgb(getComputedStyle(root.querySelector('.viewer')).backgroundColor);
          return ['summary', '.row output', '.text', '.row label'].map(
            (name) => [paper, rgb(getComputedStyle(root.querySelector(name)).color)]);
        }"""
    )
    page.close()

    def luminance(rgb: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(rgb) / 255]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for paper, ink in colors:
        low, high = sorted((luminance(paper), luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
