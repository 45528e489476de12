"""A small static HTTP server for the browser tests: several folders, byte ranges, and files cut short on purpose."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Serves ``/<name>/<path>`` from ``folders[name]``; answers closed byte ranges with 206."""

    folders: dict[str, Path] = {}  # noqa: RUF012
    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012
        ".js": "text/javascript",
        ".css": "text/css",
        ".html": "text/html; charset=utf-8",
        ".glb": "model/gltf-binary",
        "": "application/octet-stream",
    }

    def translate_path(self, path: str) -> str:
        name, _, rest = path.split("?")[0].lstrip("/").partition("/")
        folder = self.folders.get(name)
        target = (folder / rest).resolve() if folder else None
        inside = folder is not None and target is not None and target.is_relative_to(folder.resolve())
        return str(target) if inside else "/nonexistent"

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            super().do_GET()
            return
        first, last = (int(number) for number in wanted.groups())
        content = path.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{path.stat().st_size}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Tests keep quiet."""


@contextmanager
def serve(folders: dict[str, Path]) -> Iterator[str]:
    """Serve the folders on a free port of this machine; yields the base URL."""
    handler = type("FoldersHandler", (Handler,), {"folders": folders})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
