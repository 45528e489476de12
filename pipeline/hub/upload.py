"""What is asked of the Hub to write: a data set, large files, a commit or a pull request.

The endpoints and their order are those of `huggingface_hub.HfApi.create_commit`, with files over plain HTTP (git-LFS's
"basic" transfer); the requests have the deadlines, the cancel and the sentences of `Line`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import hf_raise_for_status, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from pipeline.hub.client import never
from pipeline.hub.errors import Cancelled, HubError
from pipeline.hub.item import Item, operation
from pipeline.hub.line import Cancel, Deadlines, Line
from pipeline.hub.repositories import Repository

CHUNK = 64 * 1024
LARGEST_CARD = 1 << 20
WRITING = Deadlines(answer=60.0, silence=30.0)
LFS_TYPE = "application/vnd.git-lfs+json"
QUOTA_WORDS = ("storage", "quota", "billing", "payment")


Method = TypeVar("Method", bound=Callable[..., Any])


class Moved(Exception):
    """Somebody else committed meanwhile: look again and try again."""


def _understood(method: Method) -> Method:
    """The method of an `UploadLine`; an answer that is not what the endpoint promises is a `HubError` too."""

    @wraps(method)
    def checked(line: UploadLine, *given: Any) -> Any:
        try:
            return method(line, *given)
        except (json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
            raise line._explained(error) from error

    return cast(Method, checked)


@dataclass(frozen=True)
class State:
    """Where a data set stands."""

    commit: str
    private: bool


@dataclass(frozen=True)
class PullRequest:
    """An open pull request of a data set."""

    num: int
    title: str

    @property
    def revision(self) -> str:
        return f"refs/pr/{self.num}"


class UploadLine(Line):
    """Requests that write to one data set; every method raises `HubError`."""

    def __init__(self, endpoint: str, repository: Repository, token: str, cancel: Cancel) -> None:
        super().__init__(repository, token, WRITING)
        self._endpoint = endpoint.rstrip("/")
        self._api = f"{self._endpoint}/api/datasets/{repository.id}"
        self._cancel = cancel

    @_understood
    def user(self) -> str:
        """Name of the user behind the token."""
        return str(self._request("GET", f"{self._endpoint}/api/whoami-v2").json()["name"])

    @_understood
    def state(self, revision: str = "main") -> State | None:
        """The newest commit of a branch, or None where there is no such data set, or none that the token may see."""
        try:
            told = self._sent("GET", f"{self._api}/revision/{quote(revision, safe='')}").json()
        except HfHubHTTPError as error:
            if (
                error.response.status_code in (401, 404)
                and error.response.headers.get("X-Error-Code") == "RepoNotFound"
            ):
                return None
            raise self._explained(error) from error
        return State(str(told["sha"]), bool(told.get("private")))

    def create(self, private: bool) -> None:
        """Make the data set; well when somebody just did."""
        owner, name = self.repository.id.split("/")
        visibility = "private" if private else "public"
        wanted = {"name": name, "organization": owner, "type": "dataset", "visibility": visibility}
        try:
            self._sent("POST", f"{self._endpoint}/api/repos/create", json=wanted)
        except HfHubHTTPError as error:
            if error.response.status_code != 409:
                raise self._explained(error) from error

    def card(self, commit: str) -> str:
        """The text of README.md, empty where there is none."""
        url = f"{self._endpoint}/datasets/{self.repository.id}/resolve/{commit}/README.md"
        try:
            content = self._sent("GET", url).content
        except HfHubHTTPError as error:
            if error.response.headers.get("X-Error-Code") == "EntryNotFound":
                return ""
            raise self._explained(error) from error
        if len(content) > LARGEST_CARD:
            raise HubError(
                f"README.md of {self.repository.id} has {len(content):,} bytes; 1 MB is the most that is kept up"
            )
        return content.decode("utf-8", errors="replace")

    @_understood
    def pull_requests(self) -> list[PullRequest]:
        """The open pull requests, newest first."""
        url = f"{self._api}/discussions"
        told = self._request("GET", url, params={"type": "pull_request", "status": "open"}).json()
        return [PullRequest(int(entry["num"]), str(entry["title"])) for entry in told["discussions"]]

    @_understood
    def changed(self, items: list[Item], revision: str, opens: bool) -> list[tuple[Item, bool]]:
        """The items that the branch does not hold yet, each with whether the Hub wants it as a large file."""
        url = f"{self._api}/preupload/{quote(revision, safe='')}"
        asked = [{"path": i.path, "size": i.size, "sample": base64.b64encode(i.sample).decode()} for i in items]
        told = self._request("POST", url, json={"files": asked}, params=_opens(opens)).json()
        modes = {entry["path"]: entry for entry in told["files"]}
        found = []
        for item in items:
            large = modes[item.path]["uploadMode"] == "lfs" and item.size > 0
            if modes[item.path].get("oid") != (item.sha256 if large else item.git_oid):
                found.append((item, large))
        return found

    @_understood
    def upload(self, items: list[Item], sent: Callable[[int], None]) -> None:
        """Send the large files that the Hub's storage lacks; ``sent`` counts the bytes of each part."""
        if not items:
            return
        by_oid = {item.sha256: item for item in items}
        objects = [{"oid": oid, "size": item.size} for oid, item in by_oid.items()]
        wanted = {"operation": "upload", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
        url = f"{self._endpoint}/datasets/{self.repository.id}.git/info/lfs/objects/batch"
        headers = {"Accept": LFS_TYPE, "Content-Type": LFS_TYPE}
        for told in self._request("POST", url, content=json.dumps(wanted).encode(), headers=headers).json()["objects"]:
            self._upload_one(by_oid[told["oid"]], told, sent)

    def _upload_one(self, item: Item, told: dict[str, Any], sent: Callable[[int], None]) -> None:
        if "error" in told:
            raise HubError(f"the Hub does not take {item.path} ({told['error'].get('message')}); try again later")
        actions = told.get("actions")
        if not actions:  # the storage has it
            sent(item.size)
            return
        try:
            self._run_writing(self._put(actions["upload"]["href"], item, sent), self._cancel, None)
        except HfHubHTTPError as error:
            raise self._storage_refused(error) from error
        if "verify" in actions:
            self._request("POST", actions["verify"]["href"], json={"oid": item.sha256, "size": item.size})

    @_understood
    def commit(self, items: list[tuple[Item, bool]], title: str, revision: str, parent: str, opens: bool) -> str:
        """Commit the items on top of ``parent``; the address of the pull request that it opens, or of the commit.

        Raises `Moved` when the branch is not at ``parent`` any more.
        """
        lines: list[dict[str, Any]] = [
            {"key": "header", "value": {"summary": title, "description": "", "parentCommit": parent}}
        ]
        lines += [operation(item, large) for item, large in items]
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        url = f"{self._api}/commit/{quote(revision, safe='')}"
        headers = {**self._headers, "Content-Type": "application/x-ndjson"}
        if self._cancel():
            raise self._called_off()
        asking = self._response("POST", url, headers, {"content": content, "params": _opens(opens)})
        try:
            told = self._run_writing(asking, never, WRITING.answer).json()  # half-way nobody knows what was done
        except HfHubHTTPError as error:
            if error.response.status_code in (409, 412):
                raise Moved from error
            raise self._explained(error) from error
        return str(told["pullRequestUrl"] if opens else told["commitUrl"])

    # --- requests

    def _request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        try:
            return self._sent(method, url, **options)
        except HfHubHTTPError as error:
            raise self._explained(error) from error

    def _sent(self, method: str, url: str, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        """The answer; an `HfHubHTTPError` where the Hub refuses, for those who know what to make of it."""
        ours = urlsplit(url)[:2] == urlsplit(self._endpoint)[:2]
        told = {**(self._headers if ours else {}), **(headers or {})}  # the token goes to nobody else
        return self._run_writing(self._response(method, url, told, options), self._cancel, WRITING.answer)

    def _run_writing(self, work: Any, cancel: Cancel, deadline: float | None) -> Any:
        try:
            return self._run(work, cancel, deadline)
        except HfHubHTTPError:
            raise
        except Cancelled as error:
            raise self._called_off() from error
        except (httpx2.HTTPError, OfflineModeIsEnabled, TimeoutError) as error:
            raise self._explained(error) from error

    async def _response(self, method: str, url: str, headers: dict[str, str], options: Any) -> httpx2.Response:
        if is_offline_mode():
            raise OfflineModeIsEnabled
        response = await self._client.request(method, url, headers=headers, timeout=WRITING.answer, **options)
        hf_raise_for_status(response)
        return response

    async def _put(self, url: str, item: Item, sent: Callable[[int], None]) -> None:
        async def parts() -> AsyncIterator[bytes]:
            content = item.read()
            for start in range(0, len(content), CHUNK):
                part = content[start : start + CHUNK]
                yield part
                sent(len(part))

        timeout = httpx2.Timeout(WRITING.silence, read=WRITING.answer)
        headers = {"Content-Length": str(item.size)}  # the storage takes no chunked uploads
        response = await self._client.put(url, content=parts(), headers=headers, timeout=timeout)
        hf_raise_for_status(response)

    # --- sentences

    def _called_off(self) -> Cancelled:
        return Cancelled(f"called off; nothing was published in {self.repository.id}")

    def _explained(self, error: Exception) -> HubError:
        if isinstance(error, HfHubHTTPError):
            told = self._writing_refused(error)
            if told is not None:
                return HubError(told)
        return super()._explained(error)

    def _storage_refused(self, error: HfHubHTTPError) -> HubError:
        """The storage knows no logins: a refusal of it is a fault of the Hub, or its address became too old."""
        status = error.response.status_code
        return HubError(f"the Hub's storage did not take a file for {self.repository.id} ({status}); try again later")

    def _writing_refused(self, error: HfHubHTTPError) -> str | None:
        status, said = error.response.status_code, error.response.headers.get("X-Error-Message", "")
        if status == 401:
            return "the Hub does not know this login any more; log in again, or with: hf auth login"
        if status in (402, 413) or (status == 403 and any(word in said.lower() for word in QUOTA_WORDS)):
            return f"the Hub has no more room for {self.repository.id} ({said or status}); delete something there first"
        if status == 403:
            return self._not_allowed()
        return None

    def _not_allowed(self) -> str:
        """Why the token may not write: it is asked who it is."""
        known = self._sent("GET", f"{self._endpoint}/api/whoami-v2").json()
        role = known.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            return "this login may only read; make a token that may write at https://huggingface.co/settings/tokens"
        owner = self.repository.id.split("/")[0]
        if owner != known.get("name"):
            return (
                f"{owner} is not you but somebody else ({known.get('name')} is logged in); publish to "
                f"{known.get('name')}/{self.repository.id.split('/')[1]}, or as a pull request if the data set exists"
            )
        return f"this login may not write to {self.repository.id}; choose a new name, or log in again and allow it"


def _opens(opens: bool) -> dict[str, str]:
    return {"create_pr": "1"} if opens else {}
