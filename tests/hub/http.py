"""One request to the loopback Hub, and how it is answered: JSON, errors, and files with ranges and faults."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault

CHUNK = 16 * 1024


@dataclass(frozen=True)
class Asked:
    """One line of the Hub's log."""

    method: str
    path: str
    """Unquoted, without its query; the same for a file's storage, which begins with ``/storage/``."""
    range: str | None
    user: str | None
    """Who asked; None without a valid token. The storage should never learn it."""


class Answering(BaseHTTPRequestHandler):
    """The plain parts of HTTP. What the Hub answers is in the classes below it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Otherwise the body waits for the client's receipt of the headers, 40 ms."""
    stopping: threading.Event
    """Set when the Hub closes: slow answers end at once."""

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are logged by the Hub instead."""

    def setup(self) -> None:
        super().setup()
        self.fault: Fault | None = None

    @property
    def url_path(self) -> str:
        return unquote(urlsplit(self.path).path)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def body(self) -> bytes:
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def rest(self, seconds: float) -> None:
        """Wait, but not longer than the Hub runs."""
        self.stopping.wait(seconds)

    def answer(self, status: int, content: bytes, headers: dict[str, str], kind: str = "application/json") -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, content: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), headers or {})

    def refuse(self, status: int, message: str, error_code: str | None = None, **headers: str) -> None:
        """Send an error as the Hub writes it."""
        told = {"X-Error-Message": message, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if error_code is not None:
            told["X-Error-Code"] = error_code
        self.answer_json({"error": message}, told, status)

    def redirect(self, status: int, location: str, headers: dict[str, str] | None = None) -> None:
        self.answer(status, b"", {"Location": location, **(headers or {})}, "text/plain; charset=utf-8")

    def send_file(self, place: Path, headers: dict[str, str]) -> None:
        """Send a file or the range of it that was asked for."""
        fault = self.fault or Fault("")
        size = place.stat().st_size
        asked = None if fault.no_ranges else self.headers.get("Range")
        span = _span(asked, size) if asked else (0, size)
        if span is None:
            self.refuse(416, "Range Not Satisfiable", **{"Content_Range": f"bytes */{size}"})
            return
        start, end = span
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        if not fault.no_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_bytes(place, start, end, fault)

    def _send_bytes(self, place: Path, start: int, end: int, fault: Fault) -> None:
        last = end if fault.cut_after is None else min(end, start + fault.cut_after)
        chunk = CHUNK if fault.pace is None else max(1, min(CHUNK, int(fault.pace / 20)))
        with open(place, "rb") as content:
            content.seek(start)
            while start < last and not self.stopping.is_set():
                part = content.read(min(chunk, last - start))
                self.wfile.write(bytes(byte ^ 0x55 for byte in part) if fault.wrong_bytes else part)
                start += len(part)
                if fault.pace is not None:
                    self.rest(len(part) / fault.pace)
        if start < end:
            self.close_connection = True


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last, of ``bytes=a-b``, ``bytes=a-`` and ``bytes=-n``; None outside."""
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None


def iso_now() -> str:
    """This moment as the Hub writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
