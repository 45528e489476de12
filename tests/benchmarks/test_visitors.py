"""A small crowd on the running app, as the load benchmark sends a large one."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import visitors
from benchmarks.server_process import Server
from benchmarks.visitors import Repeat, crowd

BROWSING = 3
MOST_MB_PER_LOOK = 0.5
"""Disk that one who only looks round may leave: a clip or two; a copy of the head would be ten times as much."""


@pytest.fixture
def visit(app, monkeypatch):
    """Sends visitors who do not dawdle."""
    monkeypatch.setattr(visitors, "ARRIVE_WITHIN", 0.0)
    monkeypatch.setattr(visitors, "LOOK", (0.0, 0.0))
    monkeypatch.setattr(visitors, "SETTLE", 0.0)
    monkeypatch.setattr(visitors, "HEADS_EACH", 1)
    monkeypatch.setattr(visitors, "CLIPS", ("talk",))
    monkeypatch.setattr(visitors, "AMONG", 1)
    monkeypatch.setattr(visitors, "PROMPTS", ["a bald man"])
    server = Server(app.url, app.process, app.files)

    def send(browsing: int, creating: int) -> Repeat:
        with ThreadPoolExecutor(1) as elsewhere:  # this thread has Playwright's event loop once a browser was open
            return elsewhere.submit(crowd, server, [], browsing, creating, random.Random(0)).result()

    return send


def test_a_crowd_is_served_and_those_who_look_leave_next_to_nothing(visit):
    first = visit(BROWSING, 1)
    second = visit(BROWSING, 0)  # the same heads as before: nothing is built
    for repeat, creating in ((first, 1), (second, 0)):
        assert not repeat.record.refused
        served = {kind: len(taken) for kind, taken in repeat.record.seconds.items()}
        everybody = BROWSING + creating
        arrived = dict.fromkeys(("page", "greet", "pictures"), everybody)
        looked = dict.fromkeys(("open", "play"), BROWSING)
        assert served == arrived | looked | ({"create": 1} if creating else {})
    assert second.disk_mb - first.disk_mb < BROWSING * MOST_MB_PER_LOOK
