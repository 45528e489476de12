"""The panel at the foot: the operator sees everything, visitors nothing of the machine's folders and logins."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline.finding import MISSING, UNUSABLE, WORKS, Finding
from ui import place

FOUND = [
    Finding("heads", "Anny", WORKS, "built in (CC0)"),
    Finding("heads", "FLAME 2023", WORKS, "from /home/somebody/flame.pkl (MPI)", private=True),
    Finding("computing", "GPU", MISSING, "no CUDA device; nothing here needs one"),
    Finding("files", "model folder", UNUSABLE, "/home/somebody/models is no folder", private=True),
    Finding("disk", "cache", WORKS, "3.0 GB free", where="/home/somebody/.cache"),
    Finding("hub", "token", WORKS, "a login is there", private=True),
    Finding("versions", "spaces", MISSING, "not installed", "pip install <spaces>"),
]


def asked_by(host="10.0.0.7", user=None, **headers):
    """A request as Gradio hands it on."""
    info = {"userinfo": {"preferred_username": user, "sub": "1"}} if user else None
    return SimpleNamespace(
        client=SimpleNamespace(host=host),
        headers={"host": "localhost:7860"} | headers,
        request=SimpleNamespace(scope={"session": {"oauth_info": info}}),
    )


def test_visitors_see_what_works_and_no_folder():
    told = place.as_markdown(FOUND, everything=False)
    assert told.startswith(place.NO_GPU)
    assert "| ✓ | Anny | built in \\(CC0\\) |" in told
    assert "| ✓ | cache | 3.0 GB free |" in told
    assert "somebody" not in told
    assert "login" not in told
    assert "Files" not in told


def test_the_operator_sees_all():
    told = place.as_markdown(FOUND, everything=True)
    assert told.count("somebody") == 3
    assert "| ! | model folder |" in told
    assert "3.0 GB free in /home/somebody/.cache" in told


def test_nothing_in_it_is_markup():
    assert "&lt;spaces&gt;" in place.as_markdown(FOUND, everything=False)


@pytest.mark.parametrize(
    ("request_", "space", "expected"),
    [
        (asked_by("127.0.0.1"), "", True),
        (asked_by("127.0.0.1", **{"x-forwarded-for": "1.2.3.4"}), "", False),
        (asked_by("10.0.0.7"), "", False),
        (asked_by("127.0.0.1"), "somebody/heads", False),
        (asked_by(user="somebody"), "somebody/heads", True),
        (asked_by(user="another"), "somebody/heads", False),
        (None, "", False),
    ],
)
def test_who_runs_this_place(monkeypatch, request_, space, expected):
    monkeypatch.setenv("SPACE_AUTHOR_NAME", "somebody")
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.delenv("ANIMPORTRAIT3D_OWNER", raising=False)
    assert place.is_operator(request_) is expected


def test_many_who_ask_cause_one_look(monkeypatch):
    looks = []
    monkeypatch.setattr(place, "report", lambda: looks.append(1) or FOUND)
    here = place.Place()
    assert here.findings() == here.findings() == FOUND
    assert len(looks) == 1
    monkeypatch.setattr(place, "FRESH_SECONDS", -1.0)
    here.findings()
    assert len(looks) == 2
