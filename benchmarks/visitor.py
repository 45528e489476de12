"""One visitor of a Gradio page, as its browser speaks to the server: the page, its files, and calls of the queue."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
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
    """A page of one browser. Use as an async context manager."""

    def __init__(self, url: str, record: Record):
        self.url, self.record = url, record
        self._http = httpx.AsyncClient(base_url=url, limits=CONNECTIONS, timeout=LONGEST_WAIT)
        self._session = secrets.token_hex(6)
        self._config: dict[str, Any] = {}

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._http.aclose()

    async def open_page(self, files: Iterable[str]) -> None:
        """The page and ``files``, all that it links and imports. Raises `RefusedError`."""
        page = await self._get("/")
        self._config = json.loads(CONFIG.search(page.text)[1])  # type: ignore[index]
        await asyncio.gather(*(self._get(path) for path in files))

    async def load(self) -> list[Any]:
        """What the page asks for by itself: the output of its first load event. Raises `RefusedError`."""
        return await self._run(next(fn for fn in self._config["dependencies"] if _triggered_by(fn, "load")), ())

    async def call(self, name: str, *inputs: Any) -> list[Any]:
        """Output of the event of that API name; inputs after those given are as on the untouched page."""
        return await self._run(next(fn for fn in self._config["dependencies"] if fn["api_name"] == name), inputs)

    def offers(self, name: str) -> bool:
        """Whether the page has an event of that API name."""
        return any(fn["api_name"] == name for fn in self._config["dependencies"])

    async def fetch(self, file: dict[str, Any]) -> bytes:
        """The bytes of a file in an output. Raises `RefusedError`."""
        return (await self._get(file["url"].removeprefix(self.url))).content

    async def _get(self, path: str) -> httpx.Response:
        response = await self._http.get(path)
        self._check(response, f"GET {path.partition('?')[0]}")
        return response

    def _check(self, response: httpx.Response, what: str) -> None:
        self.record.requests += 1
        if response.status_code != 200:
            raise RefusedError(_detail(response) or f"{response.status_code} for {what}")

    async def _run(self, fn: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
        untouched = [self._initial(number) for number in fn["inputs"]]
        joined = await self._http.post(
            "/gradio_api/queue/join",
            json={
                "data": [*inputs, *untouched[len(inputs) :]],
                "event_data": None,
                "fn_index": fn["id"],
                "trigger_id": fn["targets"][0][0],
                "session_hash": self._session,
            },
        )
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

    def _initial(self, number: int) -> Any:
        return next(part for part in self._config["components"] if part["id"] == number)["props"].get("value")


def _triggered_by(fn: dict[str, Any], event: str) -> bool:
    return any(name == event for _, name in fn["targets"])


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return ""
