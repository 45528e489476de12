"""The viewer inside a Gradio page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from viewer.component import AvatarViewer

READY = "() => document.querySelector('.avatar-viewer')?.shadowRoot.querySelectorAll('.row').length > 0"
CANVASES = "() => (window.kept ??= document.querySelector('.avatar-viewer').shadowRoot.querySelector('canvas'), true)"


@pytest.fixture(scope="module")
def app(files: Path) -> Iterator[str]:
    """Two buttons that show an avatar, and one that shows a file that is none."""
    sphere, text = str(files / "sphere.glb"), files / "${alert(1)}.glb"
    text.write_text("no avatar, only text that is long enough")
    with gr.Blocks() as demo:
        view = AvatarViewer(height=400)
        gr.Button("Show").click(lambda: {"avatar": sphere}, None, view, api_name="show")
        gr.Button("Break").click(lambda: {"avatar": str(text)}, None, view)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, allowed_paths=[str(files)])
    yield url
    demo.close()


def test_value_from_python_is_shown_and_the_canvas_stays(page: Page, app: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto(app)
    page.wait_for_selector("canvas")
    page.evaluate(CANVASES)
    page.get_by_role("button", name="Break").click()
    expect(page.get_by_role("alert")).to_contain_text("not an avatar")
    page.get_by_role("button", name="Show").click()
    page.wait_for_function(READY)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("slider", name="Head turn").fill("0.3")
    shadow = "document.querySelector('.avatar-viewer').shadowRoot"
    assert page.evaluate(f"kept === {shadow}.querySelector('canvas') && kept.isConnected")


def test_api_gives_the_avatar_file(app: str, files: Path, tmp_path: Path) -> None:
    value = Client(app, verbose=False, download_files=str(tmp_path)).predict(api_name="/show")
    assert Path(value["avatar"]).read_bytes() == (files / "sphere.glb").read_bytes()
    assert value["clip"] is None
