"""A Hub on this machine for the tests: a real HTTP server that speaks the protocol of `huggingface_hub` 2.4.

Two servers run, as at the real Hub: one answers the requests and redirects those for large files to the other, the
storage, which has another origin, wants no token and takes uploads. Files lie in
``root/{models,datasets,spaces}/<owner>/<name>/files``, where a test writes and reads them at any time; every state that
was asked for once stays readable under its commit. `LoopbackHub.commit` makes a state of the files that lie there now.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.hub.faults import Faults
from tests.hub.http import Asked
from tests.hub.machines import Machines
from tests.hub.storage import Storage
from tests.hub.store import MAIN, Repository, Store


class LoopbackHub:
    """The running Hub, as a test sees it."""

    def __init__(self, root: Path):
        self.root = root
        self.store = Store(root)
        self.requests: list[Asked] = []
        """Everything that was asked, oldest first."""
        self.faults = Faults()
        """What goes wrong: append a `Fault`."""
        self.users: dict[str, str] = {}
        """Token → name of its user, who owns ``<name>/…``."""
        self.read_only: set[str] = set()
        """Tokens that may not write."""
        self.moved: dict[tuple[str, str], str] = {}
        """(kind, old id) → new id of a renamed repository."""
        self.page_size = 1000
        """Entries of one page of a listing."""
        self.uploading: dict[str, str] = {}
        """Signature of an upload's address → sha256 that it is for."""
        self.buckets: dict[str, dict[str, str]] = {}
        """owner/name → path → xet hash."""
        self.bucket_sizes: dict[str, int] = {}
        """Path → bytes, of files that a test downloads: clients do not tell it, and the real Hub asks the storage."""
        self.jobs: dict[str, dict[str, Any]] = {}
        """Id → what was asked, what is told, and the log."""
        self.url = ""
        self.storage_url = ""

    def write(self, kind: str, repo_id: str, files: dict[str, bytes]) -> str:
        """Put ``files`` (path → content) into a repository, made when missing; the sha of the commit."""
        for name, content in files.items():
            place = self.root / kind / repo_id / "files" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return self.commit(kind, repo_id)

    def commit(self, kind: str, repo_id: str) -> str:
        """Make what lies in the repository's folder a commit of ``main``; its sha."""
        return self.repository(kind, repo_id).branches[MAIN]

    def repository(self, kind: str, repo_id: str) -> Repository:
        """A repository with its history: set ``private`` or ``gated`` on it. Raises KeyError where there is none."""
        found = self.store.repository(kind, repo_id)
        if found is None:
            raise KeyError(f"{kind}/{repo_id}")
        return found

    def log_in(self, user: str, may_write: bool = True) -> str:
        """A new token of ``user``."""
        token = f"hf_{secrets.token_hex(17)}"
        self.users[token] = user
        if not may_write:
            self.read_only.add(token)
        return token

    def asked(self, part: str, method: str | None = None) -> list[Asked]:
        """The requests whose path holds ``part``, oldest first."""
        return [line for line in list(self.requests) if part in line.path and method in (None, line.method)]


class HubHandler(Machines):
    """The Hub itself."""


@contextmanager
def running_hub(root: Path) -> Iterator[LoopbackHub]:
    """A Hub over ``root``, an empty or a filled folder, that answers on 127.0.0.1 until the block ends."""
    hub = LoopbackHub(root)
    stopping = threading.Event()
    servers = [
        _Server(("127.0.0.1", 0), type(base.__name__, (base,), {"hub": hub, "stopping": stopping}))
        for base in (HubHandler, Storage)
    ]
    hub.url, hub.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        stopping.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about; anything else is told as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
