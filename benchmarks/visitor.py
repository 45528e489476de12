"""One visitor of a Gradio page, as its browser speaks to the server: the page, its files, and calls of the queue."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.DOTALL)
CONNECTIONS = httpx.Limits(max_connections=6, keepalive_expiry=1)
"""As many as a browser opens to one server. The server hangs up after five idle seconds: a browser that asks in the
very same moment asks again, this client would take it for an error, so it hangs up first."""
LONGEST_WAIT = 120
"""Seconds; a visitor would have left long before."""
FULL = "Queue is full"
"""How the server begins to say that too many wait already: the one refusal that is honest under load."""


class RefusedError(Exception):
    """The server did not do what the visitor asked; the text is what they were told."""


@dataclass
class Record:
    """What happened to all visitors of one repeat."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Kind of step → how long each took."""
    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Step and what the visitor was told → how often."""

    @contextmanager
    def step(self, kind: str) -> Iterator[None]:
        """Time what is inside; a refusal is counted and goes on to the caller."""
        started = time.perf_counter()
        try:
            yield
        except (RefusedError, httpx.HTTPError) as error:
            reason = str(error) or type(error).__name__
            self.refused[f"{kind}: {FULL if reason.startswith(FULL) else reason}"] += 1
            raise
        self.seconds[kind].append(time.perf_counter() - started)

    @property
    def errors(self) -> Counter[str]:
        """All refusals but an honest "queue is full"."""
        return Counter({reason: count for reason, count in self.refused.items() if not reason.endswith(FULL)})


class Visitor:
    """A page of one browser, whose fields are found by their ``elem_id`` or label. Use as an async context manager.

    It runs the events that the server answers; those of scripts alone are left out: what they fill in is set here.
    """

    def __init__(self, url: str, record: Record):
        self.url, self.record = url, record
        self._http = httpx.AsyncClient(base_url=url, limits=CONNECTIONS, timeout=LONGEST_WAIT)
        self._session = secrets.token_hex(6)
        self._events: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        self._values: dict[int, Any] = {}

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._http.aclose()

    def __contains__(self, field: str) -> bool:
        return field in self._numbers

    def __getitem__(self, field: str) -> Any:
        return self._values[self._numbers[field]]

    def __setitem__(self, field: str, value: Any) -> None:
        self._values[self._numbers[field]] = value

    async def open_page(self, files: Iterable[str]) -> None:
        """The page and ``files``, all that it links and imports. Raises `RefusedError`."""
        page = await self._get("/")
        config = json.loads(CONFIG.search(page.text)[1])  # type: ignore[index]
        self._events = config["dependencies"]
        for part in config["components"]:
            props = part["props"]
            self._values[part["id"]] = props.get("value")
            self._numbers[props.get("elem_id") or props.get("label") or str(part["id"])] = part["id"]
        await asyncio.gather(*(self._get(path) for path in files))

    async def happens(self, event: str, field: str | None = None) -> None:
        """All that follows from one event of a field, or of the page itself. Raises `RefusedError`."""
        wanted = None if field is None else self._numbers[field]
        for fn in self._events:
            if any(name == event and wanted in (None, number) for number, name in fn["targets"]):
                await self._fire(fn)

    async def fetch(self, url: str) -> bytes:
        """The bytes of a file of the page. Raises `RefusedError`."""
        return (await self._get(url.removeprefix(self.url))).content

    async def _fire(self, fn: dict[str, Any]) -> None:
        """One event of the page, what comes after it, and what changes with its outputs."""
        changed = []
        if fn["backend_fn"]:
            output = await (self._queued(fn) if fn["queue"] else self._direct(fn))
            changed = [
                number for number, value in zip(fn["outputs"], output, strict=True) if self._shows(number, value)
            ]
        for other in self._events:
            changes = any(name == "change" and number in changed for number, name in other["targets"])
            if changes or (other["trigger_after"] == fn["id"] and not other["trigger_only_on_failure"]):
                await self._fire(other)

    def _shows(self, number: int, value: Any) -> bool:
        """Whether the field's value is another one now."""
        if isinstance(value, dict) and value.get("__type__") == "update":
            value = value.get("value", self._values[number])
        before, self._values[number] = self._values[number], value
        return before != value

    async def _direct(self, fn: dict[str, Any]) -> list[Any]:
        answer = await self._http.post(f"/gradio_api/run/{fn['api_name']}", json=self._request(fn))
        self._check(answer, f"/gradio_api/run/{fn['api_name']}")
        return answer.json()["data"]

    async def _queued(self, fn: dict[str, Any]) -> list[Any]:
        joined = await self._http.post("/gradio_api/queue/join", json=self._request(fn))
        self._check(joined, "/gradio_api/queue/join")
        async for message in self._messages():
            if message["msg"] == "process_completed" and message["event_id"] == joined.json()["event_id"]:
                if not message["success"]:
                    raise RefusedError(message["output"].get("error") or "the call failed without a reason")
                return message["output"]["data"]
            if message["msg"] == "unexpected_error":
                raise RefusedError(message["message"])
        raise RefusedError("the server closed the stream before the result")

    async def _messages(self) -> AsyncIterator[dict[str, Any]]:
        self.record.requests += 1
        async with self._http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self._session}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def _request(self, fn: dict[str, Any]) -> dict[str, Any]:
        trigger = fn["targets"][0][0] if fn["targets"] else None
        data = [self._values[number] for number in fn["inputs"]]
        to = {"fn_index": fn["id"], "trigger_id": trigger, "session_hash": self._session}
        return {"data": data, "event_data": None, **to}

    async def _get(self, path: str) -> httpx.Response:
        response = await self._http.get(path)
        self._check(response, f"GET {path.partition('?')[0]}")
        return response

    def _check(self, response: httpx.Response, what: str) -> None:
        self.record.requests += 1
        if response.status_code != 200:
            raise RefusedError(_detail(response) or f"{response.status_code} for {what}")


def _detail(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("detail") or answer.get("error") or "")
