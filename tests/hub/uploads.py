"""What the loopback Hub answers to those who write: new repositories, large files, commits and pull requests."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any, ClassVar

import yaml

from tests.hub.reading import REPO, REVISION, Reading, Refused
from tests.hub.store import MAIN, Blob, PullRequest, Repository, goes_to_lfs


class Uploads(Reading):
    """POST of the Hub."""

    routes: ClassVar[list[tuple[str, str, str]]] = [
        ("POST", r"/api/repos/create", "create_repository"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("POST", rf"/api{REPO}/preupload/{REVISION}", "preupload"),
        ("POST", rf"/api{REPO}/branch/(?P<branch>.+)", "create_branch"),
        ("POST", rf"/api{REPO}/commit/{REVISION}", "take_commit"),
        ("POST", r"(?:/(?P<kind>datasets|spaces))?/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs_batch"),
        ("POST", r"(?:/(?P<kind>datasets|spaces))?/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/verify", "lfs_verify"),
        *Reading.routes,
    ]

    def create_repository(self) -> None:
        self._check_writer()
        asked = json.loads(self.content)
        kind = f"{asked.get('type', 'model')}s"
        owner = asked.get("organization") or self.user
        repo_id = f"{owner}/{asked['name']}"
        if owner != self.user:
            self.refuse(403, f'You don\'t have the rights to create a {kind[:-1]} under the namespace "{owner}"')
            return
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{repo_id}"
        with self.hub.store.lock:
            if self.hub.store.repository(kind, repo_id) is not None:
                self.answer_json({"error": f"You already created this {kind[:-1]} repo", "url": url}, status=409)
                return
            created = self.hub.store.create(kind, repo_id)
            created.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.answer_json({"url": url, "name": repo_id, "id": "0" * 24})

    def validate_yaml(self) -> None:
        content = json.loads(self.content)["content"]
        try:
            yaml.safe_load(content.split("---")[1])
        except yaml.YAMLError as error:
            self.answer_json({"errors": [{"message": str(error)}], "warnings": []}, status=400)
            return
        self.answer_json({"errors": [], "warnings": []})

    def preupload(self, kind: str, repo: str, revision: str) -> None:
        repository = self._writable(kind, repo, revision)
        files = self.at(repository, revision).files
        told = []
        for file in json.loads(self.content)["files"]:
            lfs = goes_to_lfs(base64.b64decode(file["sample"]), file["size"])
            known = files.get(file["path"])
            told.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": False,
                    "oid": None if known is None else known.sha256 if known.lfs else known.git_oid,
                }
            )
        self.answer_json({"files": told})

    def lfs_batch(self, repo: str, kind: str = "models") -> None:
        self._writable(kind, repo)
        told: list[dict[str, Any]] = []
        for wanted in json.loads(self.content)["objects"]:
            entry: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if self.hub.store.content(wanted["oid"]) is None:
                signature = secrets.token_hex(8)
                self.hub.uploading[signature] = wanted["oid"]
                place = self.path.split(".git/")[0]
                entry["actions"] = {
                    "upload": {"href": f"{self.hub.storage_url}/upload/{signature}", "header": {}},
                    "verify": {"href": f"{self.hub.url}{place}.git/info/lfs/verify", "header": {}},
                }
            told.append(entry)
        self.answer_json({"transfer": "basic", "objects": told})

    def lfs_verify(self, repo: str, kind: str = "models") -> None:
        self._writable(kind, repo)
        wanted = json.loads(self.content)
        place = self.hub.store.content(wanted["oid"])
        if place is None or place.stat().st_size != wanted["size"]:
            self.refuse(404, "the object was not uploaded")
            return
        self.answer_json({})

    def create_branch(self, kind: str, repo: str, branch: str) -> None:
        repository = self._writable(kind, repo)
        if branch in repository.branches:
            self.refuse(409, "Reference already exists")
            return
        start = json.loads(self.content or b"{}").get("startingPoint", MAIN)
        repository.branches[branch] = self.at(repository, start).sha
        self.answer_json({})

    def take_commit(self, kind: str, repo: str, revision: str) -> None:
        """A commit to a branch or, with ``create_pr``, to that of a new pull request, which anybody may open."""
        opens = self.query.get("create_pr") == "1"
        self._check_writer()
        with self.hub.store.lock:
            repository = self._writable(kind, repo, revision)
            start = self.at(repository, revision)
            lines = [json.loads(line) for line in self.content.splitlines() if line.strip()]
            header, operations = lines[0]["value"], lines[1:]
            if header.get("parentCommit") not in (None, start.sha):
                self.refuse(412, "A commit has happened since. Please refresh and try again.")
                return
            files = self._apply(dict(start.files), operations)
            pull = self._open_pull_request(repository, header["summary"], start.sha) if opens else None
            branch = pull.branch if pull else revision
            commit = self.hub.store.write(repository, branch, header["summary"], files)
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{repo}"
        told = {"success": True, "commitOid": commit.sha, "commitUrl": f"{url}/commit/{commit.sha}", "hookOutput": ""}
        if pull is not None:
            told["pullRequestUrl"] = f"{url}/discussions/{pull.num}"
        self.answer_json(told)

    def _apply(self, files: dict[str, Blob], operations: list[dict[str, Any]]) -> dict[str, Blob]:
        for operation in operations:
            value = operation["value"]
            path = value["path"]
            match operation["key"]:
                case "file":
                    files[path] = self.hub.store.keep(base64.b64decode(value["content"]))
                case "lfsFile":
                    place = self.hub.store.content(value["oid"])
                    if place is None:
                        self.refuse(400, f"the LFS object {value['oid']} of {path} does not exist")
                        raise Refused
                    files[path] = self.hub.store.keep(place.read_bytes())
                case "deletedFile":
                    files.pop(path, None)
                case "deletedFolder":
                    files = {name: blob for name, blob in files.items() if not name.startswith(path.rstrip("/") + "/")}
        return files

    def _open_pull_request(self, repository: Repository, title: str, start: str) -> PullRequest:
        assert self.user is not None
        pull = PullRequest(len(repository.pull_requests) + 1, title, self.user)
        repository.pull_requests.append(pull)
        repository.branches[pull.branch] = start
        return pull

    def _check_writer(self) -> None:
        """Answer the error and raise without a token, and with one that may only read."""
        if self.user is None:
            self.refuse(401, "Invalid username or password.")
            raise Refused
        if self.headers.get("Authorization", "").removeprefix("Bearer ") in self.hub.read_only:
            self.refuse(403, "you must use a write token to create or change a repository")
            raise Refused

    def _writable(self, kind: str, repo: str, revision: str = MAIN) -> Repository:
        """A repository that the one who asks may write to; answers the error and raises otherwise.

        Anybody may open a pull request, and go on with their own; its large files come before it is opened.
        """
        self._check_writer()
        repository = self.readable(kind, repo)
        own = [pull.branch for pull in repository.pull_requests if pull.author == self.user]
        proposes = self.query.get("create_pr") == "1" or revision in own or ".git/info/lfs/" in self.url_path
        if repository.owner != self.user and not proposes:
            self.refuse(403, f'Forbidden: you must be the owner of "{repo}" to change it')
            raise Refused
        return repository
