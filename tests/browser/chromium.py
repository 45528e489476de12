"""The browser that tests and benchmarks drive: Debian's Chromium, headless, with software graphics."""

from __future__ import annotations

import shutil

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-precise-memory-info",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium() -> str:
    """The browser's path; a machine without one should say so at once."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise RuntimeError("the browser tests need Chromium; on Debian: apt-get install chromium")
