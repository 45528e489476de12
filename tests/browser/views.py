"""Viewers in a page, with and without buttons, and what they draw."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

SPHERE = "/files/sphere.glb"
MAKE_VIEWER = """async ([url, size]) => {
  const {createViewer} = await import('/web/viewer.js');
  document.body.style.margin = 0;
  const place = document.body.appendChild(document.createElement('div'));
  place.style.cssText = `width: ${size}px; height: ${size}px`;
  window.viewer = createViewer(place, {ui: false});
  if (url) await viewer.load(url);
}"""
PIXELS = """async () => {
  const bytes = new Uint8Array(await (await viewer.screenshot()).arrayBuffer());
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}"""


def open_page(page: Page, site: str, query: str = f"avatar={SPHERE}", width: int = 760, height: int = 320) -> None:
    """The stand-alone page, its avatar loaded."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{site}/web/index.html?{query}")
    page.wait_for_function("window.viewer && viewer.info().complete")


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and int(np.abs(a.astype(int) - b).max()) <= 1


def open_viewer(page: Page, site: str, avatar: str | None, size: int = 256) -> None:
    """A viewer of ``size`` pixels square as ``window.viewer``, the avatar (a path on the site) loaded."""
    page.goto(f"{site}/files/blank.html")
    page.evaluate(MAKE_VIEWER, [avatar, size])


def pixels(page: Page) -> NDArray[np.uint8]:
    """The viewer's screenshot, (H, W, 4)."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(page.evaluate(PIXELS)))).convert("RGBA"))
