"""50 visitors who look round and 5 who make heads, all at once on one app; the peer is an empty Gradio page.

`python -m benchmarks visitors` prints every repeat as well: what each kind of step took, what was refused, and how
much memory and disk the app held when the visitors had gone.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.figure import Figure
from benchmarks.server_process import ROOT, Server, running
from benchmarks.visitor import Record, RefusedError, Visitor
from tests.browser.chromium import CHROMIUM_ARGUMENTS, chromium

BROWSING, CREATING, REPEATS = 50, 5, 5
HEADS_EACH = 2
"""Heads that each of the creators makes in one repeat."""
ARRIVE_WITHIN = 5.0
"""Seconds from the first visitor to the last."""
LOOK = (1.0, 3.0)
"""Seconds that a visitor looks at something before the next click."""
CLIPS = ("talk", "emotions")
"""What those who look round play, each on another head."""
AMONG = 24
"""Heads of the gallery that visitors open."""
IN_SIGHT = 8
"""Pictures of the gallery that a browser fetches before anybody scrolls."""
SETTLE = 3.0
"""Seconds after the last visitor until memory is read."""
PROMPTS = (ROOT / "examples" / "prompts.txt").read_text(encoding="utf-8").splitlines()
EMPTY = "import gradio as gr\nwith gr.Blocks(analytics_enabled=False) as demo: gr.Textbox()\ndemo.launch(quiet=True)"


@dataclass(frozen=True)
class Repeat:
    """One crowd, from its arrival until it has gone."""

    record: Record
    seconds: float
    memory_mb: float
    """Of the app and its children afterwards."""
    disk_mb: float
    """Of the app's temporary folder afterwards."""


def run() -> list[Figure]:
    """Waiting times, errors, and growth from the second to the last repeat."""
    peer, peer_repeats = "empty Gradio page", _serve([sys.executable, "-c", EMPTY], REPEATS, 0)
    ours = _serve([sys.executable, "app.py"], REPEATS, CREATING)
    what = f"{BROWSING} browsing, {CREATING} creating: "
    errors = sum(sum(repeat.record.errors.values()) for repeat in ours)
    peer_errors = sum(sum(repeat.record.errors.values()) for repeat in peer_repeats)
    full = sum(sum(repeat.record.refused.values()) for repeat in ours) - errors
    return [
        Figure(what + "errors but “queue is full”", errors, "errors", 0, peer, peer_errors),
        Figure(what + "told that the queue is full", full, "visitors", 0),
        Figure(what + "page and its files, p95", _p95(ours, "page"), "s", 20, peer, _p95(peer_repeats, "page")),
        Figure(what + "the greeting head, p95", _p95(ours, "greet"), "s", 10),
        Figure(what + "a head of the gallery is opened, p95", _p95(ours, "open"), "s", 45),
        Figure(what + "a clip plays, p95", _p95(ours, "play"), "s", 5),
        Figure(what + "a head is made, p95", _p95(ours, "create"), "s", 30),
        Figure(what + "memory, last repeat above the second", _growth(ours), "MB", 50, peer, _growth(peer_repeats)),
    ]


