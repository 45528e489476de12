"""The real app as its own process, as a person starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SLOWEST_START = 120
"""Seconds, on a machine that compiles every kernel for the first time while other tests run."""


@dataclass
class AppProcess:
    """A running `python app.py`."""

    url: str
    files: Path
    """Its temporary folder: all that it writes."""
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """As the kernel does when memory runs out: no clean-up of any kind."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_app(files: Path) -> Iterator[AppProcess]:
    """Start the app on a free port with ``files`` as its temporary folder; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(files)}
    log = open(files / "app.log", "wb")  # noqa: SIM115
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    app = AppProcess(f"http://127.0.0.1:{port}", files, process)
    try:
        _wait(app, files / "app.log")
        yield app
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait(app: AppProcess, log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < SLOWEST_START and app.process.poll() is None:
        try:
            urllib.request.urlopen(app.url + "/config", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the app did not start:\n{log.read_text(errors='replace')}")
