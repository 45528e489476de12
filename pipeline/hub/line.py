"""One line to the Hub: requests with deadlines that can be called off at any moment.

huggingface_hub's own calls repeat a failed request for 23 s, cannot be stopped while they wait, and lose up to 10 MB at
a cut; so the addresses, headers and errors are the library's, but the requests are made here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2
from huggingface_hub import hf_raise_for_status, is_offline_mode
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers

from pipeline.hub.errors import Cancelled, HubError, NoParts, explained, megabytes
from pipeline.hub.repositories import Repository

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and the bytes in all, 0 where unknown."""
Cancel = Callable[[], bool]
"""Asked ten times a second whether to stop."""

POLL_SECONDS = 0.1
LARGEST_ANSWER = 64 << 20
"""Bytes of JSON that are read; a listing of 100,000 files has some 30 MB."""
SLOWEST = 100_000
"""Bytes per second below which a small file is given up."""
RETRY_SECONDS = (0.3, 1.0, 3.0)
"""Waits before going on after a cut that brought nothing new."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Deadlines:
    """Seconds."""

    answer: float = 10.0
    """Until the answer to a small question is complete, or a file begins to come."""
    silence: float = 20.0
    """Without a byte while a file is coming."""


@dataclass(frozen=True)
class Span:
    """Bytes ``start`` to ``start + size`` of a file of ``whole`` bytes."""

    start: int
    size: int
    whole: int


class Line:
    """Used in a ``with`` block; keeps its connections between requests.

    Its event loop has a thread of its own: the caller may have one that is running, as every notebook has.
    """

    def __init__(self, repository: Repository, token: str | Literal[False] | None, deadlines: Deadlines) -> None:
        self.repository = repository
        self._headers = {**build_hf_headers(token=token), "Accept-Encoding": "identity"}
        self._as_stranger = token is False
        self._deadlines = deadlines
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="hub", daemon=True)
        hooks = {"request": [_refuse_offline]}
        self._client = httpx2.AsyncClient(verify=_certificates(), follow_redirects=True, event_hooks=hooks)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()  # does not wait for a name that is still being looked up

    def answer(self, url: str, cancel: Cancel) -> Any:
        """The answer to a small question. Raises `HubError`."""
        return self._ask(lambda: self._answer(url), cancel)

    def part(self, url: str, span: Span, cancel: Cancel) -> bytes:
        """A file or a part of it that fits in memory. Raises `HubError`, `NoParts`."""
        return self._ask(lambda: self._part(url, span), cancel, span.size / SLOWEST)

    def save(self, url: str, span: Span, partial: Path, progress: Progress, cancel: Cancel) -> None:
        """Append to ``partial`` until it holds the whole span, going on after cuts.

        Raises `HubError`, `NoParts`; what has come stays in ``partial``.
        """
        came, fruitless = False, 0
        while True:
            before = size_of(partial)
            try:
                self._run(self._save(url, span, partial, progress), cancel, None)
                return
            except (httpx2.TransportError, TimeoutError) as error:
                new = size_of(partial) > before
                came, fruitless = came or new, 0 if new else fruitless + 1
                if not came or fruitless >= len(RETRY_SECONDS):
                    raise self._explained(error) from error
                self._run(asyncio.sleep(RETRY_SECONDS[fruitless]), cancel, None)
            except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
                raise self._explained(error) from error

    def _ask(self, question: Callable[[], Coroutine[Any, Any, Result]], cancel: Cancel, more: float = 0.0) -> Result:
        """Asked a second time where the connection broke, which happens to one that was kept from before."""
        try:
            try:
                return self._run(question(), cancel, self._deadlines.answer + more)
            except (httpx2.RemoteProtocolError, httpx2.ReadError):
                return self._run(question(), cancel, self._deadlines.answer + more)
        except (
            httpx2.HTTPError,
            OfflineModeIsEnabled,
            TimeoutError,
            UnicodeDecodeError,
            json.JSONDecodeError,
        ) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> HubError:
        return explained(error, self.repository.id, self.repository.address, self._as_stranger)

    def _run(self, work: Coroutine[Any, Any, Result], cancel: Cancel, deadline: float | None) -> Result:
        """Do ``work``, asking ``cancel`` meanwhile; both ways of ending it early close its connection."""
        doing = asyncio.run_coroutine_threadsafe(self._watched(work, cancel, deadline), self._loop)
        try:
            return doing.result()
        except KeyboardInterrupt:
            doing.cancel()
            raise

    async def _watched(self, work: Coroutine[Any, Any, Result], cancel: Cancel, deadline: float | None) -> Result:
        task = asyncio.ensure_future(work)
        end = None if deadline is None else self._loop.time() + deadline
        try:
            while not task.done():
                if cancel():
                    raise Cancelled(f"called off; what has come of {self.repository.id} is kept")
                if end is not None and self._loop.time() > end:
                    raise TimeoutError
                await asyncio.wait({task}, timeout=POLL_SECONDS)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)

    @asynccontextmanager
    async def _stream(self, url: str, headers: dict[str, str]) -> AsyncIterator[httpx2.Response]:
        timeout = httpx2.Timeout(self._deadlines.silence, connect=self._deadlines.answer)
        request = self._client.build_request("GET", url, headers={**self._headers, **headers}, timeout=timeout)
        async with asyncio.timeout(self._deadlines.answer):
            response = await self._client.send(request, stream=True)
        try:
            hf_raise_for_status(response)
            yield response
        finally:
            await response.aclose()

    async def _answer(self, url: str) -> Any:
        async with self._stream(url, {}) as response:
            return json.loads(await _bounded(response, LARGEST_ANSWER))

    async def _part(self, url: str, span: Span) -> bytes:
        is_whole = span.size == span.whole
        async with self._stream(url, {} if is_whole else _range(span, 0)) as response:
            if not is_whole:
                self._check_part(response, span, 0)
            content = await _bounded(response, span.size)
        if len(content) < span.size:
            raise httpx2.RemoteProtocolError(f"{len(content)} of {span.size} bytes")
        return content

    async def _save(self, url: str, span: Span, partial: Path, progress: Progress) -> None:
        had = size_of(partial)
        if had > span.size:
            partial.unlink()
            had = 0
        progress(had, span.size)
        if had == span.size:
            return
        is_whole = span.size == span.whole
        async with self._stream(url, {} if is_whole and not had else _range(span, had)) as response:
            if is_whole and response.status_code == 200:  # from the start, wherever it was asked to go on
                had = 0
            else:
                self._check_part(response, span, had)
            await _append(response, partial, had, span.size, progress)

    def _check_part(self, response: httpx2.Response, span: Span, had: int) -> None:
        if response.status_code != 206:
            raise NoParts(
                f"the server sends no parts of this file of {self.repository.id}: all of its "
                f"{megabytes(span.whole)} would have to come"
            )
        told = response.headers.get("Content-Range", "")
        if not told.startswith(f"bytes {span.start + had}-"):
            raise httpx2.RemoteProtocolError(f"asked for byte {span.start + had}, got {told!r}")


async def _refuse_offline(request: httpx2.Request) -> None:
    if is_offline_mode():
        raise OfflineModeIsEnabled


@cache
def _certificates() -> ssl.SSLContext:
    """Those that are trusted; reading them takes 50 ms."""
    return httpx2.create_ssl_context()


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


async def _append(response: httpx2.Response, partial: Path, had: int, size: int, progress: Progress) -> None:
    with open(partial, "ab") as file:
        file.truncate(had)
        async for chunk in response.aiter_raw():
            if had + len(chunk) > size:
                raise httpx2.RemoteProtocolError(f"more than the {size} bytes that were announced")
            file.write(chunk)
            file.flush()
            had += len(chunk)
            progress(had, size)
    if had < size:
        raise httpx2.RemoteProtocolError(f"{had} of {size} bytes")


async def _bounded(response: httpx2.Response, limit: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > limit:
            raise httpx2.RemoteProtocolError(f"more than {limit} bytes")
    return bytes(content)


def _range(span: Span, had: int) -> dict[str, str]:
    return {"Range": f"bytes={span.start + had}-{span.start + span.size - 1}"}
