"""`HubGallery`: one published gallery, as far as it is known on this machine, and how more of it becomes known."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.gallery import manifest as manifests
from pipeline.gallery.animportrait3d import AnimPortrait3DSource
from pipeline.gallery.datasets import DatasetSource, named_by_operator
from pipeline.gallery.entry import Entry
from pipeline.gallery.manifest import Head, Manifest
from pipeline.gallery.portrait3d import Portrait3DSource
from pipeline.gallery.source import Described, Source, state_of
from pipeline.gallery.thumbnails import thumbnail
from pipeline.hub.client import Hub, never, unseen
from pipeline.hub.errors import Cancelled, Damaged
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.listing import Listing

REFRESH_SECONDS = 300.0
"""After so long a refresh ends; the next one goes on from there."""
MOST_HEADS = 2000
"""Of one gallery that are read; the published ones have some hundreds."""
MANIFEST = "manifest.json"


class HubGallery:
    """May be used by several threads at once."""

    def __init__(self, source: Source, hub: Hub | None = None) -> None:
        self.source = source
        self._hub = hub or Hub()
        self._refreshing = threading.Lock()
        self._known: tuple[tuple[int, int], Manifest] | None = None

    @property
    def folder(self) -> Path:
        """The manifest and the thumbnails."""
        return galleries_folder(self._hub) / self.source.name.replace("/", "--")

    def entries(self) -> list[Entry]:
        """What is known now: from disk, in milliseconds, never by a request."""
        heads = self._manifest().heads
        missing = self.source.missing() if heads else ""
        return [self._entry(head, missing) for head in heads]

    def refresh(self, cancel: Cancel = never) -> None:
        """Ask the Hub for what is not known yet: for `REFRESH_SECONDS`, or until ``cancel``.

        What was read is kept and shown whenever this ends; a second call meanwhile does nothing. Raises `HubError`.
        """
        if not self._refreshing.acquire(blocking=False):
            return
        try:
            self._refresh(cancel, time.monotonic() + REFRESH_SECONDS)
        except Cancelled:
            return
        finally:
            self._refreshing.release()

    def fetch(self, entry_id: str, progress: Progress = unseen, cancel: Cancel = never, whole: bool = False) -> Path:
        """What to open of one entry, on disk: a zip of AnimPortrait3D, a .pth of Portrait3D, or an avatar folder.

        ``whole`` allows a zip of 1.4 GB to come for one member, where the server sends no parts (`NoParts`).
        Raises `HubError`, and `UserError` for an unknown id.
        """
        known = self._manifest()
        head = known.get(entry_id.removeprefix(f"{self.source.name}/"))
        if head is None or not entry_id.startswith(f"{self.source.name}/"):
            raise UserError(f"there is no head {entry_id[:80]!r} in this gallery; refresh it, or choose another")
        at = replace(self.source.repository, revision=known.commit)
        return self.source.fetch(self._hub, at, head.files, progress, cancel, whole)

    def _refresh(self, cancel: Cancel, end: float) -> None:
        listing = self._listing(cancel)
        at = replace(self.source.repository, revision=listing.commit)
        parts = islice(self.source.parts(listing).items(), MOST_HEADS)
        states = {part: state_of(files) for part, files in parts}
        known = self._manifest()
        if known.commit == listing.commit and known.read == states:
            return
        known = known.at(listing.commit, states)
        for part, state in states.items():
            if known.read.get(part) == state:
                continue
            try:
                for described in self.source.describe(self._hub, at, part, known.ids, cancel):
                    known = known.with_head(self._head(described, part))
                    self._save(known)
                    if cancel() or time.monotonic() > end or len(known.heads) >= MOST_HEADS:
                        return
                known = known.with_read(part, state)
            except Damaged:
                continue  # the next refresh tries again
        self._save(known)
        self._sweep(known)
        if self.source.follows:
            self._hub.forget_others(self.source.repository, listing.commit)

    def _listing(self, cancel: Cancel) -> Listing:
        if self.source.follows:
            return self._hub.newest(self.source.repository, cancel)
        return self._hub.listing(self.source.repository, cancel)

    def _head(self, described: Described, part: str) -> Head:
        return Head(
            id=described.id,
            part=part,
            prompt=described.prompt,
            licence=described.licence,
            seed=described.seed,
            thumbnail=self._thumbnail(described.picture, described.id),
            files=described.files,
        )

    def _thumbnail(self, picture: bytes | None, name: str) -> str:
        """File name of the small picture; a head whose picture is damaged is shown without one."""
        if picture is None:
            return ""
        file = f"{hashlib.sha256(picture).hexdigest()[:24]}.webp"
        if not (self.folder / file).is_file():
            try:
                small = thumbnail(picture, self.source.layout, name)
            except Damaged:
                return ""
            with whole_file(self.folder / file, durable=False) as partial:
                partial.write_bytes(small)
        return file

    def _entry(self, head: Head, missing: str) -> Entry:
        return Entry(
            id=f"{self.source.name}/{head.id}",
            prompt=head.prompt,
            licence=head.licence,
            preview=self.folder / head.thumbnail if head.thumbnail else None,
            seed=head.seed,
            missing=missing,
        )

    def _manifest(self) -> Manifest:
        """What is kept; read again only when the file has changed."""
        file = self.folder / MANIFEST
        try:
            state = file.stat()
        except OSError:
            return Manifest()
        stamp = (state.st_mtime_ns, state.st_size)
        known = self._known
        if known is None or known[0] != stamp:
            known = self._known = (stamp, manifests.load(file))
        return known[1]

    def _save(self, known: Manifest) -> None:
        manifests.save(known, self.folder / MANIFEST)

    def _sweep(self, known: Manifest) -> None:
        """Delete the thumbnails of heads that are no longer there."""
        used = {head.thumbnail for head in known.heads}
        for file in self.folder.glob("*.webp"):
            if file.name not in used:
                file.unlink(missing_ok=True)


def galleries_folder(hub: Hub) -> Path:
    """Where the manifests and thumbnails of all galleries that ``hub`` reads are kept."""
    return hub.cache_dir / "gallery"


def hub_galleries(hub: Hub | None = None) -> dict[str, HubGallery]:
    """Every gallery of the Hub by the name of its source; makes no request.

    Raises `UserError` when the operator names what is no dataset.
    """
    sources: list[Source] = [AnimPortrait3DSource(), Portrait3DSource()]
    sources += [DatasetSource(name) for name in named_by_operator()]
    return {source.name: HubGallery(source, hub) for source in sources}
