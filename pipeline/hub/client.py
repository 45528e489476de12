"""`Hub`: reading repositories of the Hugging Face Hub, at a pinned commit, kept on disk, with deadlines.

What is on disk is used without asking: a file of a pinned commit never changes. Below the cache folder:

| place | what |
|---|---|
| pins.json | the commit that was first seen of every repository whose table entry names none |
| listings/<repository>/<commit>.json | what the repository holds at that commit |
| files/<repository>/<commit>/… | files, whole and checked |
| built/<repository>/<commit>/… | what was made here from files |
| incomplete/ | what has come of other files |
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from huggingface_hub import constants

from pipeline.files import whole_file
from pipeline.heads.model_cache import cache_folder
from pipeline.hub import listing as listings
from pipeline.hub.errors import Damaged, HubError, NoParts, explained
from pipeline.hub.incomplete import check, check_bytes, taken
from pipeline.hub.line import Cancel, Deadlines, Line, Progress, Span
from pipeline.hub.listing import COMMIT, HubFile, Listing
from pipeline.hub.remote_zip import RemoteFile, RemoteZip
from pipeline.hub.repositories import Repository

REACHABLE_SECONDS = 3.0
DATA_SETS = Repository("its list of data sets", "dataset", None, "", "asked for to see whether the Hub answers")
PINS = "pins.json"
BUILT = "built"
"""Folder of what was made here from files of a commit."""
MEMBERS = ".members"
"""After the name of a zip: the folder of members that came alone."""

ANONYMOUS: Literal[False] = False
"""As a token: ask as a stranger does, whoever this machine is logged in as."""

_pinning = threading.Lock()


def never() -> bool:
    """A `Cancel` that is never pressed."""
    return False


def unseen(done: int, total: int) -> None:
    """A `Progress` that nobody watches."""


class Hub:
    """Reads the Hub; may be used by several threads at once, and makes no request before it is asked for something.

    ``token`` is by default that of this machine's login; `ANONYMOUS` is none. ``cache_dir`` is shared by everybody
    who may use this process: for what only one person may read, give that person's own.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | Literal[False] | None = None,
        cache_dir: Path | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 — frozen
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._cache_dir = cache_dir
        self._deadlines = deadlines

    @property
    def endpoint(self) -> str:
        """Address without a slash at the end."""
        return (self._endpoint or constants.ENDPOINT).rstrip("/")

    @property
    def cache_dir(self) -> Path:
        """Where everything is kept."""
        return self._cache_dir or cache_folder() / "hub"

    def reachable(self) -> str | None:
        """None when the Hub answers within `REACHABLE_SECONDS`, else one sentence why not."""
        try:
            with Line(DATA_SETS, self._token, Deadlines(REACHABLE_SECONDS, REACHABLE_SECONDS)) as line:
                line.answer(f"{self.endpoint}/api/datasets?limit=1", never)
        except HubError as error:
            return str(error)
        return None

    def commit(self, repository: Repository, cancel: Cancel = never) -> str:
        """The commit that is used: that of the table, else the one first seen here. Raises `HubError`."""
        pinned = repository.revision or self.pins().get(repository.folder)
        return pinned or self._pin(repository, self.newest(repository, cancel).commit)

    def pins(self) -> dict[str, str]:
        """Folder name of a repository → the commit that was first seen on this machine."""
        try:
            stored = json.loads((self.cache_dir / PINS).read_text())
        except (OSError, ValueError):
            return {}
        pins = stored if isinstance(stored, dict) else {}
        return {name: commit for name, commit in pins.items() if COMMIT.fullmatch(str(commit))}

    def newest(self, repository: Repository, cancel: Cancel = never) -> Listing:
        """What the repository holds now. Always asks the Hub; raises `HubError`."""
        return self._list(repository, "main", cancel)

    def listing(self, repository: Repository, cancel: Cancel = never) -> Listing:
        """What the repository holds at the commit that is used; asks the Hub once. Raises `HubError`."""
        commit = self.commit(repository, cancel)
        kept = listings.load(self._listing_file(repository, commit))
        return kept or self._list(repository, commit, cancel)

    def download(
        self, repository: Repository, filename: str, progress: Progress = unseen, cancel: Cancel = never
    ) -> Path:
        """The whole file on disk, checked against the checksum that the Hub lists; no request when it is there.

        What has come before a cut or a cancel is gone on from. Raises `HubError`.
        """
        commit = self.commit(repository, cancel)
        target = self._place(repository, commit, filename)
        if target.is_file():
            return target
        file = self._listed(repository, filename, cancel)
        span = Span(0, file.size, file.size)
        partial = self._partial(file, span)
        with taken(partial, filename, file.size, cancel):
            if not target.is_file():
                self._save(repository, commit, file, span, partial, progress, cancel)
                check(partial, file, repository.id, cancel)
                target.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(target)
        return target

    def read(self, repository: Repository, filename: str, limit: int, cancel: Cancel = never) -> bytes:
        """The content of a small file of at most ``limit`` bytes, checked and not kept. Raises `HubError`."""
        commit = self.commit(repository, cancel)
        file = self._listed(repository, filename, cancel)
        if file.size > limit:
            raise Damaged(f"{filename} of {repository.id} has {file.size:,} bytes, more than the {limit:,} allowed")
        with self._line(repository) as line:
            content = line.part(self._url(repository, commit, filename), Span(0, file.size, file.size), cancel)
        return check_bytes(content, file, repository.id)

    @contextmanager
    def open_zip(self, repository: Repository, filename: str, cancel: Cancel = never) -> Iterator[RemoteZip]:
        """The members of a zip, read in place by parts; from the disk where the whole of it is there.

        Raises `HubError`, `NoParts` where the server sends no parts: then `download` brings the whole.
        """
        commit = self.commit(repository, cancel)
        kept = self._place(repository, commit, filename)
        if kept.is_file():
            with open(kept, "rb") as opened:
                yield RemoteZip(opened, filename)
            return
        file = self._listed(repository, filename, cancel)
        with self._line(repository) as line:
            url = self._url(repository, commit, filename)

            def read(start: int, size: int) -> bytes:
                return line.part(url, Span(start, size, file.size), cancel)

            yield RemoteZip(RemoteFile(file.size, read), filename)

    def download_member(
        self,
        repository: Repository,
        filename: str,
        member: str,
        limit: int,
        progress: Progress = unseen,
        cancel: Cancel = never,
        whole: bool = False,
    ) -> Path:
        """One member of at most ``limit`` bytes of a zip, unpacked on disk; no request when it is there.

        Only its part of the zip comes, gone on from after a cut. Where the server sends no parts the whole zip comes,
        if ``whole`` allows it. Raises `HubError`.
        """
        target = self._place(repository, self.commit(repository, cancel), f"{filename}{MEMBERS}/{member}")
        if not target.is_file():
            try:
                self._bring_member(repository, filename, member, limit, target, progress, cancel)
            except NoParts:
                if not whole:
                    raise
                self.download(repository, filename, progress, cancel)
                self._bring_member(repository, filename, member, limit, target, progress, cancel)
        return target

    def forget_others(self, repository: Repository, commit: str) -> None:
        """Delete what is kept of other commits than this one, of a repository that goes on."""
        for place in ("files", "listings", BUILT):
            for old in (self.cache_dir / place / repository.folder).glob("*"):
                if old.stem == commit:
                    continue
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)

    def _bring_member(
        self,
        repository: Repository,
        filename: str,
        member: str,
        limit: int,
        target: Path,
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        with self.open_zip(repository, filename, cancel) as archive, whole_file(target, durable=False) as unpacked:
            archive.check(member, limit)
            span = archive.span(member)
            if span is None:
                archive.unpack(member, unpacked)
                return
            file = self._listed(repository, filename, cancel)
            partial = self._partial(file, span)
            with taken(partial, member, span.size + archive.size(member), cancel):
                self._save(repository, self.commit(repository), file, span, partial, progress, cancel)
                try:
                    archive.unpack(member, unpacked, partial)
                finally:
                    partial.unlink()

    def _save(
        self,
        repository: Repository,
        commit: str,
        file: HubFile,
        span: Span,
        partial: Path,
        progress: Progress,
        cancel: Cancel,
    ) -> None:
        with self._line(repository) as line:
            line.save(self._url(repository, commit, file.path), span, partial, progress, cancel)

    def _list(self, repository: Repository, revision: str, cancel: Cancel) -> Listing:
        with self._line(repository) as line:
            answer = line.answer(self._description(repository, revision), cancel)
        try:
            found = listings.parse(answer)
            if COMMIT.fullmatch(revision) and found.commit != revision:
                raise ValueError(f"it is of commit {found.commit}")
        except ValueError as error:
            raise explained(error, repository.id, repository.address) from error
        listings.save(found, self._listing_file(repository, found.commit))
        return found

    def _listed(self, repository: Repository, filename: str, cancel: Cancel) -> HubFile:
        file = self.listing(repository, cancel).get(filename)
        if file is None:
            raise HubError(
                f"{repository.id} has no file {filename!r} at the state that is used here; "
                f"it may have been renamed: look at {repository.address}/tree/main"
            )
        return file

    def _line(self, repository: Repository) -> Line:
        return Line(repository, self._token, self._deadlines)

    def _pin(self, repository: Repository, commit: str) -> str:
        """Remember the commit that was first seen; the first of two threads is right."""
        with _pinning:
            pins = self.pins()
            pins.setdefault(repository.folder, commit)
            with whole_file(self.cache_dir / PINS) as partial:
                partial.write_text(json.dumps(pins, indent=2, sort_keys=True))
        return pins[repository.folder]

    def _description(self, repository: Repository, revision: str) -> str:
        return f"{self.endpoint}/api/{repository.kind}s/{repository.id}/revision/{revision}?blobs=true"

    def _url(self, repository: Repository, commit: str, filename: str) -> str:
        kind = "datasets/" if repository.kind == "dataset" else ""
        return f"{self.endpoint}/{kind}{repository.id}/resolve/{commit}/{quote(filename)}"

    def _listing_file(self, repository: Repository, commit: str) -> Path:
        return self.cache_dir / "listings" / repository.folder / f"{commit}.json"

    def _place(self, repository: Repository, commit: str, filename: str) -> Path:
        """Where a file of a repository is kept. Raises `HubError` for a name that would leave the cache."""
        if not listings.is_safe(filename):
            raise HubError(f"{filename[:80]!r} is no name of a file in {repository.id}")
        return self.cache_dir / "files" / repository.folder / commit / filename

    def _partial(self, file: HubFile, span: Span) -> Path:
        """Named by the content, so that what comes for two commits at once is never mixed."""
        content = hashlib.sha256(f"{file.sha256} {file.blob} {span}".encode()).hexdigest()
        return self.cache_dir / "incomplete" / f"{content[:40]}.part"
