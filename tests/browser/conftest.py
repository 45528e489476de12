"""One headless Chromium with software graphics for all browser tests; a page per test that must stay free of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.avatar import SplatAvatar
from pipeline.formats.glb import write_avatar_glb
from pipeline.motion.retarget import Retargeted
from tests.browser.chromium import CHROMIUM_ARGUMENTS, chromium
from tests.browser.serving import serve
from tests.synthetic import synthetic_avatar, synthetic_rig
from viewer.clips import clip_payload

WEB = Path(__file__).parents[2] / "viewer" / "web"
expect.set_options(timeout=120_000)  # what compiles or builds on a machine that does other things too
TIMEOUT = 20_000
"""Milliseconds that any one wait in a page may take on a slow machine."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


def small_splats() -> SplatAvatar:
    """Two chunks of splats so small that software graphics draw them quickly."""
    avatar = synthetic_avatar(9000)
    with torch.no_grad():
        avatar.log_scales -= 1.2
        avatar.opacity_logits += 2
    return avatar


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of avatars and clips that the server shows under ``/files/``."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "blank.html").write_text("<!doctype html><title>Viewer</title><link rel=icon href=data:,><body></body>")
    write_avatar_glb(small_splats(), folder / "sphere.glb")
    return folder


@pytest.fixture(scope="session")
def site(files: Path) -> Iterator[str]:
    with serve({"web": WEB, "files": files}) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A small page; the test fails if any script of the page throws."""
    opened = browser.new_page(viewport={"width": 256, "height": 256})
    opened.set_default_timeout(TIMEOUT)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def clip(files: Path) -> Retargeted:
    """One second of jaw and head at 10 frames per second, also as ``/files/nod.clip``."""
    steps = torch.linspace(0, 1, 11)
    expression, rotations = torch.zeros(11, 4), torch.zeros(11, 7, 3)
    expression[:, 2] = steps
    rotations[:, 4, 0] = 0.5 * steps
    made = Retargeted(expression, rotations, ())
    (files / "nod.clip").write_bytes(clip_payload(made, synthetic_rig(), 10))
    return made
