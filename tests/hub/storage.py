"""The loopback Hub's storage of large files: another origin, signed addresses, no token."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tests.hub.http import Answering, Asked

if TYPE_CHECKING:
    from tests.hub.server import LoopbackHub


class Storage(Answering):
    """GET ``/storage/<kind>/<id>/<commit>/<path>`` and PUT ``/upload/<signature>``."""

    hub: LoopbackHub

    def do_GET(self) -> None:
        if self._failed(brings_bytes=self.command == "GET"):
            return
        place = self.hub.store.content(self.query.get("sha256", ""))
        if place is None or self.query.get("Signature") != "loopback":
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>", {}, "application/xml")
            return
        self.send_file(place, {"ETag": f'"{place.name}"'})

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        content = self.body()
        if self._failed(brings_bytes=False):
            return
        wanted = self.hub.uploading.get(self.url_path.rsplit("/", 1)[-1])
        if wanted is None or hashlib.sha256(content).hexdigest() != wanted:
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>", {}, "application/xml")
            return
        self.hub.store.keep(content)
        self.answer(200, b"", {"ETag": f'"{wanted}"'}, "application/xml")

    def _failed(self, brings_bytes: bool) -> bool:
        """Log the request; whether a fault answered it."""
        user = self.hub.users.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.hub.requests.append(Asked(self.command, self.url_path, self.headers.get("Range"), user))
        self.fault = self.hub.faults.take(self.command, self.url_path, brings_bytes)
        if self.fault is None:
            return False
        self.rest(self.fault.wait)
        if self.fault.status is None:
            return False
        waiting = {} if self.fault.retry_after is None else {"Retry-After": str(self.fault.retry_after)}
        self.answer(self.fault.status, self.fault.message.encode(), waiting, "application/xml")
        return True
