"""`python app.py` until the page answers; the peer is an empty Gradio Blocks of the same release."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.figure import Figure

ROOT = Path(__file__).parents[1]
EMPTY = "import gradio as gr\nwith gr.Blocks(analytics_enabled=False) as demo: gr.Textbox()\ndemo.launch(quiet=True)"


def run() -> list[Figure]:
    """Seconds from process start to a page that answers, compiled kernels cached."""
    peer = min(_seconds([sys.executable, "-c", EMPTY]) for _ in range(2))
    ours = min(_seconds([sys.executable, "app.py"]) for _ in range(2))
    return [Figure("python app.py until the page answers", ours, "s", 12.0, "empty Gradio Blocks", peer)]


def _seconds(command: list[str]) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    started = time.perf_counter()
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while time.perf_counter() - started < 120:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5):
                    return time.perf_counter() - started
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise RuntimeError(f"{command} did not answer within 120 s")
    finally:
        server.terminate()
        server.wait()
