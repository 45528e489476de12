"""A server in its own process, and what it holds: memory with its children, and disk in its temporary folder."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
SLOWEST_START = 120
"""Seconds, where every kernel is compiled first."""


@dataclass(frozen=True)
class Server:
    """A running Gradio app."""

    url: str
    process: subprocess.Popen[bytes]
    files: Path
    """Its temporary folder: all that it writes."""

    @property
    def memory_mb(self) -> float:
        """Proportional set size of the process and its children: shared pages count once."""
        root = psutil.Process(self.process.pid)
        return sum(each.memory_full_info().pss for each in (root, *root.children(recursive=True))) / 1e6

    @property
    def disk_mb(self) -> float:
        """Blocks of its temporary folder; a file with several names counts once."""
        found = {}
        for folder, _, names in os.walk(self.files):
            for name in (folder, *(os.path.join(folder, name) for name in names)):
                status = os.stat(name)
                found[status.st_ino] = status.st_blocks * 512
        return sum(found.values()) / 1e6


@contextmanager
def running(command: list[str], files: Path) -> Iterator[Server]:
    """Start ``command``, a Gradio app, on a free port; stop it at the end. All that it writes goes to ``files``.

    Raises `RuntimeError` when it does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(files), "ANIMPORTRAIT3D_CACHE": str(files / "cache"),
        "ANIMPORTRAIT3D_LIBRARY": str(files / "library"),
    }  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        server = Server(f"http://127.0.0.1:{port}", process, files)
        _wait_for(server.url)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    started = time.monotonic()
    while time.monotonic() - started < SLOWEST_START:
        try:
            with urllib.request.urlopen(f"{url}/config", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {SLOWEST_START} s")
