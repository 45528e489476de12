"""Publishing: one avatar folder goes to a data set of the Hub, with its row in the data set's card.

Nothing is sent before everything was checked, and nothing is visible before the one commit at the end. The same avatar
published twice is found and left: the address is the same, and there is no second commit.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from pipeline.errors import UserError
from pipeline.hub.card import FOLDER, updated_card
from pipeline.hub.errors import HubError
from pipeline.hub.item import Item
from pipeline.hub.line import Cancel, Progress
from pipeline.hub.publishable import Publishable, publishable, sha256_of
from pipeline.hub.repositories import Repository
from pipeline.hub.upload import Moved, PullRequest, UploadLine

TRIES = 5
"""Looks at a data set that others commit to meanwhile."""
_alone: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
"""Data set → held while this process publishes to it: pressed twice, the second press finds what the first did."""


@dataclass(frozen=True)
class Published:
    """Where an avatar can be seen."""

    url: str
    """Its folder in the data set, or the pull request."""
    changed: bool
    """False when all of it was there before."""
    repo_id: str
    path: str
    """Its folder in the data set."""


def publish(
    folder: Path,
    repo_id: str,
    *,
    token: str | None,
    private: bool = False,
    licence: str | None = None,
    as_pull_request: bool = False,
    endpoint: str | None = None,
    progress: Progress = lambda done, total: None,
    cancel: Cancel = lambda: False,
) -> Published:
    """Push an avatar folder to the data set ``repo_id``, which is made when it is missing.

    ``repo_id`` is ``owner/name``, or a name alone in the account of the token's user.

    ``private`` is for whom the data set is, new or not; ``licence`` one of those that `Publishable.licences` allows
    (None: the first). ``progress`` counts the bytes of the files that are sent. Raises `UserError` for a folder, name
    or licence that cannot be, and `HubError` for everything that goes wrong with the Hub.
    """
    avatar = publishable(folder)
    chosen = avatar.licence(licence)
    _check_name(repo_id)
    if not token:
        raise HubError("nobody is logged in to the Hub; log in with: hf auth login (or set HF_TOKEN)")
    place = (endpoint or constants.ENDPOINT).rstrip("/")
    if "/" not in repo_id:
        repo_id = f"{_user(place, token, cancel)}/{repo_id}"
    page = f"{place}/datasets/{repo_id}"
    with _alone[page], _line(place, repo_id, token, cancel) as line:
        job = _Job(line, avatar, repo_id, chosen, private, as_pull_request, progress)
        for _ in range(TRIES):
            try:
                pull, changed = job.run()
            except Moved:
                continue
            path = f"{FOLDER}/{avatar.name}"
            url = f"{page}/discussions/{pull}" if pull else f"{page}/tree/main/{path}"
            return Published(url, changed, repo_id, path)
    raise HubError(f"others are committing to {repo_id} all the time; try again in a minute")


@dataclass(frozen=True)
class _Job:
    line: UploadLine
    avatar: Publishable
    repo_id: str
    licence: str
    private: bool
    as_pull_request: bool
    progress: Progress

    def run(self) -> tuple[int | None, bool]:
        """Number of the pull request, if it is one, and whether anything was committed. Raises `Moved`."""
        self._check_data_set()
        pull = self._open_pull_request() if self.as_pull_request else None
        opens = self.as_pull_request and pull is None
        revision = pull.revision if pull else "main"
        state = self.line.state(revision)
        if state is None:
            raise HubError(f"{self.repo_id} went away while it was published to; try again")
        items = self._items(self.line.card(state.commit))
        changed = self.line.changed(items, revision, opens)
        avatar_files = [entry for entry in changed if entry[0].path != "README.md"]
        if not changed:
            return (pull.num if pull else None), False
        self._upload([item for item, _ in avatar_files], [item for item, large in changed if large])
        url = self.line.commit(changed, self._title, revision, state.commit, opens)
        number = pull.num if pull else int(url.rsplit("/", 1)[-1]) if opens else None
        return number, True

    @property
    def _title(self) -> str:
        return f"Add {self.avatar.name}"

    def _check_data_set(self) -> None:
        """Make the data set when it is missing. Raises `HubError` for one that is for others than was asked."""
        state = self.line.state()
        if state is None:
            self.line.create(self.private)
            return
        if state.private != self.private and not self.as_pull_request:
            there, asked = ("private", "public") if state.private else ("public", "private")
            raise HubError(f"{self.repo_id} is {there} and was asked for as {asked}; choose {there}, or another name")

    def _open_pull_request(self) -> PullRequest | None:
        """The pull request that was opened for this very avatar before."""
        return next((pull for pull in self.line.pull_requests() if pull.title == self._title), None)

    def _items(self, card: str) -> list[Item]:
        avatar = self.avatar
        path = f"{FOLDER}/{avatar.name}"
        items = [Item(f"{path}/{name}", file, sha256_of(file)) for name, file in avatar.files.items()]
        text = updated_card(card, self.repo_id, avatar.name, avatar.prompt, self.licence, avatar.model).encode()
        return [*items, Item("README.md", text, hashlib.sha256(text).hexdigest())]

    def _upload(self, wanted: list[Item], large: list[Item]) -> None:
        total = sum(item.size for item in wanted)
        done = total - sum(item.size for item in large)
        self.progress(done, total)

        def sent(size: int) -> None:
            nonlocal done
            done += size
            self.progress(min(done, total), total)

        self.line.upload(large, sent)


def _line(endpoint: str, repo_id: str, token: str, cancel: Cancel) -> UploadLine:
    repository = Repository(repo_id, "dataset", None, "", "where avatars are published")
    return UploadLine(endpoint, repository, token, cancel)


def _user(endpoint: str, token: str, cancel: Cancel) -> str:
    with _line(endpoint, "your account", token, cancel) as line:
        return line.user()


def _check_name(repo_id: str) -> None:
    """Raise `UserError` for a name that the Hub would not take."""
    example = "give a name of letters, digits, - and _, or owner/name, e.g. jane/my-heads"
    if not repo_id or repo_id.count("/") > 1 or len(repo_id) > 96:
        raise UserError(f"the data set {repo_id[:100]!r} cannot be called so; {example}")
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(f"the data set {repo_id!r} cannot be called so; {example}") from error