def _serve(command: list[str], repeats: int, creating: int) -> list[Repeat]:
    print(command[-1].splitlines()[0], file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, running(command, Path(folder)) as server:
        files = page_files(server.url)
        done = []
        for number in range(repeats):
            done.append(crowd(server, files, BROWSING, creating, random.Random(number)))
            print(_line(done[-1]), file=sys.stderr)
        return done


def page_files(url: str) -> list[str]:
    """Paths of all that a browser fetches with the page: scripts, styles, fonts; not what visitors ask for."""
    wanted: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = browser.new_page()
        page.on("request", lambda request: wanted.append(request.url) if request.method == "GET" else None)
        page.goto(url)
        page.locator("footer").wait_for()  # the last part of the page
        page.wait_for_load_state("networkidle")
        browser.close()
    mine = dict.fromkeys(each.removeprefix(url) for each in wanted if each.startswith(url))
    return [path for path in mine if path != "/" and "/queue/" not in path and not path.endswith("avatar.glb")]


def crowd(server: Server, files: Sequence[str], browsing: int, creating: int, rng: random.Random) -> Repeat:
    """``browsing`` and ``creating`` visitors who arrive together, each with a page of their own."""
    record = Record()
    started = time.perf_counter()
    asyncio.run(_all_of_them(server.url, record, files, browsing, creating, rng))
    seconds = time.perf_counter() - started
    time.sleep(SETTLE)
    return Repeat(record, seconds, server.memory_mb, server.disk_mb)


async def _all_of_them(
    url: str, record: Record, files: Sequence[str], browsing: int, creating: int, rng: random.Random
) -> None:
    visits = [_browse(url, record, files, random.Random(rng.random())) for _ in range(browsing)]
    visits += [_create(url, record, files, random.Random(rng.random())) for _ in range(creating)]
    await asyncio.gather(*visits)


async def _browse(url: str, record: Record, files: Sequence[str], rng: random.Random) -> None:
    async with Visitor(url, record) as visitor:
        await _unless_refused(_look_round(visitor, files, rng))


async def _create(url: str, record: Record, files: Sequence[str], rng: random.Random) -> None:
    async with Visitor(url, record) as visitor:
        await _unless_refused(_make_heads(visitor, files, rng))


async def _unless_refused(visit: Coroutine[Any, Any, None]) -> None:
    """A visitor who is refused leaves; the record has told why."""
    try:
        await visit
    except (RefusedError, httpx.HTTPError):
        return


async def _look_round(visitor: Visitor, files: Sequence[str], rng: random.Random) -> None:
    await _arrive(visitor, files, rng)
    if "viewer" not in visitor:
        return
    for clip in CLIPS:
        await asyncio.sleep(rng.uniform(*LOOK))
        with visitor.record.step("open"):
            visitor["entry_id"] = rng.choice(_built_in(visitor)[:AMONG])["id"]  # the page's script sets it by the card
            await visitor.happens("select", "gallery")
            await visitor.fetch(visitor["viewer"]["avatar"]["url"])
        await asyncio.sleep(rng.uniform(*LOOK))
        with visitor.record.step("play"):
            visitor["clip"] = clip
            await visitor.happens("input", "clip")
            await visitor.fetch(visitor["viewer"]["clip"]["url"])


async def _make_heads(visitor: Visitor, files: Sequence[str], rng: random.Random) -> None:
    await _arrive(visitor, files, rng)
    for _ in range(HEADS_EACH):
        await asyncio.sleep(rng.uniform(*LOOK))
        with visitor.record.step("create"):
            visitor["prompt"], visitor["seed"] = rng.choice(PROMPTS), rng.randrange(2**32)
            await visitor.happens("click", "create")
            await visitor.fetch(visitor["viewer"]["avatar"]["url"])


async def _arrive(visitor: Visitor, files: Sequence[str], rng: random.Random) -> None:
    """The page, and the head that greets the visitor where the page has a viewer."""
    await asyncio.sleep(rng.uniform(0, ARRIVE_WITHIN))
    with visitor.record.step("page"):
        await visitor.open_page(files)
    if "viewer" not in visitor:
        return
    visitor["key"], visitor["link"] = secrets.token_hex(16), ""  # what the page's script finds in the browser
    with visitor.record.step("greet"):
        await visitor.happens("load")
        await visitor.fetch(visitor["viewer"]["avatar"]["url"])
    with visitor.record.step("pictures"):
        for card in _built_in(visitor)[:IN_SIGHT]:
            await visitor.fetch(card["picture"])


def _built_in(visitor: Visitor) -> list[dict[str, Any]]:
    """Cards of our own heads in the gallery."""
    return [card for card in visitor["gallery"]["cards"] if card["source"] == "builtin"]


def _line(repeat: Repeat) -> str:
    steps = (
        f"{kind} {np.median(taken):.2f}/{np.percentile(taken, 95):.2f} s"
        for kind, taken in repeat.record.seconds.items()
    )
    refused = "; ".join(f"{count} × {reason}" for reason, count in repeat.record.refused.items()) or "nothing refused"
    return (
        f"  {repeat.seconds:.0f} s, {repeat.record.requests} requests; p50/p95: {', '.join(steps)}; {refused}; "
        f"memory {repeat.memory_mb:.0f} MB, disk {repeat.disk_mb:.0f} MB"
    )


def _p95(repeats: Sequence[Repeat], kind: str) -> float:
    return float(np.percentile([taken for repeat in repeats for taken in repeat.record.seconds[kind]], 95))


def _growth(repeats: Sequence[Repeat]) -> float:
    return repeats[-1].memory_mb - repeats[1].memory_mb
