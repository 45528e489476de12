"""What the loopback Hub answers to those who read: who asks, information, listings, and where files are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode

import yaml

from tests.hub.http import Answering, Asked, iso_now
from tests.hub.store import KINDS, Blob, Commit, Repository

if TYPE_CHECKING:
    from tests.hub.server import LoopbackHub

REPO = rf"/(?P<kind>{'|'.join(KINDS)})/(?P<repo>[^/]+/[^/]+)"
REVISION = r"(?P<revision>refs/pr/\d+|[^/]+)"
"""A branch, a sha or a pull request; clients quote the slashes of the last, and the path is unquoted here."""


class Refused(Exception):
    """The request was answered with an error already."""


class Reading(Answering):
    """GET and HEAD of the Hub."""

    hub: LoopbackHub

    routes: ClassVar[list[tuple[str, str, str]]] = [
        ("GET", r"/api/whoami-v2", "whoami"),
        ("GET", rf"/api/(?P<kind>{'|'.join(KINDS)})", "list_repositories"),
        ("GET", rf"/api{REPO}(?:/revision/{REVISION})?", "repository_info"),
        ("GET", rf"/api{REPO}/tree/{REVISION}(?:/(?P<path>.+?))?/?", "list_tree"),
        ("POST", rf"/api{REPO}/paths-info/{REVISION}", "paths_info"),
        ("GET", rf"/api{REPO}/refs", "list_branches"),
        ("GET", rf"/api{REPO}/discussions", "list_discussions"),
        ("GET", rf"(?:/(?P<kind>datasets|spaces))?/(?P<repo>[^/]+/[^/]+)/resolve/{REVISION}/(?P<path>.+)", "resolve"),
    ]

    def do_GET(self) -> None:
        self.user = self.hub.users.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.hub.requests.append(Asked(self.command, self.url_path, self.headers.get("Range"), self.user))
        self.content = self.body()
        self.fault = self.hub.faults.take(self.command, self.url_path, self._brings_bytes())
        if self.fault is not None:
            self.rest(self.fault.wait)
            if self.fault.status is not None:
                waiting = {} if self.fault.retry_after is None else {"Retry_After": str(self.fault.retry_after)}
                self.refuse(self.fault.status, self.fault.message, self.fault.error_code, **waiting)
                return
        if self.headers.get("Authorization") and self.user is None:
            self.refuse(401, "Invalid credentials in Authorization header")
            return
        self._route()

    do_HEAD = do_POST = do_GET

    def _route(self) -> None:
        method = "GET" if self.command == "HEAD" else self.command
        for verb, pattern, name in self.routes:
            if verb == method and (found := re.fullmatch(pattern, self.url_path)):
                answer: Callable[..., None] = getattr(self, name)
                with suppress(Refused):
                    answer(**{key: value for key, value in found.groupdict().items() if value is not None})
                return
        self.refuse(404, f"Cannot {self.command} {self.url_path}")

    def _brings_bytes(self) -> bool:
        """Whether the answer is a small file itself, and no redirect to the storage."""
        found = re.fullmatch(self.routes[-1][1], self.url_path) if "/resolve/" in self.url_path else None
        if self.command != "GET" or found is None:
            return False
        repository = self.hub.store.repository(found["kind"] or "models", found["repo"])
        commit = repository.commit_at(found["revision"]) if repository else None
        blob = commit.files.get(found["path"]) if commit else None
        return blob is not None and not blob.lfs

    # --- what every request to a repository goes through

    def readable(self, kind: str, repo: str) -> Repository:
        """The repository when the one who asks may read its information; answers the error and raises otherwise."""
        if (new := self.hub.moved.get((kind, repo))) is not None:
            self.redirect(307, self.path.replace(f"/{repo}", f"/{new}", 1))
            raise Refused
        repository = self.hub.store.repository(kind, repo)
        if repository is None or (repository.private and self.user != repository.owner):
            # To a stranger a private repository is as one that does not exist.
            if self.user is None:
                self.refuse(401, "Invalid username or password.", "RepoNotFound")
            else:
                self.refuse(404, "Repository not found", "RepoNotFound")
            raise Refused
        return repository

    def at(self, repository: Repository, revision: str) -> Commit:
        """A commit of the repository; answers the error and raises where there is none."""
        commit = repository.commit_at(revision)
        if commit is None:
            self.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            raise Refused
        return commit

    def _check_gate(self, repository: Repository) -> None:
        if not repository.gated or self.user == repository.owner or self.user in repository.granted:
            return
        self.refuse(
            401 if self.user is None else 403,
            f"Access to {repository.kind[:-1]} {repository.id} is restricted and you are not in the authorized list. "
            f"Visit {self.hub.url}/{repository.kind}/{repository.id} to ask for access.",
            "GatedRepo",
        )
        raise Refused

    # --- answers

    def whoami(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.user is None:
            self.refuse(401, "Invalid username or password.")
            return
        role = "read" if token in self.hub.read_only else "write"
        access = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
        self.answer_json({"type": "user", "id": "0" * 24, "name": self.user, "orgs": [], "auth": access})

    def list_repositories(self, kind: str) -> None:
        readable = [self.hub.repository(kind, repo) for repo in self.hub.store.ids(kind)]
        author, words = self.query.get("author"), self.query.get("search", "").lower()
        found = [
            _info(repository, repository.commit_at("main"), files=False)
            for repository in readable
            if (not repository.private or self.user == repository.owner)
            and (author is None or repository.owner == author)
            and words in repository.id.lower()
        ]
        self._answer_page(found, int(self.query.get("limit", self.hub.page_size)))

    def repository_info(self, kind: str, repo: str, revision: str = "main") -> None:
        repository = self.readable(kind, repo)
        commit = self.at(repository, revision)
        self.answer_json({**_info(repository, commit, files=True), **self._card(commit)})

    def list_tree(self, kind: str, repo: str, revision: str, path: str = "") -> None:
        repository = self.readable(kind, repo)
        commit = self.at(repository, revision)
        self._check_gate(repository)
        entries = _tree(commit, path, recursive=self.query.get("recursive", "").lower() in ("true", "1"))
        if path and not entries:
            self.refuse(404, f'{path} does not exist on "{revision}"', "EntryNotFound")
            return
        self._answer_page(entries, min(int(self.query.get("limit", self.hub.page_size)), self.hub.page_size))

    def paths_info(self, kind: str, repo: str, revision: str) -> None:
        commit = self.at(self.readable(kind, repo), revision)
        typed = self.headers.get("Content-Type", "")
        asked = json.loads(self.content) if "json" in typed else parse_qs(self.content.decode())
        entries = {entry["path"]: entry for entry in _tree(commit, "", recursive=True)}
        self.answer_json([entries[path] for path in asked["paths"] if path in entries])

    def list_branches(self, kind: str, repo: str) -> None:
        repository = self.readable(kind, repo)
        listed = repository.branches.items()
        pulls = [{"name": name[8:], "ref": name, "targetCommit": sha} for name, sha in listed if "/" in name]
        heads = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": sha} for name, sha in listed if "/" not in name
        ]
        self.answer_json({"branches": heads, "converts": [], "tags": [], "pullRequests": pulls})

    def list_discussions(self, kind: str, repo: str) -> None:
        repository = self.readable(kind, repo)
        listed = [
            {
                "num": pull.num,
                "title": pull.title,
                "author": {"name": pull.author},
                "createdAt": iso_now(),
                "status": "open",
                "isPullRequest": True,
                "repo": {"name": repository.id, "type": repository.kind[:-1]},
            }
            for pull in reversed(repository.pull_requests)
        ]
        self.answer_json({"discussions": listed, "count": len(listed), "start": 0, "numClosedDiscussions": 0})

    def resolve(self, repo: str, revision: str, path: str, kind: str = "models") -> None:
        repository = self.readable(kind, repo)
        commit = self.at(repository, revision)
        self._check_gate(repository)
        blob = commit.files.get(path)
        if blob is None:
            self.refuse(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.sha)
            return
        headers = {"X-Repo-Commit": commit.sha, "Access-Control-Allow-Origin": "*"}
        place = self.hub.store.content(blob.sha256)
        assert place is not None
        if not blob.lfs:
            self.send_file(place, {**headers, "ETag": f'"{blob.git_oid}"'})
            return
        headers |= {"X-Linked-Size": str(blob.size), "X-Linked-Etag": f'"{blob.sha256}"', "ETag": f'"{blob.git_oid}"'}
        signed = urlencode({"sha256": blob.sha256, "Signature": "loopback"})
        storage = f"{self.hub.storage_url}/storage/{kind}/{repo}/{commit.sha}/{quote(path)}?{signed}"
        self.redirect(302, storage, headers | {"Accept-Ranges": "bytes"})

    def _card(self, commit: Commit) -> dict[str, Any]:
        """What the front matter of README.md says, as the Hub tells it with a repository."""
        blob = commit.files.get("README.md")
        place = self.hub.store.content(blob.sha256) if blob else None
        matter = re.match(r"---\n(.*?)^---", place.read_text(), re.DOTALL | re.MULTILINE) if place else None
        return {"cardData": yaml.safe_load(matter[1])} if matter else {}

    def _answer_page(self, entries: list[Any], size: int) -> None:
        """One page of a listing, with the address of the next in the Link header."""
        start = int(self.query.get("cursor", 0))
        headers = {}
        if start + size < len(entries):
            more = urlencode({**self.query, "cursor": start + size})
            headers["Link"] = f'<{self.hub.url}{quote(self.url_path)}?{more}>; rel="next"'
        self.answer_json(entries[start : start + size], headers)


def _info(repository: Repository, commit: Commit | None, files: bool) -> dict[str, Any]:
    assert commit is not None
    told = {
        "_id": "0" * 24,
        "id": repository.id,
        "author": repository.owner,
        "sha": commit.sha,
        "private": repository.private,
        "gated": "auto" if repository.gated else False,
        "disabled": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "lastModified": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
    }
    if repository.kind == "models":
        told["modelId"] = repository.id
    if files:
        told["siblings"] = [{"rfilename": path, **_sizes(blob)} for path, blob in sorted(commit.files.items())]
    return told


def _sizes(blob: Blob) -> dict[str, Any]:
    large = {"lfs": {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}} if blob.lfs else {}
    return {"blobId": blob.git_oid, "size": blob.size, **large}


def _tree(commit: Commit, path: str, recursive: bool) -> list[dict[str, Any]]:
    """Files and directories below ``path``, which may itself be no directory: then nothing."""
    below = f"{path}/" if path else ""
    files = {name: blob for name, blob in sorted(commit.files.items()) if name.startswith(below)}
    folders = sorted(
        {
            name[: len(below) + end]
            for name in files
            for end, letter in enumerate(name[len(below) :])
            if letter == "/" and (recursive or "/" not in name[len(below) : len(below) + end])
        }
    )
    entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder} for folder in folders]
    for name, blob in files.items():
        if recursive or "/" not in name[len(below) :]:
            large = {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}
            entry = {"type": "file", "oid": blob.git_oid, "size": blob.size, "path": name}
            entries.append({**entry, "lfs": large} if blob.lfs else entry)
    return entries
