"""Who is who: by the browser's key, by the login, and nobody by anything else."""

import time
from types import SimpleNamespace

import gradio as gr
import pytest

from ui.people import NOBODY, ids_of, person_of

KEY = "0123456789abcdef" * 2


def request(session=None):
    """A call as the queue hands it to a handler; without ``session`` nobody can log in at all."""
    scope = {"type": "http"} if session is None else {"type": "http", "session": session}
    return gr.Request(request=SimpleNamespace(scope=scope))


def logged_in(sub="616", **more):
    return request({"oauth_info": {"userinfo": {"sub": sub, "preferred_username": "anna"}, **more}})


def test_a_browser_is_one_person_and_its_key_is_not_stored():
    person = person_of(KEY, request())
    assert person == person_of(KEY, request({}))
    assert person != person_of(KEY[::-1], request())
    assert len(ids_of(person)) == 1
    assert KEY not in person


@pytest.mark.parametrize("key", [None, "", "anna", KEY.upper(), KEY + "0", KEY + "\n", KEY[:-1] + "é", 5, ["a"]])
def test_anything_else_is_nobody(key):
    assert person_of(key, request()) == NOBODY
    assert ids_of(NOBODY) == ()


def test_a_login_comes_first_and_is_the_same_in_every_browser():
    here, there = person_of(KEY, logged_in()), person_of(KEY[::-1], logged_in())
    assert ids_of(here)[0] == ids_of(there)[0]
    assert ids_of(here)[1:] == ids_of(person_of(KEY, request()))
    assert ids_of(person_of(None, logged_in())) == ids_of(here)[:1]
    assert "616" not in here


def test_a_login_is_no_key_and_an_expired_one_is_none():
    assert ids_of(person_of(None, logged_in(sub=KEY))) != ids_of(person_of(KEY, request()))
    assert person_of(None, logged_in(expires_at=time.time() - 1)) == NOBODY
    assert person_of(None, logged_in(expires_at=time.time() + 60)) != NOBODY
