"""The panel "Publish" below a head: it goes to a data set of the person's own on the Hugging Face Hub, on a press.

On a Space people log in, and what they publish goes out in their name. Elsewhere it is the login of this machine, which
only a browser on this very machine may use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import gradio as gr
from huggingface_hub import get_token

from pipeline.errors import UserError
from pipeline.hub.publish import Published, publish
from pipeline.hub.publishable import LICENCES, licences_of
from ui.animate_wiring import QUIET
from ui.beside import Cancel, beside
from ui.people import is_at_this_machine, person_of
from ui.sentences import plain, sentences
from ui.settings import has_login
from ui.workshop import Workshop

DEFAULT_NAME = "my-heads"
PUBLIC, PRIVATE = "Everybody", "Only me"
COMMIT, PULL_REQUEST = "At once", "As a pull request"
LOOK_EVERY = 0.2
"""Seconds between two looks at how far it is."""
CALLED_OFF = "Called off; unless the last step had begun, nothing was published."
NOT_YOURS = "this head is not yours to publish; make one under Create first"
NOT_HERE = (
    "publishing from here uses the login of the machine that runs this app, so only a browser on that machine may; "
    "open http://localhost there, or download the head and use: python -m pipeline publish"
)


def publish_part() -> dict[str, Any]:
    """The panel's parts, by name."""
    with gr.Accordion("Publish on the Hugging Face Hub", open=False, visible=False, elem_id="publish") as panel:
        if has_login():
            gr.LoginButton(size="sm", elem_id="publish-login")
        name = gr.Textbox(
            DEFAULT_NAME,
            label="Data set",
            info="In your account, made when it is new; owner/name is another's",
            max_lines=1,
            elem_id="publish-name",
        )
        with gr.Row(elem_id="publish-row"):
            visibility = gr.Radio([PUBLIC, PRIVATE], value=PUBLIC, label="Who may see it", elem_id="publish-visibility")
            manner = gr.Radio([COMMIT, PULL_REQUEST], value=COMMIT, label="How", elem_id="publish-manner")
        licence = gr.Dropdown(_choices(tuple(LICENCES)), label="What others may do", elem_id="publish-licence")
        with gr.Row():
            press = gr.Button("Publish", variant="primary", size="sm", elem_id="publish-press")
            stop = gr.Button("Stop", size="sm", visible=False, elem_id="publish-stop")
        status = gr.Markdown(elem_id="publish-status")
    return {
        "panel": panel, "name": name, "visibility": visibility, "manner": manner, "licence": licence, "press": press,
        "stop": stop, "status": status,
    }  # fmt: skip


def wire_publish(workshop: Workshop, parts: dict[str, Any], avatar_id: Any, key: Any) -> None:
    """Show the panel for heads that are the visitor's own, and publish on a press.

    ``avatar_id`` and ``key`` hold the head on the stage and the browser's key.
    """
    calls = PublishCalls(workshop)
    avatar_id.change(
        calls.on_head, [avatar_id, key], [parts["panel"], parts["licence"], parts["status"]], **QUIET
    )  # fmt: skip

    def running(is_running: bool) -> tuple[Any, Any]:
        return gr.Button(interactive=not is_running), gr.Button(visible=is_running)

    buttons = [parts["press"], parts["stop"]]
    inputs = [avatar_id, key, *(parts[name] for name in ("name", "visibility", "manner", "licence"))]
    parts["press"].click(lambda: running(True), None, buttons, **QUIET)
    pressed = parts["press"].click(
        calls.on_publish, inputs, parts["status"], api_visibility="private", show_progress="hidden",
        concurrency_id="publish", concurrency_limit=4,
    )  # fmt: skip
    pressed.then(lambda: running(False), None, buttons, **QUIET)
    stopped = parts["stop"].click(lambda: running(False), None, buttons, cancels=[pressed], **QUIET)
    stopped.then(lambda: CALLED_OFF, None, parts["status"], **QUIET)


class PublishCalls:
    """What the panel does on one workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    def on_head(self, avatar_id: str, key: str, request: gr.Request | None = None) -> tuple[Any, Any, str]:
        """Another head came onto the stage: the panel is there for the visitor's own, with the licences it may have."""
        with sentences():
            if not self.workshop.may(avatar_id, person_of(key, request)):
                return gr.Accordion(visible=False), gr.skip(), ""
            choices = _choices(licences_of(self.workshop.folder(avatar_id) / "avatar"))
            return gr.Accordion(visible=True), gr.Dropdown(choices, value=choices[0][1]), ""

    def on_publish(
        self,
        avatar_id: str,
        key: str,
        name: str,
        visibility: str,
        manner: str,
        licence: str,
        login: gr.OAuthToken | None,
        request: gr.Request | None = None,
    ) -> Iterator[str]:
        """Publish the head on the stage; tells how far it is as Markdown, in the end with the link."""
        with sentences():
            token = token_of(None if login is None else login.token, request)
            if not self.workshop.may(avatar_id, person_of(key, request)):
                raise UserError(NOT_YOURS)
            yield from _publishing(
                self.workshop.folder(avatar_id) / "avatar",
                name.strip(),
                token=token,
                licence=licence,
                private=visibility == PRIVATE,
                as_pull_request=manner == PULL_REQUEST,
            )
            self.workshop.library.mark_published(avatar_id)


def token_of(login: str | None, request: gr.Request | None) -> str:
    """The token to publish with: the visitor's, or this machine's for a visitor who sits at it.

    Raises `UserError` for anybody else. A Space's own token is never used.
    """
    if login:
        return login
    if has_login() or os.environ.get("SPACE_ID"):
        raise UserError("nobody is logged in; press Sign in with Hugging Face first")
    if not is_at_this_machine(request):
        raise UserError(NOT_HERE)
    token = get_token()
    if token is None:
        raise UserError("this machine is not logged in to the Hub; in a terminal, say: hf auth login")
    return token


def _choices(licences: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(LICENCES[licence], licence) for licence in licences]


def _publishing(folder: Path, name: str, **options: Any) -> Iterator[str]:
    """Publish beside this thread, telling how far it is; closing the iterator calls it off."""
    told = [(0, 0)]

    def work(cancel: Cancel) -> Published:
        return publish(folder, name, **options, progress=lambda done, total: told.append((done, total)), cancel=cancel)

    with beside("publish", work) as job:
        shown = ""
        while not wait([job], LOOK_EVERY).done:
            if (now := _so_far(*told[-1])) != shown:
                shown = now
                yield shown
    yield _in_the_end(job.result())


def _so_far(done: int, total: int) -> str:
    if not total:
        return "Asking the Hub …"
    return f"Sending {done / 1e6:.1f} of {total / 1e6:.1f} MB …" if done < total else "Finishing …"


def _in_the_end(published: Published) -> str:
    what = "Published" if published.changed else "It was there already, unchanged"
    return f"{what}: [{plain(published.repo_id)}]({published.url})"
