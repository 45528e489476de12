"""Who may publish what from the page, and with whose login."""

from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.datastructures import Headers

from pipeline.errors import UserError
from pipeline.recipe import Recipe
from tests.hub.faults import Fault
from tests.hub.folders import write_free, write_licensed
from tests.synthetic import synthetic_avatar
from ui.library import PUBLISHED
from ui.people import is_at_this_machine, person_of
from ui.publish import COMMIT, PRIVATE, PUBLIC, PULL_REQUEST, PublishCalls, token_of
from ui.workshop import Workshop

KEY, OTHER_KEY = "a" * 32, "b" * 32
HERE = {"host": "localhost:7860", "origin": "http://localhost:7860"}


def request_of(client="127.0.0.1", **headers):
    """A request as Gradio hands it over."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(client=SimpleNamespace(host=client), headers=Headers(headers), request=None)


@pytest.fixture
def at_home(monkeypatch):
    """Neither a Space nor a login by OAuth."""
    for name in ("SPACE_ID", "OAUTH_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "library"))
    return Workshop()


@pytest.fixture
def mine(workshop, tmp_path):
    """Id of an avatar that belongs to the browser with `KEY`."""
    folder = write_free(tmp_path / "avatar")
    return keep(workshop, folder)


def keep(workshop, folder):
    recipe = Recipe.from_json((folder / "recipe.json").read_text())
    return workshop.keep(folder, recipe, person_of(KEY, None), listed=True, avatar=synthetic_avatar()).id


def press(workshop, avatar_id, key=KEY, name="my-heads", visibility=PUBLIC, manner=COMMIT, licence="cc-by-4.0", **who):
    given = {"login": None, "request": request_of(**HERE), **who}
    return list(PublishCalls(workshop).on_publish(avatar_id, key, name, visibility, manner, licence, **given))


def test_a_visitor_at_this_machine_publishes_with_its_login(hub, at_home, workshop, mine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    told = press(workshop, mine)
    assert told[-1].startswith(f"Published: [ann/my\\-heads]({hub.url}/datasets/ann/my-heads/tree/main/avatars/")
    assert press(workshop, mine)[-1].startswith("It was there already, unchanged: [ann/")
    assert len(hub.asked("/commit/")) == 1
    assert (workshop.library.root / mine / PUBLISHED).exists()


def test_a_visitor_who_logged_in_publishes_in_their_own_name(hub, workshop, mine, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    monkeypatch.setenv("OAUTH_CLIENT_ID", "client")
    monkeypatch.setenv("HF_TOKEN", hub.log_in("owner"))
    login = gr.OAuthToken(hub.log_in("ben"), "openid", 2**40)
    far = request_of("10.0.0.9", host="owner-space.hf.space")
    told = press(workshop, mine, login=login, request=far, visibility=PRIVATE)
    assert "/datasets/ben/my-heads/" in told[-1]
    assert hub.repository("datasets", "ben/my-heads").private
    with pytest.raises(gr.Error, match="Nobody is logged in; press Sign in with Hugging Face first"):
        press(workshop, mine, request=request_of(**HERE))


def test_as_a_pull_request_to_somebody_elses(hub, at_home, workshop, mine, monkeypatch):
    hub.write("datasets", "ben/heads", {"README.md": b"# Ben's\n"})
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    told = press(workshop, mine, name=" ben/heads ", manner=PULL_REQUEST)
    assert told[-1].endswith(f"({hub.url}/datasets/ben/heads/discussions/1)")


@pytest.mark.parametrize("key", [OTHER_KEY, "", None])
def test_of_others_nothing_is_published(hub, at_home, workshop, mine, monkeypatch, key):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    with pytest.raises(gr.Error, match="This head is not yours to publish"):
        press(workshop, mine, key=key)
    with pytest.raises(gr.Error, match="This head is not yours to publish"):
        press(workshop, "0" * 32)
    assert not hub.requests


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("192.168.1.7", HERE),
        ("172.17.0.1", HERE),
        ("127.0.0.1", {"host": "192.168.1.5:7860"}),
        ("127.0.0.1", {"host": "heads.example.org"}),
        ("127.0.0.1", {"host": "abc.gradio.live", "origin": "https://abc.gradio.live"}),
        ("127.0.0.1", {**HERE, "x_forwarded_for": "203.0.113.9"}),
        ("127.0.0.1", {**HERE, "forwarded": "for=203.0.113.9"}),
        ("127.0.0.1", {**HERE, "via": "1.1 proxy"}),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "https://evil.example"}),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "http://localhost:3000"}),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "null"}),
        ("127.0.0.1", {"host": "localhost.evil.example"}),
        ("127.0.0.1", {}),
        ("", HERE),
    ],
)
def test_a_stranger_does_not_get_the_machines_login(at_home, monkeypatch, client, headers):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    assert not is_at_this_machine(request_of(client, **headers))
    with pytest.raises(UserError, match="only a browser on that machine may"):
        token_of(None, request_of(client, **headers))


@pytest.mark.parametrize(
    ("client", "headers"),
    [("127.0.0.1", HERE), ("::1", {"host": "[::1]:7860"}), ("127.0.0.1", {"host": "127.0.0.1:7861"})],
)
def test_who_sits_at_the_machine_does(at_home, monkeypatch, client, headers):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    assert token_of(None, request_of(client, **headers)) == "hf_" + "a" * 34


def test_without_a_request_or_a_login_there_is_no_token(hub, at_home):
    with pytest.raises(UserError, match="only a browser on that machine may"):
        token_of(None, None)
    with pytest.raises(UserError, match="not logged in to the Hub; in a terminal, say: hf auth login"):
        token_of(None, request_of(**HERE))


def test_a_spaces_own_token_is_never_used(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    monkeypatch.delenv("OAUTH_CLIENT_ID", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
    with pytest.raises(UserError, match="nobody is logged in"):
        token_of(None, request_of(**HERE))


def test_the_panel_is_there_for_ones_own_heads_with_their_licences(workshop, mine, tmp_path):
    calls = PublishCalls(workshop)
    panel, licence, status = calls.on_head(mine, KEY)
    assert (panel.visible, licence.value, status) == (True, "cc-by-4.0", "")
    assert not calls.on_head(mine, OTHER_KEY)[0].visible
    assert not calls.on_head("", KEY)[0].visible
    licensed = keep(workshop, write_licensed(tmp_path / "licensed"))
    assert [value for _, value in calls.on_head(licensed, KEY)[1].choices] == ["cc-by-nc-4.0", "other"]


def test_closing_the_page_calls_it_off(hub, at_home, workshop, mine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    hub.faults.append(Fault("/upload/*", wait=30))
    running = PublishCalls(workshop).on_publish(
        mine, KEY, "my-heads", PUBLIC, COMMIT, "cc-by-4.0", None, request_of(**HERE)
    )
    while not next(running).startswith("Sending 0.0 of 0."):
        pass
    running.close()
    assert not hub.asked("/commit/")


def test_a_refusal_is_a_sentence(hub, at_home, workshop, mine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    hub.faults.append(Fault("*/preupload/*", status=429, retry_after=40))
    with pytest.raises(gr.Error, match="again in 40 s"):
        press(workshop, mine)
    assert not (workshop.library.root / mine / PUBLISHED).exists()
